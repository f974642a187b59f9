//! One connection of the plugin's: each request on it is decided, passed on, and answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bailiwick_capability::{Host, Kind, Scheme};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::Refusal;
use super::body::Body;
use super::decide::{Point, decide};
use super::guard::Guard;
use super::head::{Ambiguous, MAX_FIELDS, MAX_HEAD};
use super::tasks::{Spawner, Tasks};
use super::upstream::{NoAnswer, Speaks};
use super::{fields, upgrade};
use crate::broker::{
    Answer, Broker, Decoder, Found, MAX_FORM, Misused, Watch, clean_fields, misplaced,
};
use crate::context::Context;
use crate::rules::Dialled;

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// What one HTTP/2 stream, and one connection, may have sent that nobody took yet.
const WINDOWS: (u32, u32) = (256 << 10, 512 << 10);
/// What one HTTP/2 stream may hold for a plugin that does not read.
const MAX_WAITING: usize = 64 << 10;

/// One connection of the plugin's.
pub(super) struct Front {
    pub(super) context: Arc<Context>,
    pub(super) dialled: Dialled,
    pub(super) scheme: Scheme,
    /// The host that TLS was made for.
    pub(super) server: Option<Host>,
    pub(super) spawner: Spawner,
}

/// What becomes of a request that may be passed on.
struct Filled {
    parts: Parts,
    body: Body,
    /// What was found in the body while it was sent.
    found: Option<Found>,
}

impl Front {
    /// Serves HTTP/1.1 until the connection, and what it was upgraded to, ends.
    pub(super) async fn one(
        self,
        tasks: Tasks,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let front = Arc::new(self);
        let told = Arc::clone(&front);
        let target = format!("{}://{}", front.scheme.as_str(), front.dialled.shown());
        let guard = Guard::new(stream, move |why: Ambiguous| {
            told.context.refuse(&target, why.0);
        });
        let service = service_fn(move |request| Arc::clone(&front).serve(request));
        let _ = http1::Builder::new()
            .auto_date_header(false)
            .max_headers(MAX_FIELDS)
            .max_buf_size(2 * MAX_HEAD)
            .serve_connection(TokioIo::new(guard), service)
            .with_upgrades()
            .await;
        tasks.finish().await;
    }

    /// Serves HTTP/2 until the connection ends.
    pub(super) async fn two(
        self,
        tasks: Tasks,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let front = Arc::new(self);
        let service = service_fn(move |request| Arc::clone(&front).serve(request));
        let _ = http2::Builder::new(tasks.spawner())
            .auto_date_header(false)
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .max_send_buf_size(MAX_WAITING)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(stream), service)
            .await;
        drop(tasks);
    }

    async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let last = upgrade::ends_requests(&request);
        let answered = self.exchange(request).await;
        let mut response = answered.unwrap_or_else(Refusal::into_response);
        if last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            upgrade::close(&mut response);
        }
        Ok(response)
    }

    async fn exchange(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let plugin = hyper::upgrade::on(&mut request);
        let (mut parts, body) = request.into_parts();
        let point = self.decide(&parts)?;
        let destination = point.destination();
        let guarded = destination.is_none_or(|whole| self.broker().guards(&whole));
        let upgraded = upgrade::asked(&parts).map_err(|why| self.denied(&point, why))?;
        if upgraded && guarded {
            return Err(self.denied(
                &point,
                "a secret is bound to this destination, and what a WebSocket brings back cannot be searched for it",
            ));
        }
        let places = Arc::clone(&self.context.terminator.places);
        let closing = |_| Refusal::bad_gateway("the gate is closing");
        let place = places.acquire_owned().await.map_err(closing)?;
        let speaks = match parts.version {
            Version::HTTP_2 => Speaks::OneOrTwo,
            _ => Speaks::One,
        };
        let is_head = parts.method == Method::HEAD;
        fields::clean_request(&mut parts.headers);
        if guarded {
            fields::ask_for_plain(&mut parts.headers);
        }
        let Filled {
            mut parts,
            body,
            found,
        } = self.fill(&point, parts, body).await?;
        let upstreams = &self.context.terminator.upstreams;
        let sent = if upgraded {
            upgrade::ask(&mut parts.headers);
            let request = Request::from_parts(parts, Body::whole(""));
            upstreams.send_alone(&self.context, &point, request).await
        } else {
            let request = Request::from_parts(parts, body);
            upstreams.send(&self.context, &point, speaks, request).await
        };
        let response = sent.map_err(|error| self.no_answer(&point, &error, found.as_ref()))?;
        let unasked = || Refusal::bad_gateway("it switches to a protocol that was not asked for");
        if upgraded {
            return upgrade::answered(&self.spawner, plugin, place, response).ok_or_else(unasked);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(unasked());
        }
        let answer = if guarded {
            self.searched(response, is_head)?
        } else {
            passed(response, is_head)
        };
        Ok(answer.map(|body| body.keeping(place)))
    }

    fn broker(&self) -> &Broker {
        &self.context.terminator.broker
    }

    fn decide(&self, parts: &Parts) -> Result<Point, Refusal> {
        let server = self.server.as_ref();
        let decided = decide(&self.context, &self.dialled, self.scheme, server, parts);
        if let Ok(point) = &decided {
            let scope = point.scope.to_string();
            let denials = &self.context.denials;
            denials.used(Kind::NetworkAccess.as_str(), &scope);
        }
        decided.map_err(|denied| {
            self.context.refuse(&denied.target, &denied.reason);
            let (method, url) = denied.target.split_once(' ').unwrap_or_default();
            Refusal::missing(
                Kind::NetworkAccess,
                &format!("{url} {method}"),
                denied.reason,
            )
        })
    }

    fn denied(&self, point: &Point, reason: &str) -> Refusal {
        let scope = point.scope.to_string();
        self.context.refuse(&scope, reason);
        Refusal::missing(Kind::NetworkAccess, &scope, reason)
    }

    fn misused(&self, point: &Point, misused: &Misused) -> Refusal {
        let kind = Kind::UseSecret;
        self.context.counts.refused.fetch_add(1, Ordering::Relaxed);
        let reason = format!("towards {}: {}", point.scope, misused.why);
        self.context
            .denials
            .add(kind.as_str(), &misused.secret, &reason);
        Refusal::missing(kind, &misused.secret, misused.why.clone())
    }

    /// Puts secrets in, and has the rest of the request searched for placeholders.
    async fn fill(
        &self,
        point: &Point,
        mut parts: Parts,
        body: Incoming,
    ) -> Result<Filled, Refusal> {
        let broker = self.broker();
        if broker.is_idle() {
            return Ok(Filled {
                parts,
                body: Body::through(body),
                found: None,
            });
        }
        let place = format!("{}://{}", point.scheme.as_str(), point.authority());
        let refuse = |misused: Misused| self.misused(point, &misused);
        let (held, rest) = if broker.wants_body(&point.scope, &parts) {
            hold(body).await?
        } else {
            (None, Some(body))
        };
        // A body that is too long to be held is not looked into for fields, but still searched.
        let whole = held.as_deref().filter(|_| rest.is_none());
        let filled = broker.fill(&point.scope, &mut parts, whole, &place).await;
        let filled = filled.map_err(refuse)?;
        let Some(rest) = rest else {
            return Ok(Filled {
                parts,
                body: Body::whole(filled.or(held).unwrap_or_default()),
                found: None,
            });
        };
        let found = Found::default();
        let body = Watch::new(
            held,
            rest,
            Arc::clone(broker.placeholders()),
            Arc::clone(&found),
        );
        Ok(Filled {
            parts,
            body: Body::searched(body),
            found: Some(found),
        })
    }

    fn no_answer(&self, point: &Point, error: &NoAnswer, found: Option<&Found>) -> Refusal {
        if let Some(found) = found.and_then(|found| found.get()) {
            let secret = found.map_or("", |number| self.broker().name(number));
            return self.misused(point, &misplaced(secret));
        }
        match error {
            NoAnswer::Misled(_) => Refusal::missing(
                Kind::NetworkAccess,
                &point.scope.to_string(),
                error.to_string(),
            ),
            _ => Refusal::bad_gateway(error.to_string()),
        }
    }

    /// An answer without any secret.
    fn searched(
        &self,
        response: Response<Incoming>,
        is_head: bool,
    ) -> Result<Response<Body>, Refusal> {
        let unreadable = |why: &str| Refusal::bad_gateway(why);
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::PARTIAL_CONTENT {
            return Err(unreadable(
                "a part of an answer cannot be searched for secrets",
            ));
        }
        let mut codings = parts.headers.get_all(CONTENT_ENCODING).iter();
        let coding = codings.next().map_or(&b""[..], |value| value.as_bytes());
        let decoder = Decoder::of(coding).filter(|_| codings.next().is_none());
        let decoder = decoder.ok_or_else(|| {
            unreadable("its answer is packed in a way that cannot be searched for secrets")
        })?;
        let chunked = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !parts.headers.get_all(TRANSFER_ENCODING).iter().all(chunked) {
            return Err(unreadable(
                "its answer is framed in a way that cannot be searched for secrets",
            ));
        }
        let scrubbed = self.broker().scrubbed();
        fields::clean_answer(&mut parts.headers);
        parts.headers =
            clean_fields(scrubbed, &parts.headers).map_err(|lost| unreadable(&lost.to_string()))?;
        if !is_head {
            parts.headers.remove(CONTENT_LENGTH);
            parts.headers.remove(CONTENT_ENCODING);
        }
        // The reason phrase is the destination's text as well.
        parts.extensions.clear();
        let bodyless = is_head
            || matches!(
                parts.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        let body = if bodyless {
            Body::whole("")
        } else {
            Body::searched(Answer::new(body, decoder, Arc::clone(scrubbed)))
        };
        Ok(Response::from_parts(parts, body))
    }
}

/// An answer as it came, framed anew.
fn passed(response: Response<Incoming>, is_head: bool) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    fields::clean_answer(&mut parts.headers);
    parts.extensions.clear();
    let exact = http_body::Body::size_hint(&body).exact();
    let declared = parts.headers.get(CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse().ok());
    if !is_head && parts.status != StatusCode::NOT_MODIFIED && exact != declared {
        parts.headers.remove(CONTENT_LENGTH);
    }
    Response::from_parts(parts, Body::through(body))
}

/// What was read of a body, and the rest of it where it is longer than can be held.
type Held = (Option<Vec<u8>>, Option<Incoming>);

/// Reads a body until it is over, or longer than can be held.
async fn hold(mut body: Incoming) -> Result<Held, Refusal> {
    let mut held = Vec::new();
    while held.len() <= MAX_FORM {
        let Some(frame) = body.frame().await else {
            return Ok((Some(held), None));
        };
        let broken = |_| Refusal::bad_gateway("the request broke off");
        match frame.map_err(broken)?.into_data() {
            Ok(data) => held.extend_from_slice(&data),
            // Fields of forms have no trailers, and they would be lost.
            Err(_) => return Err(Refusal::bad_gateway("a form has no trailers")),
        }
    }
    Ok((Some(held), Some(body)))
}

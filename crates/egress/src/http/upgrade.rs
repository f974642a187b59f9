//! WebSockets (RFC 6455): the handshake is a decided request; what follows is carried as it is.

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::sync::OwnedSemaphorePermit;

use super::body::Body;
use super::fields;
use super::tasks::Spawner;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether a request asks to go on as a WebSocket.
///
/// # Errors
/// Any other protocol: what it would carry cannot be decided (L4).
pub(super) fn asked(request: &Parts) -> Result<bool, &'static str> {
    let mut protocols = request.headers.get_all(UPGRADE).iter();
    let Some(protocol) = protocols.next() else {
        return Ok(false);
    };
    let plain = request.version == Version::HTTP_11
        && request.method == Method::GET
        && protocols.next().is_none()
        && fields::connection_names(&request.headers, "upgrade");
    if plain && protocol.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return Ok(true);
    }
    Err(
        "only WebSockets are upgraded to: what another protocol carries, such as h2c, cannot be decided; let the \
         client speak HTTP/1.1, or HTTP/2 over TLS",
    )
}

/// Whether nothing may follow a request on its connection unless it is upgraded: the strict reader of
/// requests let go when it saw one like this.
pub(super) fn ends_requests<B>(request: &Request<B>) -> bool {
    let asks = request.headers().contains_key(UPGRADE) || request.method() == Method::CONNECT;
    request.version() != Version::HTTP_2 && asks
}

/// Says that the connection ends with this answer.
pub(super) fn close<B>(response: &mut Response<B>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// Asks the destination for a WebSocket.
pub(super) fn ask(request: &mut http::HeaderMap) {
    request.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    request.insert(UPGRADE, WEBSOCKET);
}

/// Takes the destination's answer: where it agrees, what both sides send is carried until one ends.
/// None where it switches to what was not asked for.
pub(super) fn answered(
    spawner: &Spawner,
    plugin: OnUpgrade,
    place: OwnedSemaphorePermit,
    mut response: Response<Incoming>,
) -> Option<Response<Body>> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let mut response = response.map(|body| Body::through(body).keeping(place));
        fields::clean_answer(response.headers_mut());
        return Some(response);
    }
    let agreed = response.headers().get(UPGRADE)?;
    if !agreed.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return None;
    }
    let destination = hyper::upgrade::on(&mut response);
    spawner.execute(async move {
        let (Ok(plugin), Ok(destination)) = tokio::join!(plugin, destination) else {
            return;
        };
        let (mut plugin, mut destination) = (TokioIo::new(plugin), TokioIo::new(destination));
        let _ = copy_bidirectional(&mut plugin, &mut destination).await;
        drop(place);
    });
    let mut fields = std::mem::take(response.headers_mut());
    fields::clean_answer(&mut fields);
    ask(&mut fields);
    let mut switched = Response::new(Body::whole(""));
    *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *switched.headers_mut() = fields;
    Some(switched)
}

//! Connections from the host to decided destinations, kept and used again.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bailiwick_capability::{Host, Scheme};
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::body::Body;
use super::decide::Point;
use super::tasks::{Spawner, Tasks};
use crate::context::Context;
use crate::dial::DialError;

/// Longest TLS handshake with a destination.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long a connection that nobody uses is used again.
const IDLE: Duration = Duration::from_secs(60);
/// Connections kept of one destination, and destinations of which some are kept: each is a descriptor of the
/// host's, and below a wildcard the plugin chooses how many destinations there are.
const MAX_IDLE: usize = 8;
const MAX_DESTINATIONS: usize = 16;
/// Header fields of one answer together, in bytes; the destination writes them.
const MAX_FIELDS: u32 = 64 << 10;

type Sender1 = http1::SendRequest<Body>;
type Sender2 = http2::SendRequest<Body>;

/// Where a connection leads.
type Destination = (Scheme, Host, u16);

/// Why there is no answer. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// The address is refused; told as a denial already.
    #[error("{0}")]
    Misled(DialError),
    /// Nobody is there, or not who should be.
    #[error("the destination cannot be reached: {0}")]
    Unreachable(io::Error),
    /// The connection broke before there was an answer.
    #[error("the destination broke off without an answer")]
    Broken,
}

/// The connections of one plugin to the outside.
#[derive(Default)]
pub(super) struct Upstreams {
    kept: Mutex<HashMap<Destination, Kept>>,
    /// Offering HTTP/1.1 alone, and HTTP/2 as well.
    tls: OnceLock<(Arc<ClientConfig>, Arc<ClientConfig>)>,
    tasks: Tasks,
}

#[derive(Default)]
struct Kept {
    one: Vec<(Sender1, Instant)>,
    two: Option<Sender2>,
}

enum Sender {
    One(Sender1),
    Two(Sender2),
}

/// What the plugin spoke, and so what may be spoken to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/1.1 alone.
    One,
    /// HTTP/2 where the destination does, too.
    OneOrTwo,
}

impl Upstreams {
    /// Sends a request; a kept connection that turns out to be gone is replaced once.
    pub(super) async fn send(
        &self,
        context: &Context,
        point: &Point,
        speaks: Speaks,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let key = (point.scheme, point.host.clone(), point.port);
        if let Some(sender) = self.kept(&key, speaks) {
            request = match self.try_send(&key, sender, point, request).await {
                Ok(response) => return Ok(response),
                Err(Some(request)) => *request,
                Err(None) => return Err(NoAnswer::Broken),
            };
        }
        let sender = self.connect(context, point, speaks).await?;
        let sent = self.try_send(&key, sender, point, request).await;
        sent.map_err(|_| NoAnswer::Broken)
    }

    /// The error is the request itself, where nothing of it was sent.
    async fn try_send(
        &self,
        key: &Destination,
        sender: Sender,
        point: &Point,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Option<Box<Request<Body>>>> {
        address(&mut request, point, &sender).ok_or(None)?;
        match sender {
            Sender::One(mut sender) => {
                let sent = sender.try_send_request(request).await;
                let response = sent.map_err(|mut error| error.take_message().map(Box::new))?;
                // Not ready before its answer was read to the end, so nobody gets it before.
                self.keep(key, |kept| {
                    if kept.one.len() < MAX_IDLE {
                        kept.one.push((sender, Instant::now()));
                    }
                });
                Ok(response)
            }
            Sender::Two(mut sender) => {
                self.keep(key, |kept| kept.two = Some(sender.clone()));
                let sent = sender.try_send_request(request).await;
                sent.map_err(|mut error| error.take_message().map(Box::new))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Destination, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: &Destination, put: impl FnOnce(&mut Kept)) {
        let mut all = self.lock();
        match all.get_mut(key) {
            Some(kept) => put(kept),
            None => {
                if all.len() >= MAX_DESTINATIONS {
                    all.clear();
                }
                put(all.entry(key.clone()).or_default());
            }
        }
    }

    fn kept(&self, key: &Destination, speaks: Speaks) -> Option<Sender> {
        let mut all = self.lock();
        let kept = all.get_mut(key)?;
        kept.two.take_if(|sender| sender.is_closed());
        if speaks == Speaks::OneOrTwo
            && let Some(sender) = &kept.two
        {
            return Some(Sender::Two(sender.clone()));
        }
        kept.one
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE);
        let ready = kept.one.iter().position(|(sender, _)| sender.is_ready())?;
        Some(Sender::One(kept.one.swap_remove(ready).0))
    }

    /// A connection of its own, for HTTP/1.1 requests that ask for another protocol.
    pub(super) async fn send_alone(
        &self,
        context: &Context,
        point: &Point,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let mut sender = self.connect(context, point, Speaks::One).await?;
        address(&mut request, point, &sender).ok_or(NoAnswer::Broken)?;
        match &mut sender {
            Sender::One(sender) => sender.send_request(request).await,
            Sender::Two(sender) => sender.send_request(request).await,
        }
        .map_err(|_| NoAnswer::Broken)
    }

    async fn connect(
        &self,
        context: &Context,
        point: &Point,
        speaks: Speaks,
    ) -> Result<Sender, NoAnswer> {
        let target = format!("{}://{}", point.scheme.as_str(), point.authority());
        let stream = context
            .dial(&point.host, point.port, &target)
            .await
            .map_err(|error| match error {
                DialError::Failed(error) => NoAnswer::Unreachable(error),
                misled @ DialError::Misled { .. } => NoAnswer::Misled(misled),
            })?;
        let _ = stream.set_nodelay(true);
        if point.scheme != Scheme::Https {
            return self.one(stream).await;
        }
        let stream = self.secure(context, &point.host, speaks, stream).await;
        let stream = stream.map_err(NoAnswer::Unreachable)?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            return self.two(stream).await;
        }
        self.one(stream).await
    }

    async fn secure(
        &self,
        context: &Context,
        host: &Host,
        speaks: Speaks,
        stream: TcpStream,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = match host {
            Host::Ip(address) => ServerName::from(*address),
            Host::Name(name) => {
                ServerName::try_from(name.as_str().to_owned()).map_err(io::Error::other)?
            }
        };
        let (one, both) = self.tls.get_or_init(|| {
            let offering = |protocols: &[&[u8]]| {
                let mut config = ClientConfig::clone(context.outside.tls());
                config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
                Arc::new(config)
            };
            (offering(&[b"http/1.1"]), offering(&[b"h2", b"http/1.1"]))
        });
        let config = if speaks == Speaks::One { one } else { both };
        let connector = TlsConnector::from(Arc::clone(config));
        let handshake = timeout(HANDSHAKE, connector.connect(name, stream));
        handshake
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn one(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Sender, NoAnswer> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| NoAnswer::Broken)?;
        self.drive(async {
            let _ = connection.with_upgrades().await;
        });
        Ok(Sender::One(sender))
    }

    async fn two(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Sender, NoAnswer> {
        let (sender, connection) = http2::Builder::<Spawner>::new(self.tasks.spawner())
            .max_header_list_size(MAX_FIELDS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| NoAnswer::Broken)?;
        self.drive(async {
            let _ = connection.await;
        });
        Ok(Sender::Two(sender))
    }

    fn drive(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawner().execute(task);
    }
}

/// Writes target, host and version of a request anew, as its connection wants them; none where they cannot
/// be written, which no decided request comes to.
fn address(request: &mut Request<Body>, point: &Point, sender: &Sender) -> Option<()> {
    let line = match request.uri().query() {
        Some(query) => format!("{}?{query}", point.path),
        None => point.path.clone(),
    };
    let authority = point.authority();
    let target = match sender {
        Sender::One(_) => {
            *request.version_mut() = Version::HTTP_11;
            let host = HeaderValue::try_from(&authority).ok()?;
            request.headers_mut().insert(HOST, host);
            line
        }
        Sender::Two(_) => {
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(HOST);
            format!("{}://{authority}{line}", point.scheme.as_str())
        }
    };
    *request.uri_mut() = target.parse().ok()?;
    Some(())
}

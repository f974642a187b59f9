//! The HTTP side of a witness (C2SP tlog-witness).

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::decide::{Answer, Witness};

/// What one that is asked by anybody puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait.
    pub connections: usize,
    /// How long a request's head, its body, and the next request of a connection may be waited for.
    pub patience: Duration,
    /// How long a connection may live.
    pub life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            patience: Duration::from_secs(10),
            life: Duration::from_secs(300),
        }
    }
}

/// Serves a witness until the task is dropped.
///
/// # Errors
/// When no more connections can be accepted.
pub async fn serve(
    listener: TcpListener,
    witness: Arc<Witness>,
    limits: Limits,
) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return Ok(());
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_theirs(&error) => continue,
            Err(error) if is_full(&error) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let witness = Arc::clone(&witness);
        tokio::spawn(async move {
            let _ = timeout(limits.life, connection(stream, witness, limits)).await;
            drop(place);
        });
    }
}

/// The other side went away before it was accepted.
fn is_theirs(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

/// This process or machine has no descriptors left for now.
fn is_full(error: &std::io::Error) -> bool {
    // ENFILE and EMFILE have no kind of their own.
    matches!(error.raw_os_error(), Some(23 | 24))
}

async fn connection(stream: TcpStream, witness: Arc<Witness>, limits: Limits) {
    let service = service_fn(move |request| {
        let witness = Arc::clone(&witness);
        async move { Ok::<_, Infallible>(answer(request, witness, limits).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.patience)
        .max_headers(64)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Reply = Response<Full<Bytes>>;

async fn answer(request: Request<Incoming>, witness: Arc<Witness>, limits: Limits) -> Reply {
    let path = request.uri().path().to_owned();
    let (method, wanted) = (request.method().clone(), path.trim_start_matches('/'));
    if wanted == "add-checkpoint" {
        if method != Method::POST {
            return only("POST");
        }
        return add_checkpoint(request, witness, limits).await;
    }
    let hash = wanted.strip_suffix("/checkpoint").map(str::to_owned);
    let Some(hash) = hash else {
        return plain(StatusCode::NOT_FOUND, "there is nothing here\n");
    };
    if method != Method::GET && method != Method::HEAD {
        return only("GET, HEAD");
    }
    let found = tokio::task::spawn_blocking(move || witness.latest(&hash)).await;
    match found {
        Ok(Ok(Some(note))) => plain(StatusCode::OK, note),
        Ok(Ok(None)) => plain(
            StatusCode::NOT_FOUND,
            "no checkpoint of this log was cosigned\n",
        ),
        Ok(Err(_)) | Err(_) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "the witness cannot read its memory\n",
        ),
    }
}

async fn add_checkpoint(
    request: Request<Incoming>,
    witness: Arc<Witness>,
    limits: Limits,
) -> Reply {
    let body = Limited::new(request.into_body(), bailiwick_tlog::MAX_SUBMISSION_BYTES);
    let body = match timeout(limits.patience, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long\n");
        }
        Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the request broke off\n"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the request took too long\n"),
    };
    // It waits for the disk.
    let answer = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await;
    let answer = answer.unwrap_or_else(|error| Answer::Unavailable(error.to_string()));
    let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer {
        Answer::Cosigned(line) => plain(status, line),
        Answer::Conflict(size) => {
            let mut reply = plain(status, format!("{size}\n"));
            let kind = HeaderValue::from_static("text/x.tlog.size");
            reply.headers_mut().insert(CONTENT_TYPE, kind);
            reply
        }
        Answer::UnknownLog => plain(status, "this log is not watched over here\n"),
        // Names of our files are nobody's business out there; the operator finds them in the witness's own words.
        Answer::Unavailable(why) => {
            eprintln!("bailiwick witness: {why}");
            plain(status, "the witness cannot cosign at the moment\n")
        }
        Answer::Malformed(why) | Answer::Forbidden(why) | Answer::Inconsistent(why) => {
            let mut text = String::new();
            let _ = writeln!(text, "{}", why.escape_debug());
            plain(status, text)
        }
    }
}

fn only(methods: &'static str) -> Reply {
    let mut reply = plain(StatusCode::METHOD_NOT_ALLOWED, "not by this method\n");
    reply
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    reply
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(text.into()));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    let nosniff = HeaderValue::from_static("nosniff");
    reply
        .headers_mut()
        .insert("x-content-type-options", nosniff);
    reply
}

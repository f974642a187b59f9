//! One request for each batch: OTLP/HTTP in protobuf, or OCSF as JSON lines.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use super::{BATCH, Failure, MAX_ANSWER, PATIENCE, Sink};
use crate::error::ExportError;
use crate::format::{Format, encode_lines};
use crate::otlp;
use crate::record::Record;
use crate::target::Header;

const PROTOBUF: &str = "application/x-protobuf";

pub(super) struct Http {
    uri: Uri,
    tls: Arc<ClientConfig>,
    format: Format,
    headers: Vec<Header>,
    /// Of this thread alone.
    runtime: Runtime,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Http {
    pub(super) fn new(
        uri: Uri,
        tls: Arc<ClientConfig>,
        format: Format,
        headers: Vec<Header>,
    ) -> Result<Self, ExportError> {
        let wrong = |why: String| ExportError::Target {
            target: uri.to_string(),
            why,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            uri,
            tls,
            format,
            headers,
            runtime,
        })
    }

    fn request(&self, batch: &[Record]) -> Result<Request<Full<Bytes>>, Failure> {
        let (kind, body) = match self.format {
            Format::Otlp => (PROTOBUF, otlp::protobuf(batch)),
            _ => ("application/x-ndjson", encode_lines(self.format, batch, "")),
        };
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self
            .uri
            .authority()
            .map(|authority| authority.as_str())
            .unwrap_or_default();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, kind)
            .header(USER_AGENT, concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)))
            .map_err(Failure::later)?;
        for header in &self.headers {
            if let Some(value) = header.value() {
                request.headers_mut().insert(header.name.clone(), value);
            }
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let https = self.uri.scheme_str() == Some("https");
        let host = self.uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let connecting = tokio::time::timeout(PATIENCE, TcpStream::connect((bare, port)));
        let socket = connecting
            .await
            .map_err(Failure::later)?
            .map_err(Failure::later)?;
        if !https {
            return talk(socket, request).await;
        }
        let name = ServerName::try_from(bare.to_owned()).map_err(Failure::later)?;
        let connecting = TlsConnector::from(self.tls.clone()).connect(name, socket);
        let connecting = tokio::time::timeout(PATIENCE, connecting);
        let stream = connecting
            .await
            .map_err(Failure::later)?
            .map_err(Failure::later)?;
        talk(stream, request).await
    }
}

impl Sink for Http {
    fn send(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let request = self.request(batch)?;
        let exchange = async {
            let exchange = tokio::time::timeout(BATCH, self.exchange(request));
            exchange
                .await
                .map_err(|_| Failure::later("it takes too long"))?
        };
        let answer = self.runtime.block_on(exchange)?;
        match self.format {
            Format::Otlp => judge(&answer).and_then(|()| judge_otlp(&answer)),
            _ => judge(&answer),
        }
    }
}

async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(Failure::later)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(Failure::later)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER)
        .collect()
        .await
        .map_err(Failure::later)?;
    connection.abort();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
    })
}

/// The status. Redirects are not followed: whoever answers must not say where the log goes.
fn judge(answer: &Answer) -> Result<(), Failure> {
    let why = format!("it answered {}", answer.status);
    match answer.status {
        status if status.is_success() => Ok(()),
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Err(Failure::Refused { why }),
        _ => Err(Failure::Later {
            why,
            wait: retry_after(&answer.headers),
        }),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// A collector answers in protobuf and says how many records it dropped. Something else that answers 200, such as a
/// portal that wants a login, has taken nothing.
fn judge_otlp(answer: &Answer) -> Result<(), Failure> {
    let kind = answer
        .headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if !kind.starts_with(PROTOBUF.as_bytes()) {
        return Err(Failure::later(format!(
            "it answered {}, and not as a collector does",
            answer.status
        )));
    }
    let response = otlp::model::Response::decode(answer.body.clone())
        .map_err(|_| Failure::later("its answer is no ExportLogsServiceResponse"))?;
    match response.partial_success {
        Some(partial) if partial.rejected_log_records > 0 => {
            let why = crate::text::plain(&partial.error_message, 200);
            Err(Failure::Refused {
                why: format!("it dropped {}: {why}", partial.rejected_log_records),
            })
        }
        _ => Ok(()),
    }
}

//! A small HTTP client: one request on one connection, everything bounded, no redirects, no state.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Longest answer that is read, in bytes.
const MAX_REPLY: usize = 64 << 10;
/// How long a request may take from the look-up of the name to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a request is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `PUT`.
    #[default]
    Put,
    /// `POST`.
    Post,
}

/// An `http` or `https` URL without user, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// A text that is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no URL for this: write http:// or https://, a host, perhaps a port and a path, and nothing else"
)]
pub struct UrlError(String);

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The content type, where one was said.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error("cannot connect to {to}: {why}")]
    Connect {
        /// Host and port.
        to: String,
        /// What the system or TLS says.
        why: String,
    },
    /// The connection broke, or the answer is none.
    #[error("{to} did not answer properly: {why}")]
    Exchange {
        /// Host and port.
        to: String,
        /// What is wrong.
        why: String,
    },
    /// Too slow.
    #[error("{to} did not answer within {} seconds", PATIENCE.as_secs())]
    TooSlow {
        /// Host and port.
        to: String,
    },
    /// An authority's certificate is none.
    #[error("a trusted authority's certificate cannot be used: {0}")]
    Authority(String),
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let bad = || UrlError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let authority = uri.authority().ok_or_else(bad)?;
        let (host, said) = (authority.host(), authority.port_u16());
        let port = said.unwrap_or(if tls { 443 } else { 80 });
        // Nothing but a host, and perhaps a port that is one: no user before it, no number too large for a port.
        let spelled = said.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let whole = authority.as_str() == spelled && uri.query().is_none() && !text.contains('#');
        if !whole || host.is_empty() {
            return Err(bad());
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            path: uri.path().to_owned(),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl Url {
    /// The URL with `/` and `rest` after its path.
    #[must_use]
    pub fn below(&self, rest: &str) -> Self {
        let path = format!("{}/{rest}", self.path.trim_end_matches('/'));
        Self {
            path,
            ..self.clone()
        }
    }

    fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Makes requests.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
}

impl Client {
    /// A client that trusts the usual authorities and these besides, in DER.
    ///
    /// # Errors
    /// [`HttpError::Authority`].
    pub fn new(authorities: &[Vec<u8>]) -> Result<Self, HttpError> {
        let bad = |why: &dyn fmt::Display| HttpError::Authority(why.to_string());
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.into(),
        };
        for der in authorities {
            roots
                .add(CertificateDer::from(der.clone()))
                .map_err(|error| bad(&error))?;
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(tls)),
        })
    }

    /// Sends a body and reads the answer, whatever its status.
    ///
    /// # Errors
    /// [`HttpError`] when there is no answer, or one that is too long.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Reply, HttpError> {
        let exchange = self.exchange(method, url, content_type, body);
        timeout(PATIENCE, exchange)
            .await
            .map_err(|_| HttpError::TooSlow { to: url.address() })?
    }

    async fn exchange(
        &self,
        method: Method,
        url: &Url,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Reply, HttpError> {
        let refused = |why: &dyn fmt::Display| HttpError::Connect {
            to: url.address(),
            why: why.to_string(),
        };
        let stream = TcpStream::connect(url.address())
            .await
            .map_err(|error| refused(&error))?;
        let request = request(method, url, content_type, body).map_err(|error| refused(&error))?;
        let broken = |why: String| HttpError::Exchange {
            to: url.address(),
            why,
        };
        if url.tls {
            let bare = url.host.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(bare.to_owned()).map_err(|error| refused(&error))?;
            let stream = self.tls.connect(name, stream).await;
            one(stream.map_err(|error| refused(&error))?, request).await
        } else {
            one(stream, request).await
        }
        .map_err(broken)
    }
}

fn request(
    method: Method,
    url: &Url,
    content_type: &str,
    body: Vec<u8>,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let path = if url.path.is_empty() { "/" } else { &url.path };
    Request::builder()
        .method(match method {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
        })
        .uri(path)
        .header(HOST, url.authority())
        .header(USER_AGENT, "bailiwick")
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, content_type)
        .body(Full::new(Bytes::from(body)))
}

async fn one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Reply, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    let outcome = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let said = parts.headers.get(CONTENT_TYPE);
        let content_type = said.and_then(|value| value.to_str().ok().map(str::to_owned));
        let body = Limited::new(body, MAX_REPLY).collect().await;
        Ok(Reply {
            status: parts.status.as_u16(),
            content_type,
            body: body.map_err(|error| error.to_string())?.to_bytes().to_vec(),
        })
    };
    let outcome = outcome.await;
    driver.abort();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_one_form_and_others_are_refused() {
        for text in [
            "http://127.0.0.1:8080/w",
            "https://witness.example/a/b",
            "http://[::1]:9/",
        ] {
            assert_eq!(text.parse::<Url>().unwrap().to_string(), text);
        }
        let url: Url = "https://w.example/p/".parse().unwrap();
        assert_eq!(
            url.below("add-checkpoint").to_string(),
            "https://w.example/p/add-checkpoint"
        );
        let bare: Url = "http://w.example".parse().unwrap();
        assert_eq!(bare.below("x").to_string(), "http://w.example/x");
        for bad in [
            "",
            "w.example",
            "ftp://w.example/",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http://user@w.example/",
            "http://w.example/?q",
            "http://w.example/#f",
            "http://w.example:99999/",
            "http://w .example/",
            "http://w.example/\r\nx: y",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}

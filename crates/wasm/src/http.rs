//! `wasi:http`: each request is decided, resolved, checked and dialled by the host.
//!
//! The values that the grant is asked about are the values that are sent: scheme, host, port, path and
//! method are parsed once, and the request line and `Host` are written anew from them. A redirect is a
//! response like any other: following it is a new request of the guest's, decided anew.

mod dial;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_capability::{
    Capability, DnsName, Grant, Host, HostPattern, Kind, Method, NetScope, Scheme, Scope, UrlPath,
};
use bailiwick_wall::{Addresses, PrivateNames, Resolve};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use tokio_rustls::rustls;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::aside::Notes;

type SendResult = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &DnsName) -> Addresses {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// What all calls share for going out.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) private: PrivateNames,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

impl Outside {
    /// The machine's resolver, and the certificate authorities that browsers trust.
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.into(),
        };
        Ok(Self {
            resolver: Arc::new(SystemResolver),
            private: PrivateNames::default(),
            tls: Self::trusting(roots)?,
        })
    }

    pub(crate) fn trusting(
        roots: rustls::RootCertStore,
    ) -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The outgoing hook of one call.
pub(crate) struct Http {
    pub(crate) grant: Arc<Grant>,
    pub(crate) notes: Notes,
    pub(crate) outside: Outside,
    /// Most bytes of one response body.
    pub(crate) body_bytes: usize,
    /// Longest wait for any one step.
    pub(crate) patience: Duration,
}

/// Where a decided request goes.
#[derive(Debug, Clone)]
struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
    path: UrlPath,
    shown: String,
}

impl Http {
    fn deny(&self, target: impl Into<String>, reason: impl Into<String>) -> Error {
        self.notes
            .denied(Kind::NetworkAccess.as_str(), target, reason);
        Error::HttpRequestDenied
    }

    /// Decides a request by the grant.
    fn decide(&self, request: &Request<WasiBody>) -> Result<Target, Error> {
        let uri = request.uri();
        // The query may hold what does not belong into a log.
        let shown = format!(
            "{} {}://{}{}",
            request.method(),
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", http::uri::Authority::as_str),
            uri.path()
        );
        let (scope, target) = point(request, &shown).map_err(|why| self.deny(&shown, why))?;
        let operation = Capability::new(Kind::NetworkAccess, Scope::Net(scope));
        if operation.is_ok_and(|operation| self.grant.permits(&operation)) {
            Ok(target)
        } else {
            Err(self.deny(shown, "not granted"))
        }
    }
}

/// Reads a request as a point of the lattice.
fn point(request: &Request<WasiBody>, shown: &str) -> Result<(NetScope, Target), String> {
    let uri = request.uri();
    let scheme = match uri.scheme_str() {
        Some("https") => Scheme::Https,
        Some("http") => Scheme::Http,
        _ => return Err("only http and https are spoken".into()),
    };
    let authority = uri.authority().ok_or("the request names no host")?;
    let text = authority.as_str();
    if text.contains('@') || text.ends_with(':') {
        return Err("the authority holds more than a host and a port".into());
    }
    let host = Host::parse(authority.host()).map_err(|error| error.to_string())?;
    let port = authority
        .port_u16()
        .or(scheme.default_port())
        .ok_or("the request names no port")?;
    let method = Method::parse(request.method().as_str()).map_err(|error| error.to_string())?;
    if matches!(method.as_str(), "CONNECT" | "TRACE") {
        return Err("CONNECT and TRACE are never sent".into());
    }
    let path = UrlPath::parse(uri.path()).map_err(|error| error.to_string())?;
    let scope = NetScope::new(
        scheme,
        HostPattern::Exact(host.clone()),
        port,
        Some(path.clone()),
        Some(BTreeSet::from([method])),
    )
    .map_err(|error| error.to_string())?;
    Ok((
        scope,
        Target {
            scheme,
            host,
            port,
            path,
            shown: shown.to_owned(),
        },
    ))
}

impl WasiHttpHooks for Http {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        let decided = self.decide(&request);
        let (outside, notes) = (self.outside.clone(), self.notes.clone());
        let (body_bytes, patience) = (self.body_bytes, self.patience);
        Box::new(async move {
            let target = decided?;
            let options = options.unwrap_or_default();
            let wait =
                |asked: Option<Duration>| asked.map_or(patience, |asked| asked.min(patience));
            let dialling = dial::dial(&target, &outside, &notes);
            let stream = tokio::time::timeout(wait(options.connect_timeout), dialling)
                .await
                .map_err(|_| Error::ConnectionTimeout)??;
            let request = rewrite(request, &target)?;
            exchange(
                stream,
                request,
                wait(options.first_byte_timeout),
                body_bytes,
            )
            .await
        })
    }
}

/// Writes the request line and `Host` from the decided values.
fn rewrite(mut request: Request<WasiBody>, target: &Target) -> Result<Request<WasiBody>, Error> {
    let line = match request.uri().query() {
        Some(query) => format!("{}?{query}", target.path),
        None => target.path.to_string(),
    };
    let host = if target.scheme.default_port() == Some(target.port) {
        target.host.to_string()
    } else {
        format!("{}:{}", target.host, target.port)
    };
    *request.uri_mut() = line.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
    *request.version_mut() = http::Version::HTTP_11;
    let host = HeaderValue::try_from(host).map_err(|_| Error::HttpRequestUriInvalid)?;
    for hop in [
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
    ] {
        request.headers_mut().remove(hop);
    }
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

async fn exchange(
    stream: Box<dyn dial::Stream>,
    request: Request<WasiBody>,
    wait: Duration,
    body_bytes: usize,
) -> SendResult {
    let io = wasmtime_wasi_http::io::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let connection = wasmtime_wasi::runtime::spawn(connection);
    let response = tokio::time::timeout(wait, sender.send_request(request))
        .await
        .map_err(|_| Error::ConnectionReadTimeout)??;
    if response.status().is_informational() {
        return Err(Error::HttpUpgradeFailed);
    }
    let limit = u64::try_from(body_bytes).unwrap_or(u64::MAX);
    let response = response.map(|body| {
        Limited::new(body, body_bytes)
            .map_err(move |error| match error.downcast::<hyper::Error>() {
                Ok(error) => Error::from(*error),
                Err(_) => Error::HttpResponseBodySize(Some(limit)),
            })
            .boxed_unsync()
    });
    let driven = async move { connection.await.map_err(Error::from) };
    Ok((response, Box::new(driven)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str) -> Request<WasiBody> {
        let body = http_body_util::Empty::new()
            .map_err(|never| match never {})
            .boxed_unsync();
        Request::builder()
            .method(method)
            .uri(uri)
            .body(body)
            .unwrap()
    }

    fn decide(grant: &str, method: &str, uri: &str) -> bool {
        let http = Http {
            grant: Arc::new(Grant::new([format!("network_access:{grant}")
                .parse()
                .unwrap()])),
            notes: Notes::new(false),
            outside: Outside::new().unwrap(),
            body_bytes: 1,
            patience: Duration::from_secs(1),
        };
        let allowed = http.decide(&request(method, uri)).is_ok();
        assert_eq!(
            allowed,
            http.notes.take().denied.is_empty(),
            "every refusal is noted"
        );
        allowed
    }

    #[test]
    fn a_request_lies_inside_scheme_host_port_path_and_method() {
        let grant = "https://api.example.com/v1/ GET";
        assert!(decide(grant, "GET", "https://api.example.com/v1/items?x=1"));
        assert!(decide(grant, "GET", "https://API.example.com:443/v1/items"));
        for (method, uri) in [
            ("POST", "https://api.example.com/v1/items"),
            ("GET", "http://api.example.com/v1/items"),
            ("GET", "https://api.example.com:8443/v1/items"),
            ("GET", "https://example.com/v1/items"),
            ("GET", "https://api.example.com.evil.net/v1/items"),
            ("GET", "https://api.example.com/v2/items"),
            ("GET", "https://api.example.com/"),
        ] {
            assert!(!decide(grant, method, uri), "{method} {uri}");
        }
    }

    #[test]
    fn l19_a_path_that_servers_read_in_two_ways_is_refused() {
        for path in [
            "/v1/../admin",
            "/v1/%2e%2e/admin",
            "/v1/..%2fadmin",
            "/v1/%252e%252e/admin",
            "/v1//x",
            "/v1/..;/x",
        ] {
            assert!(
                !decide(
                    "https://a.example/",
                    "GET",
                    &format!("https://a.example{path}")
                ),
                "{path}"
            );
        }
    }

    #[test]
    fn l05_the_host_header_is_the_decided_host() {
        let asked = request("GET", "http://A.Example:8080/x?q=1");
        let (_, target) = point(&asked, "").unwrap();
        let sent = rewrite(asked, &target).unwrap();
        assert_eq!(sent.headers().get(header::HOST).unwrap(), "a.example:8080");
        assert_eq!(sent.uri(), "/x?q=1");
    }

    #[test]
    fn user_names_and_connect_are_refused() {
        assert!(!decide(
            "https://a.example",
            "GET",
            "https://a.example@evil.example/"
        ));
        assert!(!decide("https://a.example", "GET", "https://me@a.example/"));
        assert!(!decide(
            "https://a.example",
            "CONNECT",
            "https://a.example/"
        ));
        assert!(!decide("https://a.example", "TRACE", "https://a.example/"));
    }

    /// The body of an answer of `len` bytes when `limit` are allowed.
    async fn answered(len: usize, limit: usize) -> Result<usize, Error> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (ours, mut theirs) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let _ = theirs.read(&mut [0; 1024]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n");
            let _ = theirs.write_all(head.as_bytes()).await;
            let _ = theirs.write_all(&vec![b'x'; len]).await;
        });
        let mut asked = request("GET", "/");
        asked
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_static("a.example"));
        let (response, _driver) =
            exchange(Box::new(ours), asked, Duration::from_secs(30), limit).await?;
        Ok(response.into_body().collect().await?.to_bytes().len())
    }

    #[tokio::test]
    async fn a_large_answer_is_cut_off() {
        assert_eq!(answered(30_000, 30_000).await.unwrap(), 30_000);
        let cut = answered(30_001, 30_000).await;
        assert!(
            matches!(cut, Err(Error::HttpResponseBodySize(Some(30_000)))),
            "{cut:?}"
        );
    }
}

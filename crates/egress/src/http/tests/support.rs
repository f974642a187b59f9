//! A plugin's side, a destination's side, and the wall between them, on the loopback device.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bailiwick_capability::{DnsName, Grant, Host};
use bailiwick_wall::{Addresses, Binding, Denials, Denied, Resolve, Secret, SecretValue};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::broker::{MayUse, SecretUses};
use crate::context::{Context, Counts};
use crate::dial::Outside;
use crate::http::Terminator;
use crate::names::Names;
use crate::replay::Replay;
use crate::rules::{Dialled, Rules};

pub(super) const SECRET: &str = "ghp_S3cr3t/Value+42=";
pub(super) const PLACEHOLDER: &str = "bw_7f3kq2m9x4placeholder";

pub(super) type AnyBody = UnsyncBoxBody<Bytes, Infallible>;
type Handler = dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<AnyBody>> + Send>>
    + Send
    + Sync;

pub(super) fn full(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).boxed_unsync()
}

/// Certificates for `localhost` and 127.0.0.1, by an authority of the test's own.
struct TestAuthority {
    root: Vec<u8>,
    server: Arc<ServerConfig>,
}

fn test_authority() -> TestAuthority {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&leaf_key, &issuer)
        .unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TestAuthority {
        root: root.der().to_vec(),
        server: Arc::new(server),
    }
}

/// A destination; keeps what it received.
pub(super) struct Origin {
    pub(super) port: u16,
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) requests: Arc<AtomicUsize>,
    root: Vec<u8>,
}

impl Origin {
    /// Serves HTTP/1.1 and HTTP/2 over TLS.
    pub(super) async fn https<F>(
        handler: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        Self::start(true, Arc::new(move |request| Box::pin(handler(request)))).await
    }

    /// Serves plain HTTP/1.1.
    pub(super) async fn http<F>(
        handler: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        Self::start(false, Arc::new(move |request| Box::pin(handler(request)))).await
    }

    async fn start(tls: bool, handler: Arc<Handler>) -> Self {
        let authority = test_authority();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            requests: Arc::default(),
            root: authority.root,
        };
        let (connections, requests) = (origin.connections.clone(), origin.requests.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (handler, requests) = (handler.clone(), requests.clone());
                let acceptor = tls.then(|| TlsAcceptor::from(authority.server.clone()));
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, false, handler, requests).await,
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else {
                                return;
                            };
                            let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                            serve(stream, two, handler, requests).await;
                        }
                    }
                });
            }
        });
        origin
    }

    pub(super) fn seen(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    two: bool,
    handler: Arc<Handler>,
    requests: Arc<AtomicUsize>,
) {
    let service = service_fn(move |request| {
        requests.fetch_add(1, Ordering::SeqCst);
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let stream = TokioIo::new(stream);
    if two {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(1 << 20)
            .serve_connection(stream, service);
        let _ = server.await;
    } else {
        let server = hyper::server::conn::http1::Builder::new().serve_connection(stream, service);
        let _ = server.with_upgrades().await;
    }
}

/// Every name is this machine.
struct Here;

impl Resolve for Here {
    fn resolve(&self, _: &DnsName) -> Addresses {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

/// Allows each use and remembers it, or refuses them all.
#[derive(Default)]
pub(super) struct Book {
    pub(super) uses: Mutex<Vec<(String, String)>>,
    pub(super) refuse: bool,
}

impl SecretUses for Book {
    fn about_to_use<'a>(&'a self, secret: &'a str, destination: &'a str) -> MayUse<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.refuse {
                return Err("the log is full".to_owned());
            }
            let mut uses = self.uses.lock().unwrap();
            uses.push((secret.to_owned(), destination.to_owned()));
            Ok(())
        })
    }
}

/// The wall between a plugin and its destinations.
pub(super) struct World {
    pub(super) context: Arc<Context>,
}

impl World {
    /// Grants `atoms` of `network_access`, where `{}` is the port of the first origin.
    pub(super) fn new(atoms: &[&str], origins: &[&Origin]) -> Self {
        Self::with(atoms, origins, &[], None)
    }

    /// With one secret, bound to `places` at `to`.
    pub(super) fn brokering(
        atoms: &[&str],
        origins: &[&Origin],
        to: &str,
        places: &[&str],
        book: Arc<Book>,
    ) -> Self {
        let to = to.replace("{}", &origins[0].port.to_string());
        let secret = Secret {
            name: "token".to_owned(),
            placeholder: PLACEHOLDER.to_owned(),
            value: SecretValue::new(SECRET.as_bytes().to_vec()).unwrap(),
            binding: Binding {
                to: vec![bailiwick_capability::NetScope::parse(&to).unwrap()],
                places: places.iter().map(|place| place.parse().unwrap()).collect(),
                variable: "TOKEN".to_owned(),
            },
        };
        Self::with(atoms, origins, &[secret], Some(book as Arc<dyn SecretUses>))
    }

    pub(super) fn with(
        atoms: &[&str],
        origins: &[&Origin],
        secrets: &[Secret],
        uses: Option<Arc<dyn SecretUses>>,
    ) -> Self {
        let atom = |atom: &&str| {
            let mut text = format!("network_access:{atom}");
            for (number, origin) in origins.iter().enumerate() {
                let port = origin.port.to_string();
                text = text.replace(&format!("{{{number}}}"), &port);
                text = text.replace("{}", &port);
            }
            text.parse().unwrap()
        };
        let rules = Rules::new(&Grant::new(atoms.iter().map(atom)), secrets.to_vec()).unwrap();
        let roots: Vec<_> = origins.iter().map(|origin| origin.root.clone()).collect();
        let context = Context {
            names: Names::new(&rules, std::net::Ipv4Addr::new(198, 18, 0, 0)),
            outside: Outside::new(
                Arc::new(Here),
                &roots,
                bailiwick_wall::PrivateNames::default(),
            )
            .unwrap(),
            terminator: Terminator::new(&rules, uses, Vec::new()).unwrap(),
            denials: Denials::new(),
            counts: Counts::default(),
            rules,
        };
        Self {
            context: Arc::new(context),
        }
    }

    pub(super) fn denied(&self) -> Vec<Denied> {
        self.context.denials.take()
    }

    /// Why the last refusal was; there must be one.
    pub(super) fn refusal(&self, operation: &str) -> String {
        let denied = self.denied();
        let last = denied.last().expect("a refusal is told");
        assert_eq!(last.operation, operation, "{denied:?}");
        format!("{} {}", last.target, last.reason)
    }

    /// A plain connection of the plugin's to `host`.
    pub(super) async fn plain(&self, host: &str, port: u16) -> TcpStream {
        self.connect(host, port, false).await
    }

    async fn connect(&self, host: &str, port: u16, tls: bool) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inside = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (outside, _) = listener.accept().await.unwrap();
        let (context, host) = (self.context.clone(), Host::parse(host).unwrap());
        let dialled = Dialled {
            host: host.clone(),
            also: None,
            port,
        };
        tokio::spawn(async move {
            let stream = Replay::new(Vec::new(), outside);
            if tls {
                context
                    .terminator
                    .tls(&context, stream, &dialled, &host)
                    .await;
            } else {
                context.terminator.plain(&context, stream, &dialled).await;
            }
        });
        inside
    }

    /// A TLS connection of the plugin's, which trusts what it is shown.
    pub(super) async fn tls(
        &self,
        host: &str,
        port: u16,
        alpn: &[&str],
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let stream = self.connect(host, port, true).await;
        let files = self.context.terminator.files();
        let session = files
            .iter()
            .find(|(place, _)| place.ends_with("session.pem"))
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&session.1).unwrap())
            .unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }

    /// Sends raw bytes over TLS and reads until the end.
    pub(super) async fn raw(&self, port: u16, bytes: &str) -> String {
        let stream = self.tls("localhost", port, &["http/1.1"]).await;
        exchange(stream, bytes).await
    }

    /// One request by HTTP/1.1 or HTTP/2, on a connection of its own.
    pub(super) async fn ask(&self, two: bool, port: u16, request: Request<AnyBody>) -> Answer {
        let mut plugin = self.plugin(two, port).await;
        plugin.ask(request).await
    }

    /// A connection of a well-behaved client's.
    pub(super) async fn plugin(&self, two: bool, port: u16) -> Plugin {
        let alpn = if two { "h2" } else { "http/1.1" };
        let stream = self.tls("localhost", port, &[alpn]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
        if two {
            let executor = TokioExecutor::new();
            let (sender, connection) = http2::handshake(executor, TokioIo::new(stream))
                .await
                .unwrap();
            tokio::spawn(connection);
            return Plugin::Two(sender);
        }
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Plugin::One(sender)
    }
}

pub(super) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    bytes: &str,
) -> String {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A client's connection.
pub(super) enum Plugin {
    One(http1::SendRequest<AnyBody>),
    Two(http2::SendRequest<AnyBody>),
}

impl Plugin {
    pub(super) async fn send(
        &mut self,
        request: Request<AnyBody>,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Two(sender) => sender.send_request(request).await,
        }
    }

    pub(super) async fn ask(&mut self, request: Request<AnyBody>) -> Answer {
        let (parts, body) = match self.send(request).await {
            Ok(response) => response.into_parts(),
            Err(_) => return Answer::default(),
        };
        let collected = body.collect().await;
        let whole = collected.is_ok();
        let (trailers, body) = match collected {
            Ok(all) => (all.trailers().cloned(), all.to_bytes()),
            Err(_) => (None, Bytes::new()),
        };
        Answer {
            status: parts.status.as_u16(),
            fields: parts.headers,
            trailers: trailers.unwrap_or_default(),
            body: String::from_utf8_lossy(&body).into_owned(),
            whole,
        }
    }
}

/// All that the plugin sees of an answer; status 0 where the connection broke off before there was one.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
    pub(super) trailers: HeaderMap,
    pub(super) body: String,
    pub(super) whole: bool,
}

impl Answer {
    pub(super) fn everything(&self) -> String {
        format!("{:?} {:?} {}", self.fields, self.trailers, self.body)
    }
}

/// A request as a client would write it: with a `Host` for HTTP/1.1, a whole URL for HTTP/2.
pub(super) fn request(
    two: bool,
    port: u16,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> Request<AnyBody> {
    request_with(two, port, method, path, fields, full(""))
}

pub(super) fn request_with(
    two: bool,
    port: u16,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: AnyBody,
) -> Request<AnyBody> {
    let authority = format!("localhost:{port}");
    let mut builder = Request::builder().method(method);
    builder = if two {
        builder.uri(format!("https://{authority}{path}"))
    } else {
        builder.uri(path).header("host", authority)
    };
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(body).unwrap()
}

/// What a request looked like at its destination.
pub(super) async fn shown(request: Request<Incoming>) -> String {
    let (parts, body) = request.into_parts();
    let mut text = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        text.push_str(&format!(
            "{name}: {}\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&body));
    text
}

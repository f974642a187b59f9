//! One HTTPS request on a kept connection: decided by the egress, which ends TLS and begins it anew, and by
//! the smallest proxy that does so and decides nothing.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use bailiwick_capability::{DnsName, Grant};
use bailiwick_egress::{Egress, Listeners, Prepared, Settings};
use bailiwick_wall::{Addresses, Denials, Resolve};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::runtime::Runtime;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned, crypto,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Effort;
use crate::Outcome;
use crate::sample::{Row, Side, compare};

const BODY: &[u8] = &[b'x'; 200];

/// A terminated request against a minimal proxy, and against no proxy.
pub(super) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let machine = Machine::new()?;
    let origin = machine.origin(&runtime)?;
    let proxy = machine.proxy(&runtime, origin)?;
    let (egress, wall, session) = machine.egress(&runtime, origin.port())?;
    let mut decided = Client::new(wall, origin, &session)?;
    let mut minimal = Client::new(proxy, origin, &machine.root)?;
    let mut direct = Client::new(origin, origin, &machine.root)?;
    let rows = compare(
        "one HTTPS request of 200 B, kept connection",
        effort.plan(300, 50),
        &mut [
            Side::new("egress, TLS terminated", || decided.get()),
            Side::new("minimal hyper TLS proxy", || minimal.get()),
            Side::new("no proxy", || direct.get()),
        ],
    );
    drop((decided, egress));
    rows
}

/// Who is trusted, and under which certificate everybody serves.
struct Machine {
    root: CertificateDer<'static>,
    server: Arc<ServerConfig>,
}

impl Machine {
    fn new() -> Outcome<Self> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = params.self_signed(&key)?;
        let issuer = rcgen::Issuer::new(params, key);
        let leaf_key = rcgen::KeyPair::generate()?;
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
        let leaf = leaf.signed_by(&leaf_key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let server = ServerConfig::builder_with_provider(crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.into()], key)?;
        Ok(Self {
            root: root.into(),
            server: Arc::new(server),
        })
    }

    /// Answers every request with the same text.
    fn origin(&self, runtime: &Runtime) -> Outcome<SocketAddr> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        let (listener, address) = listen(runtime)?;
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(|_: Request<Incoming>| async {
                        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(BODY))))
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(address)
    }

    /// For each connection one to the origin; passes on what comes, and looks at nothing.
    fn proxy(&self, runtime: &Runtime, origin: SocketAddr) -> Outcome<SocketAddr> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        let connector = TlsConnector::from(Arc::new(trusting(&self.root)?));
        let (listener, address) = listen(runtime)?;
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let relayed = relay(stream, acceptor.clone(), connector.clone(), origin);
                tokio::spawn(relayed);
            }
        });
        Ok(address)
    }

    /// The egress, its address, and whom its plugin trusts.
    fn egress(
        &self,
        runtime: &Runtime,
        port: u16,
    ) -> Outcome<(Egress, SocketAddr, CertificateDer<'static>)> {
        let _inside = runtime.enter();
        let atom = format!("network_access:https://localhost:{port}/v1/ GET").parse()?;
        let settings = Settings {
            resolver: Arc::new(Loopback),
            extra_roots: vec![self.root.to_vec()],
            ..Settings::default()
        };
        let prepared = Prepared::new(&Grant::new([atom]), Vec::new(), settings)?;
        let prepared = prepared.ok_or("nothing is granted")?;
        let session = prepared
            .files()
            .into_iter()
            .find(|(place, _)| place.ends_with("session.pem"))
            .ok_or("nothing is terminated")?;
        let session = CertificateDer::from_pem_slice(&session.1)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let listeners = Listeners {
            dns_udp: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.into(),
            dns_tcp: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.into(),
            tcp: vec![(port, listener.into())],
        };
        let egress = prepared.serve(listeners, Denials::new())?;
        Ok((egress, address, session))
    }
}

async fn relay(
    stream: tokio::net::TcpStream,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    origin: SocketAddr,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let inside = acceptor.accept(stream).await?;
    let outside = tokio::net::TcpStream::connect(origin).await?;
    outside.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    let outside = connector.connect(name, outside).await?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(outside)).await?;
    tokio::spawn(connection);
    let sender = Arc::new(tokio::sync::Mutex::new(sender));
    let service = service_fn(move |request: Request<Incoming>| {
        let sender = Arc::clone(&sender);
        async move {
            let mut sender = sender.lock().await;
            sender.ready().await?;
            sender.send_request(request).await
        }
    });
    let server = hyper::server::conn::http1::Builder::new();
    server
        .serve_connection(TokioIo::new(inside), service)
        .await?;
    Ok(())
}

fn listen(runtime: &Runtime) -> Outcome<(tokio::net::TcpListener, SocketAddr)> {
    let _inside = runtime.enter();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((tokio::net::TcpListener::from_std(listener)?, address))
}

fn trusting(root: &CertificateDer<'static>) -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let config = ClientConfig::builder_with_provider(crypto::ring::default_provider().into());
    Ok(config
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Every name is this machine.
pub(super) struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _: &DnsName) -> Addresses {
        Box::pin(async { Ok(vec![Ipv4Addr::LOCALHOST.into()]) })
    }
}

/// A client with one connection.
struct Client {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    request: Vec<u8>,
}

impl Client {
    /// Connected to `address`, asking for what is at `origin`.
    fn new(
        address: SocketAddr,
        origin: SocketAddr,
        root: &CertificateDer<'static>,
    ) -> Outcome<Self> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let tls = ClientConnection::new(Arc::new(trusting(root)?), name)?;
        let request = format!(
            "GET /v1/items?page=2 HTTP/1.1\r\nHost: localhost:{}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n",
            origin.port()
        );
        Ok(Self {
            stream: BufReader::new(StreamOwned::new(tls, tcp)),
            request: request.into_bytes(),
        })
    }

    fn get(&mut self) -> Outcome {
        self.stream.get_mut().write_all(&self.request)?;
        self.stream.get_mut().flush()?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if line != "HTTP/1.1 200 OK\r\n" {
            return Err(format!("answered `{}`", line.escape_debug()).into());
        }
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line)?;
        }
        let mut body = [0; BODY.len()];
        self.stream.read_exact(&mut body)?;
        Ok(())
    }
}

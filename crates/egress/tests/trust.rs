//! Real programs, unmodified, through TLS that is ended: they trust the session by the files and variables
//! that they are shown, and do not without them.
#![expect(clippy::unwrap_used, reason = "helpers of tests may end the test")]

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use bailiwick_capability::{DnsName, Grant};
use bailiwick_egress::{Listeners, Prepared, Settings};
use bailiwick_wall::{Addresses, Denials, Resolve};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto};

/// Another loopback address than the plugin's side, so that both can have one port.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const COMMIT: &str = "0123456789012345678901234567890123456789";

struct There;

impl Resolve for There {
    fn resolve(&self, _: &DnsName) -> Addresses {
        Box::pin(async { Ok(vec![IpAddr::V4(OUTSIDE)]) })
    }
}

/// What a program asks for, and git's oldest way of telling what is there.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = match request.uri().path() {
        "/v1/repo/info/refs" => format!("{COMMIT}\trefs/heads/main\n"),
        path => format!("hello from {path}"),
    };
    Ok(Response::new(Full::new(text.into())))
}

/// Serves HTTPS on `listener`; answers the certificate of its authority.
fn origin(listener: TcpListener) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().der().to_vec();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = TokioIo::new(acceptor.accept(stream).await?);
                let server = hyper::server::conn::http1::Builder::new();
                let _ = server.serve_connection(stream, service_fn(answer)).await;
                std::io::Result::Ok(())
            });
        }
    });
    root
}

/// One port on both sides.
fn both_sides() -> (TcpListener, TcpListener) {
    loop {
        let outside = TcpListener::bind((OUTSIDE, 0)).unwrap();
        let port = outside.local_addr().unwrap().port();
        if let Ok(inside) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return (outside, inside);
        }
    }
}

/// Runs a program in `home` with `env` alone.
async fn run(home: &Path, env: Vec<(String, String)>, program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("GIT_TERMINAL_PROMPT", "0")
        .envs(env)
        .current_dir(home)
        .args(args);
    let run = tokio::task::spawn_blocking(move || command.output());
    run.await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_programs_trust_the_session_and_nobody_else_does() {
    let (outside, inside) = both_sides();
    let port = inside.local_addr().unwrap().port();
    let root = origin(outside);
    let atom = format!("network_access:https://localhost:{port}/v1/ GET");
    let settings = Settings {
        resolver: Arc::new(There),
        extra_roots: vec![root],
        ..Settings::default()
    };
    let grant = Grant::new([atom.parse().unwrap()]);
    let prepared = Prepared::new(&grant, Vec::new(), settings)
        .unwrap()
        .unwrap();
    // As the wall would show them, below a folder of the test's.
    let home = tempfile::tempdir().unwrap();
    let shown = |place: &str| format!("{}{place}", home.path().display());
    for (place, bytes) in prepared.files() {
        let place = shown(place.to_str().unwrap());
        std::fs::create_dir_all(Path::new(&place).parent().unwrap()).unwrap();
        std::fs::write(place, bytes).unwrap();
    }
    let env: Vec<(String, String)> = prepared
        .env()
        .into_iter()
        .map(|(name, value)| (name, value.replace("/etc/", &shown("/etc/"))))
        .collect();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listeners = Listeners {
        dns_udp: UdpSocket::bind(any).unwrap().into(),
        dns_tcp: TcpListener::bind(any).unwrap().into(),
        tcp: vec![(port, inside.into())],
    };
    let denials = Denials::new();
    let _egress = prepared.serve(listeners, denials.clone()).unwrap();

    let url = format!("https://localhost:{port}/v1/x");
    let repository = format!("https://localhost:{port}/v1/repo");
    let python = format!("import urllib.request as r; print(r.urlopen('{url}').read().decode())");
    let node = format!("fetch('{url}').then(r => r.text()).then(console.log)");
    for (program, args, expected) in [
        ("curl", vec!["-sS", &url], "hello from /v1/x"),
        ("/usr/bin/python3", vec!["-c", &python], "hello from /v1/x"),
        ("node", vec!["-e", &node], "hello from /v1/x"),
        ("git", vec!["ls-remote", &repository], COMMIT),
    ] {
        let output = run(home.path(), env.clone(), program, &args).await;
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{program}: {text}{error}");
        // Whoever is not told to trust the session does not.
        let output = run(home.path(), Vec::new(), program, &args).await;
        assert!(
            !output.status.success(),
            "{program} trusts whom it was not told to"
        );
    }
    assert!(denials.is_empty(), "{:?}", denials.take());
    let elsewhere = format!("https://localhost:{port}/v2/x");
    let output = run(home.path(), env, "curl", &["-sS", &elsewhere]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("network_access:https://localhost"), "{text}");
    assert_eq!(denials.take().len(), 1);
}

//! `wasi:http` against servers that the test starts.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_capability::DnsName;
use bailiwick_wall::Limits;
use bailiwick_wasm::{Addresses, Aside, CallError, Plugin, Resolve, Wasm};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wasmtime_wasi_http::io::TokioIo;

use crate::{call, component, grant, limits, wall};

const COURIER: &str = include_str!("../../../../examples/demo/courier.wat");

type Seen = Arc<Mutex<Vec<String>>>;

/// A server on loopback that notes each request as `METHOD host target`.
struct Server {
    port: u16,
    seen: Seen,
}

impl Server {
    async fn start(
        answer: impl Fn(&str) -> Response<Full<Bytes>> + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Seen::default();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(TokioIo::new(stream), answer.clone(), Arc::clone(&shared));
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve<S>(
    stream: TokioIo<S>,
    answer: impl Fn(&str) -> Response<Full<Bytes>> + Clone + Send + 'static,
    seen: Seen,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let host = request
                .headers()
                .get("host")
                .map_or("", |host| host.to_str().unwrap())
                .to_owned();
            seen.lock()
                .unwrap()
                .push(format!("{} {host} {}", request.method(), request.uri()));
            let response = answer(request.uri().path());
            async move { Ok::<_, Infallible>(response) }
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(stream, service)
            .await;
    });
}

fn hello(_: &str) -> Response<Full<Bytes>> {
    Response::new(Full::from("hello"))
}

fn courier(wall: &Wasm, atoms: &[String], limits: &Limits) -> Plugin {
    wall.load(&component(COURIER), &grant(atoms), Vec::new(), limits)
        .unwrap()
}

async fn fetch(plugin: &Plugin, url: &str) -> (Result<Value, CallError>, Aside) {
    call(plugin, "fetch", json!({"method": "GET", "url": url})).await
}

fn refused() -> Result<Value, CallError> {
    Err(CallError::Tool(json!("the host refused the request")))
}

#[tokio::test]
async fn a_granted_request_is_sent_and_no_other() {
    let server = Server::start(hello).await;
    let base = format!("http://127.0.0.1:{}", server.port);
    let narrow = courier(
        wall(),
        &[format!("network_access:{base}/v1/ GET")],
        &limits(),
    );
    let (outcome, aside) = fetch(&narrow, &format!("{base}/v1/x?q=1")).await;
    assert_eq!(
        outcome,
        Ok(json!({"status": 200, "body": "hello"})),
        "{aside:?}"
    );
    assert_eq!(
        server.seen(),
        [format!("GET 127.0.0.1:{} /v1/x?q=1", server.port)]
    );
    let other = Server::start(hello).await;
    for (method, url) in [
        ("GET", format!("{base}/v2/x")),
        ("POST", format!("{base}/v1/x")),
        ("GET", format!("{base}/v1/../v2/x")),
        ("GET", format!("http://127.0.0.1:{}/v1/x", other.port)),
        ("GET", format!("http://localhost:{}/v1/x", server.port)),
        ("GET", format!("https://127.0.0.1:{}/v1/x", server.port)),
        ("CONNECT", format!("{base}/v1/x")),
    ] {
        let (outcome, aside) = call(&narrow, "fetch", json!({"method": method, "url": url})).await;
        assert_eq!(outcome, refused(), "{method} {url}");
        assert_eq!(aside.denied.len(), 1, "{method} {url}");
        assert_eq!(aside.denied[0].operation, "network_access");
        assert!(
            !aside.denied[0].target.contains('?'),
            "queries stay out of logs"
        );
    }
    assert_eq!(
        (server.seen().len(), other.seen().len()),
        (1, 0),
        "nothing refused left"
    );
    let wide = courier(wall(), &[format!("network_access:{base}")], &limits());
    assert!(
        fetch(&wide, &format!("{base}/v2/x")).await.0.is_ok(),
        "the attack is real"
    );
}

#[tokio::test]
async fn l08_a_redirect_is_an_answer_and_following_it_is_decided_anew() {
    let inner = Server::start(hello).await;
    let inner_url = format!("http://127.0.0.1:{}/secret", inner.port);
    let location = inner_url.clone();
    let outer = Server::start(move |_| {
        Response::builder()
            .status(302)
            .header("location", &location)
            .body(Full::from("moved"))
            .unwrap()
    })
    .await;
    let base = format!("http://127.0.0.1:{}", outer.port);
    let narrow = courier(wall(), &[format!("network_access:{base}")], &limits());
    assert_eq!(
        fetch(&narrow, &base).await.0,
        Ok(json!({"status": 302, "body": "moved"}))
    );
    assert_eq!(fetch(&narrow, &inner_url).await.0, refused());
    assert_eq!(inner.seen().len(), 0, "nothing followed by itself");
    let wide = courier(
        wall(),
        &[
            format!("network_access:{base}"),
            format!("network_access:http://127.0.0.1:{}", inner.port),
        ],
        &limits(),
    );
    assert!(
        fetch(&wide, &inner_url).await.0.is_ok(),
        "the attack is real"
    );
}

/// Answers every name with the same addresses, and notes what it was asked.
struct Liar {
    addresses: Vec<IpAddr>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Resolve for Liar {
    fn resolve(&self, name: &DnsName) -> Addresses {
        self.asked.lock().unwrap().push(name.to_string());
        let addresses = self.addresses.clone();
        Box::pin(async move { Ok(addresses) })
    }
}

fn lying(addresses: &[&str]) -> (Wasm, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::default();
    let liar = Liar {
        addresses: addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        asked: Arc::clone(&asked),
    };
    (wall().clone().with_resolver(Arc::new(liar)), asked)
}

#[tokio::test]
async fn l07_a_name_that_leads_inside_is_refused() {
    let server = Server::start(hello).await;
    let port = server.port;
    let atoms = [format!("network_access:http://api.example.com:{port}")];
    for addresses in [
        ["127.0.0.1"].as_slice(),
        &["::ffff:127.0.0.1"],
        &["169.254.169.254"],
        &["10.0.0.1"],
        &["0.0.0.0"],
        &["::1"],
        &["fd00::1"],
        &["8.8.8.8", "127.0.0.1"],
    ] {
        let (wall, _) = lying(addresses);
        let plugin = courier(&wall, &atoms, &limits());
        let (outcome, aside) = fetch(&plugin, &format!("http://api.example.com:{port}/")).await;
        assert_eq!(outcome, refused(), "{addresses:?}");
        assert!(
            aside.denied[0].reason.contains("api.example.com"),
            "{:?}",
            aside.denied
        );
    }
    assert_eq!(server.seen().len(), 0);
    // Granted as an address, the same server is reached: the attack is real.
    let (wall, _) = lying(&[]);
    let plugin = courier(
        &wall,
        &[format!("network_access:http://127.0.0.1:{port}")],
        &limits(),
    );
    assert!(
        fetch(&plugin, &format!("http://127.0.0.1:{port}/"))
            .await
            .0
            .is_ok()
    );
}

#[tokio::test]
async fn l07_localhost_by_name_is_loopback_and_nothing_else() {
    let server = Server::start(hello).await;
    let url = format!("http://localhost:{}", server.port);
    let atoms = [format!("network_access:{url}")];
    let (loopback, _) = lying(&["127.0.0.1"]);
    assert!(
        fetch(&courier(&loopback, &atoms, &limits()), &url)
            .await
            .0
            .is_ok()
    );
    let (elsewhere, _) = lying(&["8.8.8.8"]);
    assert_eq!(
        fetch(&courier(&elsewhere, &atoms, &limits()), &url).await.0,
        refused()
    );
}

#[tokio::test]
async fn l06_a_name_that_is_not_granted_is_not_looked_up() {
    let (wall, asked) = lying(&["127.0.0.1"]);
    let plugin = courier(
        &wall,
        &["network_access:https://api.example.com".into()],
        &limits(),
    );
    for name in [
        "exfil.evil.example",
        "api.example.com.evil.example",
        "deep.api.example.com",
    ] {
        assert_eq!(
            fetch(&plugin, &format!("https://{name}/")).await.0,
            refused()
        );
    }
    assert_eq!(
        asked.lock().unwrap().as_slice(),
        [] as [String; 0],
        "no question left the machine"
    );
    let _ = fetch(&plugin, "https://api.example.com/").await;
    assert_eq!(asked.lock().unwrap().as_slice(), ["api.example.com"]);
}

#[tokio::test]
async fn l01_odd_hosts_are_refused_before_lookup() {
    let (wall, asked) = lying(&["127.0.0.1"]);
    let plugin = courier(
        &wall,
        &["network_access:https://*.example.com".into()],
        &limits(),
    );
    for authority in [
        "evil.net%00.example.com",
        "a@b.example.com",
        "a_b.example.com",
        "x.example.com:",
        "2130706433",
    ] {
        let (outcome, _) = fetch(&plugin, &format!("https://{authority}/")).await;
        assert!(
            matches!(outcome, Err(CallError::Tool(_))),
            "{authority}: {outcome:?}"
        );
    }
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn l04_an_upgrade_is_not_passed_on() {
    let server = Server::start(|_| {
        Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "h2c")
            .body(Full::default())
            .unwrap()
    })
    .await;
    let base = format!("http://127.0.0.1:{}", server.port);
    let plugin = courier(wall(), &[format!("network_access:{base}")], &limits());
    assert_eq!(
        fetch(&plugin, &base).await.0,
        Err(CallError::Tool(json!("the request failed")))
    );
}

#[tokio::test]
async fn a_server_that_never_answers_ends_with_the_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let short = Limits {
        call: Duration::from_millis(300),
        ..limits()
    };
    let plugin = courier(wall(), &[format!("network_access:{base}")], &short);
    let (outcome, _) = fetch(&plugin, &base).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test]
async fn https_checks_the_certificate() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(
        certified.signing_key.serialize_der(),
    )
    .unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(TokioIo::new(stream), hello, Arc::clone(&shared));
            }
        }
    });
    let url = format!("https://localhost:{port}");
    let atoms = [format!("network_access:{url}")];
    let (known, _) = lying(&["127.0.0.1"]);
    let stranger = fetch(&courier(&known, &atoms, &limits()), &url).await.0;
    assert_eq!(
        stranger,
        Err(CallError::Tool(json!("the request failed"))),
        "an unknown authority"
    );
    assert_eq!(seen.lock().unwrap().len(), 0);
    let trusting = known
        .with_authorities([certified.cert.der().clone()])
        .unwrap();
    let outcome = fetch(&courier(&trusting, &atoms, &limits()), &url).await.0;
    assert_eq!(outcome, Ok(json!({"status": 200, "body": "hello"})));
}

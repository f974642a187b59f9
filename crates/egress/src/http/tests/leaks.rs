//! A destination that gives back what it was given, in every way that comes to mind.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;

use super::support::{AnyBody, Book, Origin, PLACEHOLDER, SECRET, World, full, request};

fn stream(parts: Vec<Bytes>, trailers: Option<HeaderMap>) -> AnyBody {
    let mut frames: Vec<_> = parts
        .into_iter()
        .map(|part| Ok(Frame::data(part)))
        .collect();
    frames.extend(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

fn pieces(text: &str, size: usize) -> Vec<Bytes> {
    text.as_bytes()
        .chunks(size)
        .map(Bytes::copy_from_slice)
        .collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Answers by the last segment of the path, with the value that arrived.
async fn echo(request: Request<Incoming>) -> Response<AnyBody> {
    let sent = request.headers()["authorization"].to_str().unwrap();
    let value = sent.strip_prefix("Bearer ").unwrap().to_owned();
    assert_eq!(value, SECRET, "the value arrived");
    let percent: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let plain = |text: String| Response::new(full(text));
    let with = |name: &'static str, text: &str| {
        Response::builder()
            .status(302)
            .header(name, text)
            .body(full("moved"))
            .unwrap()
    };
    let packed = |coding: &'static str, bytes: Vec<u8>| {
        Response::builder()
            .header("content-encoding", coding)
            .body(full(bytes))
            .unwrap()
    };
    let text = format!("you sent {value}, did you not?");
    match request.uri().path().trim_start_matches('/') {
        "plain" => plain(text),
        "twice" => plain(format!("{value}{value} {value}")),
        "prefixes" => plain(format!("{}{value}", &value[..5])),
        "pieces" => Response::new(stream(pieces(&text, 1), None)),
        "cut" => Response::new(stream(pieces(&text, 13), None)),
        "percent" => plain(format!("url=https%3A%2F%2Fx%2F{percent}")),
        "lower" => plain(percent.to_lowercase()),
        "double" => plain(percent.replace('%', "%25")),
        "query" => plain(format!(
            "k={}",
            value
                .replace('/', "%2F")
                .replace('+', "%2B")
                .replace('=', "%3D")
        )),
        "json" => plain(
            serde_json::json!({ "auth": value })
                .to_string()
                .replace('/', "\\/"),
        ),
        "unicode" => plain(
            value
                .chars()
                .map(|c| format!("\\u{:04x}", u32::from(c)))
                .collect(),
        ),
        "html" => plain(
            value
                .replace('/', "&#x2F;")
                .replace('+', "&#43;")
                .replace('=', "&#61;"),
        ),
        "hex" => plain(hex::encode(&value)),
        "hexupper" => plain(hex::encode_upper(&value)),
        "reversed" => plain(value.chars().rev().collect()),
        "upper" => plain(value.to_uppercase()),
        "base64" => plain(STANDARD.encode(&value)),
        "basic0" => plain(STANDARD.encode(format!("abc{value}xyz"))),
        "basic1" => plain(STANDARD.encode(format!("user:{value}!"))),
        "basic2" => plain(URL_SAFE_NO_PAD.encode(format!("a:{value}"))),
        "mime" => plain(
            STANDARD
                .encode(format!("user:{value}"))
                .replace("Q", "Q\r\n"),
        ),
        "gzip" => packed("gzip", gzip(&text)),
        "gzippieces" => {
            let bytes = gzip(&text);
            let parts = bytes.chunks(3).map(Bytes::copy_from_slice).collect();
            Response::builder()
                .header("content-encoding", "gzip")
                .body(stream(parts, None))
                .unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            packed("deflate", encoder.finish().unwrap())
        }
        "brotli" => packed("br", text.into_bytes()),
        "zstd" => packed("zstd", text.into_bytes()),
        "twofold" => packed("gzip, gzip", gzip(&text)),
        "broken" => packed("gzip", text.into_bytes()),
        "location" => with("location", &format!("https://evil.example/?t={value}")),
        "locationpercent" => with("location", &format!("https://evil.example/?t={percent}")),
        "cookie" => with("set-cookie", &format!("session={value}; HttpOnly")),
        "wwwauth" => with(
            "www-authenticate",
            &format!("Bearer error=\"bad token {value}\""),
        ),
        "name" => {
            let name = HeaderName::from_bytes(b"x-ghp_s3cr3t-value").unwrap();
            Response::builder()
                .header(name, "1")
                .body(full(""))
                .unwrap()
        }
        "trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_str(&text).unwrap());
            Response::builder()
                .header("trailer", "x-sum")
                .body(stream(pieces("a", 1), Some(trailers)))
                .unwrap()
        }
        "error" => Response::builder()
            .status(401)
            .body(full(format!("<p>bad token {value}</p>")))
            .unwrap(),
        "range" => {
            let range = request.headers().get("range").is_some();
            plain(if range { value[..7].to_owned() } else { text })
        }
        "partial" => Response::builder()
            .status(206)
            .body(full(value[..7].to_owned()))
            .unwrap(),
        "encoding" => plain(format!("{:?}", request.headers()["accept-encoding"])),
        other => panic!("{other}"),
    }
}

/// Every form of the value that a plugin might turn back.
fn leaks(everything: &str) -> bool {
    let undone: String = everything.chars().rev().collect();
    let folded = everything.replace(['\r', '\n'], "").to_lowercase();
    let slashes = everything.replace('\\', "");
    let middle = STANDARD.encode(format!("abc{SECRET}"));
    let parts = [
        SECRET.to_lowercase(),
        hex::encode(SECRET),
        middle[4..20].to_lowercase(),
        STANDARD.encode(format!("a:{SECRET}"))[4..20].to_lowercase(),
        STANDARD.encode(format!("user:{SECRET}"))[8..24].to_lowercase(),
        SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        SECRET
            .bytes()
            .map(|byte| format!("%25{byte:02x}"))
            .collect(),
        SECRET
            .chars()
            .map(|c| format!("u{:04x}", u32::from(c)))
            .collect(),
        "s3cr3t".to_owned(),
    ];
    parts.iter().any(|part| {
        folded.contains(part)
            || slashes.to_lowercase().contains(part)
            || undone.to_lowercase().contains(part)
    })
}

async fn world() -> (World, Origin) {
    let origin = Origin::https(echo).await;
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}",
        &["header:authorization"],
        Arc::new(Book::default()),
    );
    (world, origin)
}

const CLEAN: &[&str] = &[
    "plain",
    "twice",
    "prefixes",
    "pieces",
    "cut",
    "percent",
    "lower",
    "double",
    "query",
    "json",
    "unicode",
    "html",
    "hex",
    "hexupper",
    "reversed",
    "upper",
    "base64",
    "basic0",
    "basic1",
    "basic2",
    "mime",
    "gzip",
    "gzippieces",
    "deflate",
    "location",
    "locationpercent",
    "cookie",
    "wwwauth",
    "trailers",
    "error",
    "range",
];

#[tokio::test]
async fn no_echo_gives_a_secret_back() {
    let (world, origin) = world().await;
    let port = origin.port;
    let bearer = format!("Bearer {PLACEHOLDER}");
    let fields = [
        ("authorization", bearer.as_str()),
        ("te", "trailers"),
        ("range", "bytes=0-6"),
        ("accept-encoding", "gzip, br"),
    ];
    for two in [false, true] {
        let mut plugin = world.plugin(two, port).await;
        for path in CLEAN {
            let answer = plugin
                .ask(request(two, port, "GET", &format!("/{path}"), &fields))
                .await;
            let all = answer.everything();
            assert!(
                answer.whole && !leaks(&all),
                "{path} (HTTP/2: {two}): {all}"
            );
            assert!(
                all.contains(PLACEHOLDER),
                "{path}: the placeholder tells where it was: {all}"
            );
            assert!(answer.fields.get("content-encoding").is_none());
        }
        let answer = plugin
            .ask(request(two, port, "GET", "/encoding", &fields))
            .await;
        assert_eq!(answer.body, "\"identity\"");
    }
    assert!(
        leaks(SECRET) && leaks(&hex::encode(SECRET)),
        "this test can fail"
    );
}

#[tokio::test]
async fn what_cannot_be_searched_is_not_passed_on() {
    let (world, origin) = world().await;
    let port = origin.port;
    let bearer = format!("Bearer {PLACEHOLDER}");
    for two in [false, true] {
        for path in ["brotli", "zstd", "twofold", "partial", "broken"] {
            let fields = [("authorization", bearer.as_str())];
            let answer = world
                .ask(
                    two,
                    port,
                    request(two, port, "GET", &format!("/{path}"), &fields),
                )
                .await;
            assert!(answer.status == 502 || !answer.whole, "{path}: {answer:?}");
            assert!(!leaks(&answer.everything()), "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_one_request_brought_another_does_not_fetch() {
    // The destination keeps the value, and gives it to whoever asks, without a placeholder in sight.
    let kept: Arc<std::sync::Mutex<String>> = Arc::default();
    let origin = Origin::https(move |request: Request<Incoming>| {
        let kept = kept.clone();
        async move {
            let mut kept = kept.lock().unwrap();
            if let Some(value) = request.headers().get("authorization") {
                *kept = value.to_str().unwrap().to_owned();
            }
            Response::new(full(format!("kept: {kept}")))
        }
    })
    .await;
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}/v1/ POST",
        &["header:authorization"],
        Arc::new(Book::default()),
    );
    let port = origin.port;
    let bearer = format!("Bearer {PLACEHOLDER}");
    let stored = world
        .ask(
            false,
            port,
            request(false, port, "POST", "/v1/x", &[("authorization", &bearer)]),
        )
        .await;
    assert_eq!(stored.body, format!("kept: Bearer {PLACEHOLDER}"));
    let fetched = world
        .ask(true, port, request(true, port, "GET", "/elsewhere", &[]))
        .await;
    assert_eq!(fetched.body, format!("kept: Bearer {PLACEHOLDER}"));
    assert_eq!(origin.seen(), 2);
}

#[tokio::test]
async fn l08_a_redirect_carries_a_placeholder_that_nobody_else_fills() {
    let (world, origin) = world().await;
    let (port, bearer) = (origin.port, format!("Bearer {PLACEHOLDER}"));
    let answer = world
        .ask(
            false,
            port,
            request(
                false,
                port,
                "GET",
                "/location",
                &[("authorization", &bearer)],
            ),
        )
        .await;
    let location = answer.fields["location"].to_str().unwrap();
    assert_eq!(location, format!("https://evil.example/?t={PLACEHOLDER}"));
}

#[tokio::test]
async fn l35_errors_hold_no_value() {
    // Breaks off as soon as it was asked, in the middle of an answer, or with what is no HTTP.
    for reply in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nghp_S3cr3t/Value+4",
        "ghp_S3cr3t/Value+42=\r\n\r\n",
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        });
        let to = format!("http://127.0.0.1:{port}");
        let book = Arc::new(Book::default());
        let unused = Origin::http(|_| async { Response::new(full("")) }).await;
        let world = World::brokering(
            &[&to],
            &[&unused],
            &to,
            &["header:authorization"],
            book.clone(),
        );
        let stream = world.plain("127.0.0.1", port).await;
        let text = format!(
            "GET /a HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {PLACEHOLDER}\r\nConnection: close\r\n\r\n"
        );
        let answer = super::support::exchange(stream, &text).await;
        assert!(!leaks(&answer), "{answer}");
        assert!(
            answer.starts_with("HTTP/1.1 502") || answer.starts_with("HTTP/1.1 200"),
            "{answer}"
        );
        assert_eq!(book.uses.lock().unwrap().len(), 1);
        let denied = format!("{:?}", world.denied());
        assert!(!leaks(&denied), "{denied}");
        assert_eq!(unused.connections.load(Ordering::SeqCst), 0);
    }
}

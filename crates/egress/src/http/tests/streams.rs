//! What passes keeps its shape: streams, trailers, WebSockets, kept connections.

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::support::{AnyBody, Origin, World, full, request, request_with, shown};

type Frames = mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>;

/// A body that is written while it is read.
fn channel() -> (Frames, AnyBody) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let frames = stream::unfold(receiver, |mut receiver: mpsc::UnboundedReceiver<_>| async {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    (sender, StreamBody::new(frames).boxed_unsync())
}

fn data(text: &str) -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

/// Answers each frame with the same frame at once, and trailers with trailers.
async fn mirror() -> Origin {
    Origin::https(|request| async {
        let response = Response::builder()
            .header("trailer", "x-sum")
            .header("content-type", "text/event-stream");
        response
            .body(
                request
                    .into_body()
                    .map_err(|_| unreachable())
                    .boxed_unsync(),
            )
            .unwrap()
    })
    .await
}

fn unreachable() -> Infallible {
    panic!("the request broke off")
}

#[tokio::test]
async fn bodies_stream_both_ways_at_the_same_time() {
    let origin = mirror().await;
    let (world, port) = (
        World::new(&["https://localhost:{}/ POST"], &[&origin]),
        origin.port,
    );
    for two in [false, true] {
        let mut plugin = world.plugin(two, port).await;
        let (sender, body) = channel();
        let fields = [("te", "trailers"), ("trailer", "x-sum")];
        sender.send(data("one")).unwrap();
        let mut answer = plugin
            .send(request_with(two, port, "POST", "/x", &fields, body))
            .await
            .unwrap();
        for text in ["one", "two", "three"] {
            if text != "one" {
                sender.send(data(text)).unwrap();
            }
            // The next part is sent only after this one came back, so nothing waits for the end.
            let frame = answer.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), text);
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "3".parse().unwrap());
        sender.send(Ok(Frame::trailers(trailers))).unwrap();
        drop(sender);
        let rest = answer.into_body().collect().await.unwrap();
        assert_eq!(rest.trailers().unwrap()["x-sum"], "3", "HTTP/2: {two}");
    }
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let origin = mirror().await;
    let (world, port) = (
        World::new(&["https://localhost:{}/ POST"], &[&origin]),
        origin.port,
    );
    let large: String = (0..400_000).map(|number| format!("{number},")).collect();
    for two in [false, true] {
        let answer = world
            .ask(
                two,
                port,
                request_with(two, port, "POST", "/x", &[], full(large.clone())),
            )
            .await;
        assert!(answer.body == large, "HTTP/2: {two}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_continue_is_told_to() {
    let origin = mirror().await;
    let (world, port) = (
        World::new(&["https://localhost:{}/ POST"], &[&origin]),
        origin.port,
    );
    let mut stream = world.tls("localhost", port, &["http/1.1"]).await;
    let head = format!(
        "POST /x HTTP/1.1\r\nHost: localhost:{port}\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest).await;
    assert!(
        rest.starts_with("HTTP/1.1 200") && rest.contains("abc"),
        "{rest}"
    );
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let origin = Origin::https(|request| async { Response::new(full(shown(request).await)) }).await;
    let (world, port) = (
        World::new(&["https://localhost:{} GET"], &[&origin]),
        origin.port,
    );
    for two in [false, true] {
        for _ in 0..3 {
            let mut plugin = world.plugin(two, port).await;
            for _ in 0..5 {
                let answer = plugin.ask(request(two, port, "GET", "/x", &[])).await;
                assert_eq!(answer.status, 200);
            }
        }
    }
    let made = origin.connections.load(Ordering::SeqCst);
    // One, or a few where the next request is quicker than the news that the connection is free.
    assert!(
        (1..15).contains(&made),
        "{made} connections for 30 requests"
    );
}

#[tokio::test]
async fn fields_of_one_connection_and_other_services_are_not_passed_on() {
    let origin = Origin::https(|request| async {
        let answer = Response::builder()
            .header("alt-svc", "h3=\"evil.example:443\"")
            .header("keep-alive", "timeout=5");
        answer.body(full(shown(request).await)).unwrap()
    })
    .await;
    let (world, port) = (
        World::new(&["https://localhost:{}/ GET"], &[&origin]),
        origin.port,
    );
    let fields = [
        ("proxy-authorization", "Basic eA=="),
        ("connection", "x-mine"),
        ("x-mine", "1"),
        ("x-kept", "2"),
    ];
    let answer = world
        .ask(false, port, request(false, port, "GET", "/x", &fields))
        .await;
    assert!(
        !answer.body.contains("proxy")
            && !answer.body.contains("x-mine")
            && answer.body.contains("x-kept")
    );
    assert!(answer.fields.get("alt-svc").is_none() && answer.fields.get("keep-alive").is_none());
}

#[tokio::test]
async fn answers_without_a_body_stay_so() {
    let origin = Origin::https(|request| async move {
        let status = request
            .uri()
            .path()
            .trim_start_matches('/')
            .parse()
            .unwrap_or(200);
        let answer = Response::builder().status(status).header("etag", "\"x\"");
        let body = if status == 200 { "12345" } else { "" };
        answer.body(full(body)).unwrap()
    })
    .await;
    let (world, port) = (
        World::new(&["https://localhost:{}/ GET,HEAD"], &[&origin]),
        origin.port,
    );
    for two in [false, true] {
        let mut plugin = world.plugin(two, port).await;
        for (method, path, length) in [
            ("HEAD", "/200", Some("5")),
            ("GET", "/204", None),
            ("GET", "/304", None),
        ] {
            let answer = plugin.ask(request(two, port, method, path, &[])).await;
            let told = answer
                .fields
                .get("content-length")
                .map(|value| value.to_str().unwrap());
            assert!(answer.whole && answer.body.is_empty(), "{answer:?}");
            assert_eq!(
                (told, &answer.fields["etag"]),
                (length, &"\"x\"".parse().unwrap()),
                "{method} {path}"
            );
        }
    }
}

/// Answers the handshake, then sends back what it gets.
async fn socket() -> Origin {
    Origin::https(|mut request| async move {
        if request.headers().get("upgrade").is_none() {
            return Response::new(full("no upgrade asked for"));
        }
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
            let mut buffer = [0; 64];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..count]).await.unwrap();
            }
        });
        let answer = Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "websocket");
        answer
            .header("sec-websocket-accept", "x")
            .body(full(""))
            .unwrap()
    })
    .await
}

fn handshake(port: u16) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

#[tokio::test]
async fn a_websocket_passes_both_ways() {
    let origin = socket().await;
    let (world, port) = (
        World::new(&["https://localhost:{}/chat GET"], &[&origin]),
        origin.port,
    );
    let mut stream = world.tls("localhost", port, &["http/1.1"]).await;
    stream.write_all(handshake(port).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(
        head.starts_with("http/1.1 101") && head.contains("sec-websocket-accept: x"),
        "{head}"
    );
    // Frames are no HTTP, and are not read as such.
    for frame in [&b"\x81\x05hello\r\n"[..], b"\0\x01\x02GET / HTTP/1.0\n\n"] {
        stream.write_all(frame).await.unwrap();
        let mut back = vec![0; frame.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, frame);
    }
    assert!(world.denied().is_empty());
}

#[tokio::test]
async fn a_refused_upgrade_leaves_no_way_behind() {
    let origin = Origin::https(|_| async { Response::new(full("served")) }).await;
    let (world, port) = (
        World::new(&["https://localhost:{}/chat GET"], &[&origin]),
        origin.port,
    );
    // Behind each stands what only a lenient reader takes for a request.
    let hidden = format!("GET /chat HTTP/1.0\nHost: localhost:{port}\n\n");
    for first in [
        handshake(port).replace("WebSocket", "h2c"),
        handshake(port).replace("/chat", "/elsewhere"),
        format!("CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"),
    ] {
        let answer = world.raw(port, &format!("{first}{hidden}")).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        let answers = answer.lines().filter(|line| line.starts_with("HTTP/1.1 "));
        assert_eq!(answers.count(), 1, "{answer}");
        assert!(!answer.contains("served"), "{answer}");
    }
    assert_eq!(origin.seen(), 0);
}

#[tokio::test]
async fn a_refused_websocket_leaves_no_way_behind() {
    let origin = Origin::https(|_| async { Response::new(full("not here")) }).await;
    let (world, port) = (
        World::new(&["https://localhost:{}/chat GET"], &[&origin]),
        origin.port,
    );
    let hidden = format!("GET /admin HTTP/1.0\nHost: localhost:{port}\n\n");
    let answer = world
        .raw(port, &format!("{}{hidden}", handshake(port)))
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert_eq!(origin.seen(), 1);
}

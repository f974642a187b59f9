//! Where a secret goes, and where it never does.

use std::sync::Arc;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use http_body_util::BodyExt;

use super::support::{
    AnyBody, Book, Origin, PLACEHOLDER, SECRET, World, full, request, request_with, shown,
};

const ALL: &[&str] = &[
    "header:authorization",
    "basic",
    "query:key",
    "field:client_secret",
];

/// A destination that says nothing, and what it received.
async fn silent() -> (Origin, Arc<Mutex<Vec<String>>>) {
    let received: Arc<Mutex<Vec<String>>> = Arc::default();
    let keep = received.clone();
    let origin = Origin::https(move |request| {
        let keep = keep.clone();
        async move {
            let text = shown(request).await;
            keep.lock().unwrap().push(text);
            Response::new(full("fine"))
        }
    })
    .await;
    (origin, received)
}

fn body(text: &str) -> AnyBody {
    full(text.to_owned())
}

#[tokio::test]
async fn a_secret_arrives_where_it_is_bound_and_each_use_is_told_before() {
    let (origin, received) = silent().await;
    let (book, port) = (Arc::new(Book::default()), origin.port);
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}",
        ALL,
        book.clone(),
    );
    let basic = format!("Basic {}", STANDARD.encode(format!("me:{PLACEHOLDER}")));
    let bearer = format!("Bearer {PLACEHOLDER}");
    let encoded = "ghp_S3cr3t%2FValue%2B42%3D";
    let json = format!(r#"{{"client_secret":"{PLACEHOLDER}","n":1.10}}"#);
    let form = format!("a=b&client_secret={PLACEHOLDER}");
    let mut expected = 0;
    for two in [false, true] {
        for (request, wanted) in [
            (
                request(two, port, "GET", "/a", &[("authorization", &bearer)]),
                format!("authorization: Bearer {SECRET}\n"),
            ),
            (
                request(two, port, "GET", "/a", &[("authorization", &basic)]),
                format!(
                    "authorization: Basic {}\n",
                    STANDARD.encode(format!("me:{SECRET}"))
                ),
            ),
            (
                request(two, port, "GET", &format!("/a?x=1&key={PLACEHOLDER}"), &[]),
                format!("/a?x=1&key={encoded}\n"),
            ),
            (
                request_with(
                    two,
                    port,
                    "POST",
                    "/a",
                    &[("content-type", "application/json")],
                    body(&json),
                ),
                format!(r#"{{"client_secret":"{SECRET}","n":1.10}}"#),
            ),
            (
                request_with(
                    two,
                    port,
                    "POST",
                    "/a",
                    &[("content-type", "application/x-www-form-urlencoded")],
                    body(&form),
                ),
                format!("a=b&client_secret={encoded}"),
            ),
        ] {
            let answer = world.ask(two, port, request).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, "fine"),
                "{answer:?}"
            );
            let last = received.lock().unwrap().last().unwrap().clone();
            assert!(
                last.contains(&wanted) && !last.contains(PLACEHOLDER),
                "{last}"
            );
            assert!(last.contains("accept-encoding: identity"), "{last}");
            expected += 1;
            let uses = book.uses.lock().unwrap().clone();
            assert_eq!(uses.len(), expected);
            assert_eq!(
                uses.last().unwrap(),
                &("token".to_owned(), format!("https://localhost:{port}"))
            );
        }
    }
    assert!(world.denied().is_empty());
}

#[tokio::test]
async fn without_its_record_no_secret_leaves() {
    let (origin, received) = silent().await;
    let port = origin.port;
    let bearer = format!("Bearer {PLACEHOLDER}");
    let refusing = Arc::new(Book {
        refuse: true,
        ..Book::default()
    });
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}",
        ALL,
        refusing,
    );
    let answer = world
        .ask(
            false,
            port,
            request(false, port, "GET", "/a", &[("authorization", &bearer)]),
        )
        .await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("use_secret:token") && !answer.body.contains(SECRET),
        "{answer:?}"
    );
    assert!(world.refusal("use_secret").contains("the log is full"));
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_placeholder_in_the_wrong_place_is_refused() {
    let (origin, received) = silent().await;
    let (book, port) = (Arc::new(Book::default()), origin.port);
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}/v1/ GET,POST",
        ALL,
        book.clone(),
    );
    let encoded = STANDARD.encode(format!("x{PLACEHOLDER}"));
    let percent: String = PLACEHOLDER
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let reversed: String = PLACEHOLDER.chars().rev().collect();
    let nested = format!(r#"{{"x":{{"client_secret":"{PLACEHOLDER}"}}}}"#);
    let twice = format!(r#"{{"client_secret":"{PLACEHOLDER}","client_secret":"x"}}"#);
    let json = &[("content-type", "application/json")];
    let good = format!("Bearer {PLACEHOLDER}");
    for two in [false, true] {
        let get = |path: &str, fields: &[(&str, &str)]| request(two, port, "GET", path, fields);
        let post = |fields: &[(&str, &str)], text: &str| {
            request_with(two, port, "POST", "/v1/a", fields, body(text))
        };
        for request in [
            get("/v1/a", &[("x-other", PLACEHOLDER)]),
            get("/v1/a", &[("x-other", &encoded)]),
            get("/v1/a", &[("cookie", &format!("a={PLACEHOLDER}"))]),
            get("/v1/a", &[("authorization", &format!("Basic {encoded}"))]),
            get(
                "/v1/a",
                &[("authorization", &good), ("x-other", PLACEHOLDER)],
            ),
            get(&format!("/v1/{PLACEHOLDER}"), &[]),
            get(&format!("/v1/{percent}"), &[]),
            get(&format!("/v1/a?other={PLACEHOLDER}"), &[]),
            get(&format!("/v1/a?key={PLACEHOLDER}x"), &[]),
            get(&format!("/v1/a?key={PLACEHOLDER}&other={reversed}"), &[]),
            // Outside of what the secret is bound to: another path, another method.
            get("/v2/a", &[("authorization", &good)]),
            request_with(
                two,
                port,
                "PUT",
                "/v1/a",
                &[("authorization", &good)],
                body(""),
            ),
            post(&[("content-type", "text/plain")], PLACEHOLDER),
            post(json, &nested),
            post(json, &twice),
            post(json, &format!(r#"["{PLACEHOLDER}"]"#)),
            post(
                &[
                    ("content-type", "application/json"),
                    ("content-encoding", "identity"),
                ],
                &nested,
            ),
            post(&[], &format!("{}{PLACEHOLDER}", "x".repeat(3_000_000))),
            post(json, &format!("{}{PLACEHOLDER}", " ".repeat(1_500_000))),
        ] {
            let what = format!("{} {:?}", request.uri(), request.headers());
            let answer = world.ask(two, port, request).await;
            assert_eq!(answer.status, 403, "{what}: {answer:?}");
            assert!(!answer.body.contains(SECRET));
            let _ = world.refusal("use_secret");
        }
    }
    assert!(
        !received
            .lock()
            .unwrap()
            .iter()
            .any(|text| text.contains("S3cr3t")),
        "no value left"
    );
    assert!(book.uses.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_placeholder_in_trailers_or_between_frames_is_refused() {
    let (origin, received) = silent().await;
    let (book, port) = (Arc::new(Book::default()), origin.port);
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}",
        ALL,
        book,
    );
    let (first, second) = PLACEHOLDER.split_at(9);
    let frames = |parts: &[&str], trailer: Option<&str>| {
        let mut frames: Vec<Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>> =
            parts
                .iter()
                .map(|part| {
                    Ok(http_body::Frame::data(bytes::Bytes::copy_from_slice(
                        part.as_bytes(),
                    )))
                })
                .collect();
        if let Some(trailer) = trailer {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-sum", trailer.parse().unwrap());
            frames.push(Ok(http_body::Frame::trailers(trailers)));
        }
        http_body_util::StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
    };
    for two in [false, true] {
        for body in [
            frames(&["x", first, second], None),
            frames(&["x"], Some(PLACEHOLDER)),
        ] {
            let fields = [("trailer", "x-sum"), ("te", "trailers")];
            let answer = world
                .ask(
                    two,
                    port,
                    request_with(two, port, "POST", "/a", &fields, body),
                )
                .await;
            assert_eq!(answer.status, 403, "{answer:?}");
            let _ = world.refusal("use_secret");
        }
    }
    let received = received.lock().unwrap();
    assert!(
        !received.iter().any(|text| text.contains(PLACEHOLDER)),
        "{received:?}"
    );
}

#[tokio::test]
async fn l08_l21_a_secret_goes_to_its_own_destination_alone() {
    let ((bound, _), (other, received)) = (silent().await, silent().await);
    let book = Arc::new(Book::default());
    let world = World::brokering(
        &["https://localhost:{0} GET", "https://localhost:{1} GET"],
        &[&bound, &other],
        "https://localhost:{}",
        ALL,
        book.clone(),
    );
    let bearer = format!("Bearer {PLACEHOLDER}");
    for two in [false, true] {
        let fields = [("authorization", bearer.as_str())];
        let answer = world
            .ask(
                two,
                other.port,
                request(two, other.port, "GET", "/a", &fields),
            )
            .await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(world.refusal("use_secret").contains("token"));
        // Named as the bound one, over a connection to the other.
        let answer = world
            .ask(
                two,
                other.port,
                request(two, bound.port, "GET", "/a", &fields),
            )
            .await;
        assert_eq!(answer.status, 403, "{answer:?}");
        let _ = world.refusal("network_access");
    }
    assert!(received.lock().unwrap().is_empty() && book.uses.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_placeholder_behind_many_fields_is_found() {
    let (origin, received) = silent().await;
    let (book, port) = (Arc::new(Book::default()), origin.port);
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}",
        ALL,
        book,
    );
    // More than one HTTP/2 frame, so that fields go on in CONTINUATION.
    let filler = "y".repeat(4000);
    let names: Vec<_> = (0..10).map(|number| format!("x-fill-{number}")).collect();
    let mut fields: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), filler.as_str()))
        .collect();
    for two in [false, true] {
        assert_eq!(
            world
                .ask(two, port, request(two, port, "GET", "/a", &fields))
                .await
                .status,
            200
        );
        fields.push(("x-last", PLACEHOLDER));
        assert_eq!(
            world
                .ask(two, port, request(two, port, "GET", "/a", &fields))
                .await
                .status,
            403
        );
        fields.pop();
        let _ = world.refusal("use_secret");
    }
    assert_eq!(received.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_websocket_to_a_destination_with_a_secret_is_refused() {
    let (origin, received) = silent().await;
    let (book, port) = (Arc::new(Book::default()), origin.port);
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}",
        ALL,
        book,
    );
    let text = format!(
        "GET /chat HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Authorization: Bearer {PLACEHOLDER}\r\n\r\n"
    );
    let mut stream = world.tls("localhost", port, &["http/1.1"]).await;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 403");
    assert!(world.refusal("network_access").contains("WebSocket"));
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_plugin_without_use_finds_only_its_placeholder() {
    let (origin, _) = silent().await;
    let book = Arc::new(Book::default());
    let world = World::brokering(
        &["https://localhost:{}"],
        &[&origin],
        "https://localhost:{}",
        ALL,
        book,
    );
    let env = world.context.terminator.env();
    assert!(env.contains(&("TOKEN".to_owned(), PLACEHOLDER.to_owned())));
    let files = world.context.terminator.files();
    let all: Vec<u8> = files.into_iter().flat_map(|(_, bytes)| bytes).collect();
    let all = format!("{env:?}{}", String::from_utf8_lossy(&all));
    assert!(!all.contains(SECRET) && !all.contains("PRIVATE KEY"));
}

//! What never reaches a destination, and what a plugin is told.

use http::{Response, StatusCode};

use super::support::{Origin, World, exchange, full, request, shown};

async fn echo() -> Origin {
    Origin::https(|request| async { Response::new(full(shown(request).await)) }).await
}

const GRANT: &[&str] = &["https://localhost:{}/v1/ GET,POST"];

#[tokio::test]
async fn what_is_granted_passes_and_nothing_else() {
    let origin = echo().await;
    let (world, port) = (World::new(GRANT, &[&origin]), origin.port);
    for two in [false, true] {
        let answer = world
            .ask(
                two,
                port,
                request(two, port, "GET", "/v1/%61?q=%2e", &[("x-a", "b")]),
            )
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            answer.body.contains("/v1/a?q=%2e") && answer.body.contains("x-a: b"),
            "{answer:?}"
        );
    }
    let before = origin.seen();
    assert!(world.denied().is_empty());
    for two in [false, true] {
        for (method, path) in [
            ("DELETE", "/v1/a"),
            ("GET", "/v2/a"),
            ("GET", "/"),
            ("GET", "/v1/../admin"),
            ("GET", "/v1/%2e%2e/admin"),
            ("GET", "/v1/..%2fadmin"),
            ("GET", "/v1/%252e%252e/admin"),
            ("GET", "/v1//x"),
            ("TRACE", "/v1/a"),
            ("OPTIONS", "*"),
        ] {
            if two && path == "*" {
                continue;
            }
            let answer = world
                .ask(two, port, request(two, port, method, path, &[]))
                .await;
            assert_eq!(answer.status, 403, "{method} {path}");
            let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert!(
                told["missing"]
                    .as_str()
                    .unwrap()
                    .starts_with("network_access:https://localhost:"),
                "{told}"
            );
            assert!(
                world.refusal("network_access").contains(path),
                "{method} {path}"
            );
        }
    }
    assert_eq!(origin.seen(), before, "nothing refused arrived");
}

#[tokio::test]
async fn l19_a_path_of_two_readings_passes_only_where_every_path_is_granted() {
    let origin = echo().await;
    let port = origin.port;
    let whole = World::new(&["https://localhost:{} GET"], &[&origin]);
    let answer = whole
        .ask(
            false,
            port,
            request(false, port, "GET", "/@scope%2fname", &[]),
        )
        .await;
    assert!(answer.body.contains("/@scope%2fname"), "{answer:?}");
    let holed = World::new(
        &["https://localhost:{} GET except https://localhost:{}/admin/ GET"],
        &[&origin],
    );
    let answer = holed
        .ask(
            false,
            port,
            request(false, port, "GET", "/x%2f../admin/", &[]),
        )
        .await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn l05_name_server_name_and_host_are_one() {
    let origin = echo().await;
    let (world, port) = (World::new(GRANT, &[&origin]), origin.port);
    for host in [
        "evil.example".to_owned(),
        "localhost".to_owned(),
        format!("localhost:{}", port ^ 1),
        format!("me@localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("localhost.evil.example:{port}"),
    ] {
        let answer = world
            .raw(
                port,
                &format!("GET /v1/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            )
            .await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
        assert!(!world.denied().is_empty());
        let mut two = request(true, port, "GET", "/v1/a", &[]);
        *two.uri_mut() = format!("https://{host}/v1/a").parse().unwrap();
        assert_eq!(world.ask(true, port, two).await.status, 403, "{host}");
        assert!(!world.denied().is_empty());
    }
    // Both are there, and differ.
    let two = request(true, port, "GET", "/v1/a", &[("host", "evil.example")]);
    assert_eq!(world.ask(true, port, two).await.status, 403);
    for target in [
        "https://evil.example/v1/a".to_owned(),
        format!("http://localhost:{port}/v1/a"),
        format!("https://evil.example:{port}/v1/a"),
    ] {
        let answer = world
            .raw(
                port,
                &format!(
                    "GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
                ),
            )
            .await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{target}: {answer}");
    }
    assert_eq!(origin.seen(), 0);
    let same = format!(
        "GET https://LOCALHOST.:{port}/v1/a HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    );
    let answer = world.raw(port, &same).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("host: localhost:{port}")),
        "{answer}"
    );
}

#[tokio::test]
async fn l03_l04_no_tunnel_begins_inside_http() {
    let origin = echo().await;
    let plain = Origin::http(|request| async { Response::new(full(shown(request).await)) }).await;
    let (port, plain_port) = (origin.port, plain.port);
    let world = World::new(
        &[
            "https://localhost:{0}",
            "http://localhost:{1}",
            "https://localhost:{0}/x GET",
        ],
        &[&origin, &plain],
    );
    let narrow = World::new(GRANT, &[&origin]);
    let requests = |port: u16| {
        [
            format!("CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"),
            "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n".to_owned(),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned(),
            format!(
                "GET /v1/a HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                 Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
            ),
            format!(
                "GET /v1/a HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            ),
            format!(
                "GET /v1/a HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n"
            ),
            format!("GET /v1/a HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: h2c\r\n\r\n"),
            format!(
                "POST /v1/a HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            ),
        ]
    };
    for text in requests(plain_port) {
        let text = text
            .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
            .replacen("Connection: close\r\n\r\nSM", "\r\nSM", 1);
        let mut stream = world.plain("localhost", plain_port).await;
        let answer = first_line(&mut stream, &text).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{text:?}: {answer}");
        assert!(!world.denied().is_empty(), "{text:?}");
    }
    for text in requests(port) {
        let mut stream = narrow.tls("localhost", port, &["http/1.1"]).await;
        let answer = first_line(&mut stream, &text).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{text:?}: {answer}");
        assert!(!narrow.denied().is_empty(), "{text:?}");
    }
    assert_eq!((origin.seen(), plain.seen()), (0, 0));
}

async fn first_line(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
    text: &str,
) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn ambiguous_requests_never_arrive() {
    let origin = echo().await;
    let (world, port) = (World::new(GRANT, &[&origin]), origin.port);
    let hidden = format!("GET /v2/hidden HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    for (fields, body) in [
        (
            "Content-Length: 6\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 6",
            "0\r\n\r\n",
        ),
        ("Content-Length: 0\r\nContent-Length: 60", ""),
        ("Content-Length: 0, 60", ""),
        ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked", "0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "0\r\n\r\n",
        ),
        ("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        ("X: a\r\n folded", ""),
        ("X: a\rContent-Length: 60", ""),
        ("X: a\nContent-Length: 60", ""),
        ("X: a\0b", ""),
        ("X\0: b", ""),
        ("X : b", ""),
        ("Content_Length: 60", ""),
        ("Host: evil.example", ""),
    ] {
        let text = format!(
            "POST /v1/a HTTP/1.1\r\nHost: localhost:{port}\r\n{fields}\r\n\r\n{body}{hidden}"
        );
        let answer = world.raw(port, &text).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{fields:?}: {answer}");
        assert!(!world.denied().is_empty(), "{fields:?}");
    }
    for line in [
        "GET /v1/a",
        "GET /v1/a HTTP/0.9",
        "GET /v1/a HTTP/1.0",
        "GET  /v1/a HTTP/1.1",
        "GET\t/v1/a HTTP/1.1",
        "\r\nGET /v1/a HTTP/1.1",
    ] {
        let answer = world
            .raw(
                port,
                &format!("{line}\r\nHost: localhost:{port}\r\n\r\n{hidden}"),
            )
            .await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{line:?}: {answer}");
    }
    for host in ["", "X: y\r\n"] {
        let answer = world
            .raw(port, &format!("GET /v1/a HTTP/1.1\r\n{host}\r\n{hidden}"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let long = "y".repeat(70_000);
    let answer = world
        .raw(
            port,
            &format!("GET /v1/a HTTP/1.1\r\nHost: localhost:{port}\r\nX: {long}\r\n\r\n"),
        )
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 400") || answer.is_empty(),
        "{answer}"
    );
    assert_eq!(origin.seen(), 0, "nothing ambiguous arrived");
}

#[tokio::test]
async fn a_broken_chunk_ends_the_request_at_its_destination_too() {
    let origin = Origin::https(|request| async {
        let whole = http_body_util::BodyExt::collect(request.into_body())
            .await
            .is_ok();
        let mut response = Response::new(full("served"));
        if !whole {
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
        }
        response
    })
    .await;
    let (world, port) = (World::new(GRANT, &[&origin]), origin.port);
    for body in [
        "5\r\nabc\r\n0\r\n\r\n",
        "3;x\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
    ] {
        let text = format!(
            "POST /v1/a HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n\r\n{body}\
             GET /v1/b HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
        );
        let answer = world.raw(port, &text).await;
        assert!(!answer.contains("served"), "{body:?}: {answer}");
        assert!(!world.denied().is_empty());
    }
}

#[tokio::test]
async fn a_request_behind_another_is_decided_as_well() {
    let origin = echo().await;
    let (world, port) = (World::new(GRANT, &[&origin]), origin.port);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    let last = format!("GET /v2/b HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    // One in plain sight, one that is a body and stays one.
    let inner = get("/v2/inner");
    let text = format!(
        "{}POST /v1/c HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {}\r\n\r\n{inner}{last}",
        get("/v1/a"),
        inner.len()
    );
    let answer = world.raw(port, &text).await;
    let lines: Vec<_> = answer
        .lines()
        .filter(|line| line.starts_with("HTTP/1.1 "))
        .collect();
    assert_eq!(
        lines,
        [
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 403 Forbidden"
        ],
        "{answer}"
    );
    assert_eq!(origin.seen(), 2);
    assert!(world.refusal("network_access").contains("/v2/b"));
}

#[tokio::test]
async fn l07_a_name_that_leads_inside_is_refused() {
    let origin = echo().await;
    let world = World::new(&["https://api.example.com:{}/v1/"], &[&origin]);
    let stream = world
        .tls("api.example.com", origin.port, &["http/1.1"])
        .await;
    let port = origin.port;
    let text =
        format!("GET /v1/a HTTP/1.1\r\nHost: api.example.com:{port}\r\nConnection: close\r\n\r\n");
    let answer = exchange(stream, &text).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(world.refusal("network_access").contains("loopback"));
    assert_eq!(
        origin.connections.load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[tokio::test]
async fn a_destination_that_is_not_who_it_should_be_gets_nothing() {
    let (origin, other) = (echo().await, echo().await);
    let port = origin.port;
    // Trusts the certificates of `other` alone.
    let world = World::new(
        &[format!("https://localhost:{port}/v1/").as_str()],
        &[&other],
    );
    let answer = world
        .ask(false, port, request(false, port, "GET", "/v1/a", &[]))
        .await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(origin.seen(), 0);
}

#[tokio::test]
async fn l08_a_redirect_is_an_answer_and_what_follows_is_decided_anew() {
    let origin = Origin::https(|_| async {
        Response::builder()
            .status(302)
            .header("location", "https://evil.example/")
            .body(full(""))
            .unwrap()
    })
    .await;
    let (world, port) = (World::new(GRANT, &[&origin]), origin.port);
    let answer = world
        .ask(false, port, request(false, port, "GET", "/v1/a", &[]))
        .await;
    assert_eq!(
        (answer.status, answer.fields["location"].to_str().unwrap()),
        (302, "https://evil.example/")
    );
    let evil = world
        .raw(
            port,
            "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert!(evil.starts_with("HTTP/1.1 403"), "{evil}");
}

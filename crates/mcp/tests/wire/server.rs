//! Our server, spoken to in raw lines.

use std::time::Duration;

use crate::support::{PATIENCE, Sample, Wire, modern, modern_meta, request, serving};
use bailiwick_mcp::{
    INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, JsonLimits, Limits, ListChanged,
    METHOD_NOT_FOUND, PARSE_ERROR, ServerOptions, UNSUPPORTED_VERSION,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

fn quick() -> ServerOptions {
    ServerOptions {
        drain: Duration::from_millis(200),
        ..ServerOptions::default()
    }
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"]
        .as_i64()
        .unwrap_or_else(|| panic!("no error: {answer}"))
}

async fn greeted(options: ServerOptions) -> Wire {
    let (mut wire, _) = serving(Sample::default(), options);
    wire.initialize("2025-11-25").await;
    wire
}

#[tokio::test]
async fn the_handshake_settles_the_revision() {
    for (asked, got) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let (mut wire, _) = serving(Sample::default(), quick());
        let answer = wire.initialize(asked).await;
        assert_eq!(answer["result"]["protocolVersion"], got);
        assert_eq!(
            answer["result"]["serverInfo"],
            json!({"name": "sample", "version": "1"})
        );
        assert_eq!(answer["result"]["instructions"], "be kind");
        let pong = wire.ask(request(1, "ping", json!({}))).await;
        assert_eq!(pong, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
        let called = wire
            .ask(request(
                2,
                "tools/call",
                json!({"name": "echo", "arguments": {"a": 1}}),
            ))
            .await;
        assert!(called["result"].get("resultType").is_none());
        assert_eq!(called["result"]["future"], json!({"kept": true}));
        let structured = called["result"].get("structuredContent").is_some();
        assert_eq!(structured, got >= "2025-06-18", "{got}");
    }
}

#[tokio::test]
async fn a_modern_request_needs_no_handshake() {
    let (mut wire, _) = serving(Sample::default(), quick());
    let found = wire.ask(modern("d", "server/discover", json!({}))).await["result"].clone();
    assert_eq!(found["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(found["resultType"], "complete");
    assert_eq!(found["cacheScope"], "private");
    assert_eq!(found["ttlMs"], 0);
    assert_eq!(
        found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "sample"
    );
    let list = wire.ask(modern(1, "tools/list", json!({}))).await["result"].clone();
    assert_eq!(list["tools"][0]["outputSchema"], json!({"type": "array"}));
    assert_eq!(list["tools"][0]["future"], json!({"a": [1]}));
    assert_eq!(list["resultType"], "complete");
    let called = wire
        .ask(modern(2, "tools/call", json!({"name": "echo", "x": 1})))
        .await["result"]
        .clone();
    assert_eq!(called["structuredContent"]["revision"], "2026-07-28");
    assert_eq!(called["structuredContent"]["client"], "test");
    assert_eq!(called["structuredContent"]["meta"], json!({}));
    assert_eq!(called["structuredContent"]["rest"], json!({"x": 1}));
    assert_eq!(called["resultType"], "complete");
}

#[tokio::test]
async fn both_families_live_on_one_connection() {
    let mut wire = greeted(quick()).await;
    let older = wire
        .ask(request(1, "tools/call", json!({"name": "echo"})))
        .await;
    let newer = wire
        .ask(modern(1, "tools/call", json!({"name": "echo"})))
        .await;
    assert_eq!(
        older["result"]["structuredContent"]["revision"],
        "2025-11-25"
    );
    assert_eq!(
        newer["result"]["structuredContent"]["revision"],
        "2026-07-28"
    );
    assert!(
        wire.ask(request(2, "tools/list", json!({}))).await["result"]
            .get("ttlMs")
            .is_none()
    );
}

#[tokio::test]
async fn missing_or_wrong_metadata_is_the_right_error() {
    let (mut wire, _) = serving(Sample::default(), quick());
    for method in ["server/discover", "tools/list", "tools/call"] {
        assert_eq!(
            code(&wire.ask(request(1, method, json!({"name": "echo"}))).await),
            INVALID_PARAMS,
            "{method}"
        );
    }
    let mut incomplete = modern(2, "tools/list", json!({}));
    incomplete["params"]["_meta"]
        .as_object_mut()
        .unwrap()
        .remove("io.modelcontextprotocol/clientCapabilities");
    assert_eq!(code(&wire.ask(incomplete).await), INVALID_PARAMS);
    let mut other = modern(3, "server/discover", json!({}));
    other["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("1900-01-01");
    let answer = wire.ask(other).await;
    assert_eq!(code(&answer), UNSUPPORTED_VERSION);
    assert_eq!(
        answer["error"]["data"],
        json!({"supported": ["2026-07-28"], "requested": "1900-01-01"})
    );
    assert_eq!(
        code(
            &wire
                .ask(request(4, "tools/list", json!({"_meta": 7})))
                .await
        ),
        INVALID_PARAMS
    );
    let twice = wire.initialize("2025-11-25").await;
    assert!(twice.get("result").is_some());
    assert_eq!(code(&wire.initialize("2025-11-25").await), INVALID_REQUEST);
}

#[tokio::test]
async fn l25_all_other_methods_of_the_specification_are_refused() {
    let options = quick();
    let counters = options.counters.clone();
    let mut wire = greeted(options).await;
    let refused = [
        "completion/complete",
        "elicitation/create",
        "logging/setLevel",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "roots/list",
        "sampling/createMessage",
        "tasks/cancel",
        "tasks/get",
        "tasks/list",
        "tasks/result",
        "tasks/update",
        "Tools/call",
        "tools/call ",
        "bailiwick/grant",
        "",
    ];
    for method in refused {
        assert_eq!(
            code(&wire.ask(request(1, method, json!({}))).await),
            METHOD_NOT_FOUND,
            "{method}"
        );
        assert_eq!(
            code(&wire.ask(modern(1, method, json!({}))).await),
            METHOD_NOT_FOUND,
            "{method}"
        );
    }
    assert_eq!(
        code(&wire.ask(request(1, "server/discover", json!({}))).await),
        METHOD_NOT_FOUND
    );
    assert_eq!(
        code(&wire.ask(modern(1, "ping", json!({}))).await),
        METHOD_NOT_FOUND
    );
    assert_eq!(
        code(&wire.ask(modern(1, "initialize", json!({}))).await),
        METHOD_NOT_FOUND
    );
    for method in [
        "notifications/roots/list_changed",
        "notifications/progress",
        "notifications/tools/list_changed",
        "tools/call",
        "x",
    ] {
        wire.send(json!({"jsonrpc": "2.0", "method": method})).await;
    }
    wire.send(json!({"jsonrpc": "2.0", "id": 9, "result": {}}))
        .await;
    wire.ask(request(2, "ping", json!({}))).await;
    assert_eq!(counters.dropped_notifications(), 5);
    assert_eq!(counters.stray_responses(), 1);
    assert_eq!(counters.refused_requests(), 2 * refused.len() as u64 + 3);
}

#[tokio::test]
async fn l24_what_cannot_be_read_strictly_is_refused_and_reading_goes_on() {
    let mut wire = greeted(ServerOptions {
        limits: Limits {
            line: 4096,
            json: JsonLimits::default(),
        },
        ..quick()
    })
    .await;
    for (line, wanted, id) in [
        (
            r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","name":"denied"}}"#,
            PARSE_ERROR,
            json!(5),
        ),
        (
            r#"{"jsonrpc":"2.0","id":6,"Method":"tools/call"}"#,
            INVALID_REQUEST,
            json!(6),
        ),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            INVALID_REQUEST,
            Value::Null,
        ),
        ("{", PARSE_ERROR, Value::Null),
        ("7", INVALID_REQUEST, Value::Null),
        ("\u{0}", PARSE_ERROR, Value::Null),
        (&"x".repeat(10_000), INVALID_REQUEST, Value::Null),
        (&"[".repeat(4_000), PARSE_ERROR, Value::Null),
    ] {
        wire.raw(format!("{line}\n")).await;
        let answer = wire.next().await.unwrap();
        assert_eq!(code(&answer), wanted, "{line}");
        assert_eq!(answer["id"], id, "{line}");
    }
    wire.raw(b"{\"a\":\"\xff\"}\n").await;
    assert_eq!(code(&wire.next().await.unwrap()), PARSE_ERROR);
    assert!(
        wire.ask(request(7, "ping", json!({})))
            .await
            .get("result")
            .is_some()
    );
}

#[tokio::test]
async fn before_the_handshake_an_unreadable_line_is_answered_without_id() {
    let (mut wire, _) = serving(Sample::default(), quick());
    wire.raw("{\n").await;
    assert!(wire.next().await.unwrap().get("id").is_none());
}

#[tokio::test]
async fn calls_run_side_by_side_and_can_be_cancelled() {
    let sample = Sample::default();
    let (started, cancelled) = (sample.started.clone(), sample.cancelled.clone());
    let (mut wire, _) = serving(sample, quick());
    wire.initialize("2025-06-18").await;
    wire.send(request("slow", "tools/call", json!({"name": "hang"})))
        .await;
    started.notified().await;
    assert_eq!(
        wire.ask(request("fast", "tools/call", json!({"name": "echo"})))
            .await["id"],
        "fast"
    );
    assert_eq!(
        code(&wire.ask(request("slow", "ping", json!({}))).await),
        INVALID_REQUEST
    );
    wire.send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}})).await;
    tokio::time::timeout(PATIENCE, cancelled.notified())
        .await
        .unwrap();
    let next = wire.ask(request("after", "ping", json!({}))).await;
    assert_eq!(next["id"], "after", "a cancelled request has no answer");
}

#[tokio::test]
async fn too_many_calls_at_once_are_refused() {
    let (mut wire, _) = serving(
        Sample::default(),
        ServerOptions {
            in_flight: 2,
            ..quick()
        },
    );
    wire.send(modern(1, "tools/call", json!({"name": "hang"})))
        .await;
    wire.send(modern(2, "tools/call", json!({"name": "hang"})))
        .await;
    let answer = wire
        .ask(modern(3, "tools/call", json!({"name": "echo"})))
        .await;
    assert_eq!((answer["id"].clone(), code(&answer)), (json!(3), -31000));
    wire.send(
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
    )
    .await;
    loop {
        let answer = wire
            .ask(modern(4, "tools/call", json!({"name": "echo"})))
            .await;
        if answer.get("result").is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_ends_nothing_else() {
    let mut wire = greeted(ServerOptions {
        limits: Limits {
            line: 1 << 20,
            ..Limits::default()
        },
        ..quick()
    })
    .await;
    assert_eq!(
        code(
            &wire
                .ask(request(1, "tools/call", json!({"name": "panic"})))
                .await
        ),
        INTERNAL_ERROR
    );
    assert_eq!(
        code(
            &wire
                .ask(request(1, "tools/call", json!({"name": "big"})))
                .await
        ),
        INTERNAL_ERROR
    );
    assert_eq!(
        code(
            &wire
                .ask(request(1, "tools/call", json!({"name": "unknown"})))
                .await
        ),
        INVALID_PARAMS
    );
    assert_eq!(
        code(
            &wire
                .ask(request(1, "tools/call", json!({"arguments": {}})))
                .await
        ),
        INVALID_PARAMS
    );
    assert_eq!(
        code(
            &wire
                .ask(request(1, "tools/list", json!({"cursor": "x"})))
                .await
        ),
        INVALID_PARAMS
    );
    let denied = wire
        .ask(request(1, "tools/call", json!({"name": "denied"})))
        .await;
    assert_eq!(denied["result"]["isError"], true);
    assert_eq!(
        denied["result"]["structuredContent"],
        json!({"denied": true})
    );
}

#[tokio::test]
async fn input_required_is_for_the_modern_revision() {
    let mut wire = greeted(quick()).await;
    assert_eq!(
        code(
            &wire
                .ask(request(1, "tools/call", json!({"name": "ask"})))
                .await
        ),
        INTERNAL_ERROR
    );
    let asked = wire
        .ask(modern(2, "tools/call", json!({"name": "ask"})))
        .await;
    assert_eq!(asked["result"]["resultType"], "input_required");
    assert_eq!(asked["result"]["requestState"], "s");
    let again = wire
        .ask(modern(
            3,
            "tools/call",
            json!({"name": "ask", "requestState": "s", "inputResponses": {}}),
        ))
        .await;
    assert_eq!(again["result"]["resultType"], "complete");
}

#[tokio::test]
async fn changes_of_the_list_reach_both_families() {
    let changed = ListChanged::default();
    let options = ServerOptions {
        list_changed: Some(changed.clone()),
        ..quick()
    };
    let mut wire = greeted(options.clone()).await;
    wire.ask(request(0, "ping", json!({}))).await;
    changed.notify();
    assert_eq!(
        wire.next().await.unwrap(),
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    );

    let (mut wire, _) = serving(Sample::default(), options);
    let deaf = wire
        .ask(modern(
            "deaf",
            "subscriptions/listen",
            json!({"notifications": {}}),
        ))
        .await;
    assert_eq!(deaf["params"]["notifications"], json!({}));
    let ack = wire
        .ask(modern(
            7,
            "subscriptions/listen",
            json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}}),
        ))
        .await;
    assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(
        ack["params"]["notifications"],
        json!({"toolsListChanged": true})
    );
    changed.notify();
    let news = wire.next().await.unwrap();
    assert_eq!(news["method"], "notifications/tools/list_changed");
    assert_eq!(
        news["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        7
    );
    wire.send(
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}),
    )
    .await;
    wire.ask(modern(8, "server/discover", json!({}))).await;
    changed.notify();
    assert_eq!(
        wire.ask(modern(9, "server/discover", json!({}))).await["id"],
        9,
        "nobody listens any longer"
    );
}

#[tokio::test]
async fn the_end_of_the_input_lets_calls_finish_or_cancels_them() {
    let sample = Sample::default();
    let cancelled = sample.cancelled.clone();
    let (mut wire, task) = serving(
        sample,
        ServerOptions {
            drain: Duration::from_secs(2),
            ..quick()
        },
    );
    wire.send(modern(1, "tools/call", json!({"name": "hang"})))
        .await;
    // No line end after the last message: it counts all the same.
    wire.raw(modern(2, "tools/call", json!({"name": "echo"})).to_string())
        .await;
    wire.to.shutdown().await.unwrap();
    assert_eq!(wire.next().await.unwrap()["id"], 2);
    assert_eq!(wire.next().await, None, "the cancelled call has no answer");
    cancelled.notified().await;
    assert_eq!(
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap(),
        Ok(())
    );
}

#[tokio::test]
async fn an_agent_that_does_not_read_is_not_read_from() {
    let (mut wire, task) = serving(Sample::default(), quick());
    wire.initialize("2025-11-25").await;
    // The answer is about as long as the request, so that what is taken in must be held somewhere.
    let ping = request("x".repeat(500), "ping", json!({})).to_string() + "\n";
    let mut taken = 0;
    while tokio::time::timeout(Duration::from_secs(1), wire.to.write_all(ping.as_bytes()))
        .await
        .is_ok()
    {
        taken += ping.len();
        assert!(
            taken < 2 << 20,
            "it goes on reading although nobody takes its answers"
        );
    }
    drop(wire);
    assert!(
        tokio::time::timeout(PATIENCE, task)
            .await
            .unwrap()
            .unwrap()
            .is_err(),
        "the agent is gone"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_input_is_survived_and_every_answer_is_a_message(
        lines in proptest::collection::vec(line(), 0..12)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut wire, task) = serving(Sample::default(), ServerOptions { drain: Duration::ZERO, ..quick() });
            let mut input = lines.join(&b'\n');
            input.push(b'\n');
            wire.raw(&input).await;
            wire.to.shutdown().await.unwrap();
            while let Some(answer) = wire.next().await {
                assert_eq!(answer["jsonrpc"], "2.0");
            }
            assert_eq!(task.await.unwrap(), Ok(()));
        });
    }
}

/// Arbitrary bytes, and requests with arbitrary parts.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let methods = prop_oneof![
        Just("initialize"),
        Just("server/discover"),
        Just("tools/list"),
        Just("tools/call"),
        Just("subscriptions/listen"),
        Just("notifications/cancelled"),
        Just("notifications/initialized"),
        Just("ping")
    ];
    let scraps = prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!([])),
        Just(json!({"name": "echo"})),
        Just(json!({"name": "panic"})),
        Just(json!({"_meta": modern_meta(), "name": "echo", "notifications": {}})),
        Just(json!({"_meta": []})),
        Just(json!({"requestId": 1})),
        Just(
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a", "version": "b"}})
        ),
    ];
    let ids = prop_oneof![
        Just(json!(1)),
        Just(json!("a")),
        Just(json!(null)),
        Just(json!(1.5)),
        Just(json!([]))
    ];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        (methods, scraps, ids, any::<bool>()).prop_map(|(method, params, id, with_id)| {
            let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
            if with_id {
                message["id"] = id;
            }
            message.to_string().into_bytes()
        }),
    ]
}

//! Plugins that lie, flood, hang and die.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick_mcp::{
    CallOutcome, Client, ClientOptions, JsonLimits, Limits, McpError, PluginEvents, PluginRequest,
    RpcError, ToolCall,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;

use crate::negotiation::{error, legacy, modern, result};
use crate::support::{PATIENCE, Wire, members};

type Outcome = Result<CallOutcome, McpError>;

fn options() -> ClientOptions {
    ClientOptions {
        limits: Limits {
            line: 64 << 10,
            json: JsonLimits::default(),
        },
        send_limit: 64 << 10,
        ..ClientOptions::default()
    }
}

async fn call(client: &Client, name: &str) -> Outcome {
    client
        .call_tool(ToolCall::new(name, Map::new()), PATIENCE)
        .await
}

fn done(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

/// Calls, lets the plugin do as it likes with the request, and returns what came of the call.
async fn with_plugin(
    wire: &mut Wire,
    client: &Client,
    plugin: impl AsyncFnOnce(&mut Wire, Value),
) -> Outcome {
    let playing = async {
        let request = wire.next().await.unwrap();
        plugin(wire, request).await;
    };
    tokio::join!(call(client, "t"), playing).0
}

fn text(outcome: Outcome) -> String {
    outcome.unwrap().complete().unwrap().all_text()
}

#[tokio::test]
async fn l26_an_answer_of_another_shape_is_an_error_and_the_connection_lives_on() {
    let (mut wire, client) = legacy(options()).await;
    for answer in [
        json!({}),
        json!({"tools": []}),
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "a", "version": "1"}}),
        json!({"contents": [{"uri": "a", "text": "x"}]}),
        json!({"content": [{"type": "Text", "text": "a"}]}),
        json!({"content": "a"}),
    ] {
        let outcome = with_plugin(&mut wire, &client, async |wire, request| {
            wire.send(result(&request, answer)).await
        })
        .await;
        assert!(
            matches!(outcome, Err(McpError::BadAnswer { .. })),
            "{outcome:?}"
        );
    }
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        wire.send(error(&request, -5, json!({"a": 1}))).await
    })
    .await;
    assert!(matches!(
        outcome,
        Err(McpError::Refused {
            error: RpcError { code: -5, .. },
            ..
        })
    ));
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        wire.send(result(&request, done("fine"))).await
    })
    .await;
    assert_eq!(text(outcome), "fine");
}

#[tokio::test]
async fn only_the_id_of_an_open_request_is_an_answer_and_only_once() {
    let (mut wire, client) = legacy(options()).await;
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        let id = request["id"].as_i64().unwrap();
        for other in [json!(id + 1), json!(id.to_string()), json!(0), json!(-1)] {
            wire.send(json!({"jsonrpc": "2.0", "id": other, "result": done("wrong")}))
                .await;
        }
        wire.send(json!({"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": "x"}}))
            .await;
        wire.send(result(&request, done("right"))).await;
        wire.send(result(&request, done("again"))).await;
    })
    .await;
    assert_eq!(text(outcome), "right");
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        wire.send(result(&request, done("next"))).await
    })
    .await;
    assert_eq!(text(outcome), "next");
    assert_eq!(client.counters().stray_responses(), 6);
}

#[tokio::test]
async fn answers_out_of_order_find_their_calls() {
    let (mut wire, client) = legacy(options()).await;
    let answering = async {
        let first = wire.next().await.unwrap();
        let second = wire.next().await.unwrap();
        for request in [second, first] {
            let name = request["params"]["name"].as_str().unwrap().to_owned();
            wire.send(result(&request, done(&name))).await;
        }
    };
    let (a, b, ()) = tokio::join!(call(&client, "a"), call(&client, "b"), answering);
    assert_eq!((text(a), text(b)), ("a".into(), "b".into()));
}

#[tokio::test]
async fn l24_an_unreadable_answer_fails_its_call_at_once() {
    let (mut wire, client) = legacy(options()).await;
    for line in [
        r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[],"isError":true,"isError":false}}"#,
        r#"{"jsonrpc":"2.0","id":ID,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":ID}"#,
        r#"{"jsonrpc":"2.0","id":ID,"result":{},"error":{"code":1,"message":"m"}}"#,
        r#"{"id":ID,"result":{"content":[]}}"#,
    ] {
        let outcome = with_plugin(&mut wire, &client, async |wire, request| {
            wire.raw(line.replace("ID", &request["id"].to_string()) + "\n")
                .await;
        })
        .await;
        assert!(
            matches!(outcome, Err(McpError::Unreadable(_))),
            "{line}: {outcome:?}"
        );
    }
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        wire.send(result(&request, done(&"x".repeat(100_000))))
            .await;
    })
    .await;
    assert!(
        outcome
            .unwrap_err()
            .to_string()
            .contains("over the limit of 65536 bytes")
    );
    assert_eq!(client.counters().malformed(), 6);
}

#[tokio::test]
async fn noise_between_messages_is_dropped_and_noted() {
    let heard = Arc::new(Heard::default());
    let (mut wire, client) = legacy(ClientOptions {
        events: heard.clone(),
        ..options()
    })
    .await;
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        wire.raw(
            b"Listening on stdio\n\x1b[31mwarn\x1b[0m\n\n{}\n[]\n\"x\"\nnull\n\xff\xfe\n\0\0\n",
        )
        .await;
        wire.send(result(&request, done("fine"))).await;
    })
    .await;
    assert_eq!(text(outcome), "fine");
    assert_eq!(client.counters().malformed(), 8);
    let notes = heard.notes.lock().unwrap().clone();
    assert_eq!(notes.len(), 8);
    assert!(notes.iter().all(|note| !note.contains('\u{1b}')));
}

#[tokio::test]
async fn a_plugin_that_only_writes_noise_is_given_up() {
    let (mut wire, client) = legacy(options()).await;
    let outcome = with_plugin(&mut wire, &client, async |wire, _| {
        let _ = wire.to.write_all("noise\n".repeat(20_000).as_bytes()).await;
    })
    .await;
    assert!(
        matches!(&outcome, Err(McpError::PluginGone { reason }) if reason.contains("not MCP messages")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn death_fails_every_open_call_and_all_later_ones() {
    let (mut wire, client) = legacy(options()).await;
    let dying = async {
        wire.next().await.unwrap();
        wire.next().await.unwrap();
        wire.raw(r#"{"jsonrpc":"2.0","id":"#).await;
        drop(wire);
    };
    let (a, b, ()) = tokio::join!(call(&client, "a"), call(&client, "b"), dying);
    for outcome in [a, b, call(&client, "c").await] {
        assert!(
            matches!(outcome, Err(McpError::PluginGone { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(client.gone().await, "its output ended");
}

struct Panics;

impl PluginEvents for Panics {
    fn tools_list_changed(&self) {
        panic!("a listener that panics");
    }
}

#[tokio::test]
async fn a_listener_that_panics_leaves_nobody_waiting() {
    let (mut wire, client) = legacy(ClientOptions {
        events: Arc::new(Panics),
        ..options()
    })
    .await;
    let outcome = with_plugin(&mut wire, &client, async |wire, _| {
        wire.send(json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))
            .await;
    })
    .await;
    assert!(
        matches!(outcome, Err(McpError::PluginGone { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn half_a_death_is_a_death() {
    // The plugin closes its output but goes on reading.
    let (mut wire, client) = legacy(options()).await;
    let outcome = with_plugin(&mut wire, &client, async |wire, _| {
        wire.to.shutdown().await.unwrap()
    })
    .await;
    assert!(
        matches!(outcome, Err(McpError::PluginGone { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_call_that_hangs_times_out_is_cancelled_and_its_late_answer_dropped() {
    let (mut wire, client) = legacy(options()).await;
    wire.raw("noise\n").await;
    let playing = async {
        let request = wire.next().await.unwrap();
        wire.raw("noise\n").await;
        let cancelled = wire.next().await.unwrap();
        assert_eq!(cancelled["method"], "notifications/cancelled");
        assert_eq!(cancelled["params"]["requestId"], request["id"]);
        wire.send(result(&request, done("late"))).await;
    };
    let timeout = Duration::from_millis(100);
    let late = client.call_tool(ToolCall::new("t", Map::new()), timeout);
    let (outcome, ()) = tokio::join!(late, playing);
    assert!(
        matches!(outcome, Err(McpError::TimedOut { .. })),
        "{outcome:?}"
    );
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        wire.send(result(&request, done("on time"))).await
    })
    .await;
    assert_eq!(text(outcome), "on time");
    assert_eq!(client.counters().stray_responses(), 1);
}

#[tokio::test]
async fn a_plugin_that_does_not_read_only_makes_its_own_calls_wait() {
    let (_wire, client) = legacy(options()).await;
    let mut call = ToolCall::new("t", members(json!({"pad": "x".repeat(60_000)})));
    for _ in 0..4 {
        let outcome = client
            .call_tool(call.clone(), Duration::from_millis(50))
            .await;
        assert!(
            matches!(outcome, Err(McpError::TimedOut { .. })),
            "{outcome:?}"
        );
    }
    call.arguments = members(json!({"pad": "x".repeat(70_000)}));
    assert!(matches!(
        client.call_tool(call, PATIENCE).await,
        Err(McpError::TooLarge { .. })
    ));
}

#[tokio::test]
async fn l25_requests_of_a_plugin_are_refused_and_pings_answered() {
    let (mut wire, client) = legacy(options()).await;
    for method in [
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "tools/call",
        "initialize",
        "tasks/get",
        "x",
    ] {
        let answer = wire
            .ask(json!({"jsonrpc": "2.0", "id": "q", "method": method, "params": {}}))
            .await;
        assert_eq!(
            (answer["id"].clone(), answer["error"]["code"].clone()),
            (json!("q"), json!(-32601)),
            "{method}"
        );
    }
    let pong = wire
        .ask(json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
        .await;
    assert_eq!(pong, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    assert_eq!(client.counters().refused_requests(), 7);

    let (mut wire, client) = modern(options()).await;
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        for method in [
            "ping",
            "sampling/createMessage",
            "elicitation/create",
            "roots/list",
        ] {
            wire.send(json!({"jsonrpc": "2.0", "id": "q", "method": method}))
                .await;
        }
        wire.send(result(&request, done("fine"))).await;
    })
    .await;
    assert_eq!(text(outcome), "fine");
    assert_eq!(client.counters().refused_requests(), 4);
    // A client of this revision sends no responses at all: the next line is the next request.
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        assert_eq!(request["method"], "tools/call");
        wire.send(result(&request, json!({"resultType": "task", "task": {}})))
            .await;
    })
    .await;
    assert!(
        matches!(outcome, Err(McpError::BadAnswer { .. })),
        "{outcome:?}"
    );
}

#[derive(Default)]
struct Heard {
    changes: AtomicU64,
    logs: AtomicU64,
    notes: Mutex<Vec<String>>,
}

#[async_trait]
impl PluginEvents for Heard {
    fn tools_list_changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn log(&self, _params: Map<String, Value>) {
        self.logs.fetch_add(1, Ordering::Relaxed);
    }

    fn note(&self, note: &str) {
        self.notes.lock().unwrap().push(note.to_owned());
    }

    fn answers(&self, request: PluginRequest) -> bool {
        request == PluginRequest::Elicit
    }

    async fn request(
        &self,
        _request: PluginRequest,
        params: Map<String, Value>,
    ) -> Result<Map<String, Value>, RpcError> {
        Ok(members(json!({"action": "decline", "asked": params})))
    }
}

#[tokio::test]
async fn a_host_may_answer_what_it_chooses() {
    let (mut wire, _client) = legacy(ClientOptions {
        events: Arc::new(Heard::default()),
        ..options()
    })
    .await;
    let answer = wire.ask(json!({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create", "params": {"message": "m"}})).await;
    assert_eq!(
        answer["result"],
        json!({"action": "decline", "asked": {"message": "m"}})
    );
    let refused = wire
        .ask(json!({"jsonrpc": "2.0", "id": 6, "method": "roots/list"}))
        .await;
    assert_eq!(refused["error"]["code"], -32601);
}

#[tokio::test]
async fn a_flood_of_notifications_and_pings_is_survived() {
    let heard = Arc::new(Heard::default());
    let (mut wire, client) = legacy(ClientOptions {
        events: heard.clone(),
        ..options()
    })
    .await;
    let outcome = with_plugin(&mut wire, &client, async |wire, request| {
        for _ in 0..5_000 {
            // The plugin reads none of the answers to its pings.
            wire.send(json!({"jsonrpc": "2.0", "id": "x".repeat(200), "method": "ping"})).await;
            wire.send(json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}})).await;
            wire.send(json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})).await;
            wire.send(json!({"jsonrpc": "2.0", "method": "notifications/unknown"})).await;
        }
        wire.send(result(&request, done("fine"))).await;
    })
    .await;
    assert_eq!(text(outcome), "fine");
    assert_eq!(heard.logs.load(Ordering::Relaxed), 5_000);
    assert_eq!(heard.changes.load(Ordering::Relaxed), 5_000);
    assert_eq!(client.counters().dropped_notifications(), 5_000);
    assert!(
        client.counters().refused_requests() > 1_000,
        "answers that nobody reads are dropped"
    );
}

async fn listed(pages: Vec<Value>) -> Result<bailiwick_mcp::ToolList, McpError> {
    let (mut wire, client) = legacy(options()).await;
    let answering = async {
        let mut pages = pages.into_iter().cycle();
        while let Some(request) = wire.next().await {
            wire.send(result(&request, pages.next().unwrap())).await;
        }
    };
    tokio::select! {
        list = client.list_tools() => list,
        () = answering => panic!("the connection ended"),
    }
}

fn tool(name: &str) -> Value {
    json!({"name": name, "inputSchema": {"type": "object"}})
}

#[tokio::test]
async fn odd_and_repeated_tools_are_left_out_and_the_others_stay() {
    let list = listed(vec![
        json!({"tools": [tool("a"), {"name": 7}, tool("b"), tool("twice")], "nextCursor": "2"}),
        json!({"tools": [{"name": "c", "inputSchema": {}}, tool("twice"), tool("d\u{7}")], "nextCursor": null}),
    ])
    .await
    .unwrap();
    let names: Vec<_> = list.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(list.notes.len(), 4, "{:?}", list.notes);
}

#[tokio::test]
async fn lists_without_end_are_refused() {
    let circle = listed(vec![
        json!({"tools": [], "nextCursor": "1"}),
        json!({"tools": [], "nextCursor": "2"}),
    ])
    .await;
    assert!(circle.unwrap_err().to_string().contains("circles"));
    let endless = (0..200)
        .map(|n| json!({"tools": [tool(&n.to_string())], "nextCursor": n.to_string()}))
        .collect();
    assert!(
        listed(endless)
            .await
            .unwrap_err()
            .to_string()
            .contains("pages")
    );
    let many: Vec<_> = (0..1_000).map(|n| tool(&n.to_string())).collect();
    let huge = (0..9)
        .map(|n| json!({"tools": many, "nextCursor": n.to_string()}))
        .collect();
    assert!(
        listed(huge)
            .await
            .unwrap_err()
            .to_string()
            .contains("2000 tools")
    );
    for page in [
        json!({}),
        json!({"tools": {}}),
        json!({"tools": [], "nextCursor": 7}),
    ] {
        assert!(matches!(
            listed(vec![page]).await,
            Err(McpError::BadAnswer { .. })
        ));
    }
}

#[tokio::test]
async fn dropping_the_client_closes_the_plugins_input() {
    let (mut wire, client) = legacy(options()).await;
    drop(client);
    assert_eq!(wire.next().await, None);
    let (mut wire, client) = legacy(options()).await;
    client.close().await;
    assert_eq!(wire.next().await, None);
    assert!(call(&client, "t").await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_output_of_a_plugin_is_survived(noise in proptest::collection::vec(any::<u8>(), 0..300), scrap in "[\\[\\]{}\":,a-z0-9 ]{0,80}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut wire, client) = legacy(options()).await;
            let outcome = with_plugin(&mut wire, &client, async |wire, request| {
                wire.raw(&noise).await;
                wire.raw(format!("\n{{\"jsonrpc\":\"2.0\",\"id\":77{scrap}\n")).await;
                wire.send(result(&request, done("fine"))).await;
            })
            .await;
            assert_eq!(text(outcome), "fine");
        });
    }
}

//! The gate's own wire: both families of revisions, and nothing unknown gets through to a plugin.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Family, Gate, Script, World, text};

/// A gate before a plugin that keeps every line that it reads.
fn noting(world: &World, family: Family) -> Gate {
    let folder = Script::WELL.put_noting(world);
    world.configure(&[&folder], &world.files_policy());
    world.serve(family, &[])
}

/// What the plugin read.
fn seen(world: &World) -> Vec<Value> {
    let lines = world.read("good-seen");
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn both_families_are_spoken() {
    for family in [Family::Legacy, Family::Modern] {
        let world = World::new();
        let mut gate = noting(&world, family);
        assert!(gate.tools().contains(&"good__echo".to_owned()));
        let result = gate.call("good__echo", json!({ "text": "both" }));
        assert_eq!(text(&result), "both");
        assert_eq!(result["resultType"] == "complete", family == Family::Modern);
        if family == Family::Modern {
            let answer = gate.request("server/discover", json!({}));
            assert_eq!(answer["result"]["supportedVersions"], json!(["2026-07-28"]));
        } else {
            assert!(gate.request("ping", json!({}))["result"].is_object());
        }
        gate.end();
        let starts = world.events("session_start");
        let revision = if family == Family::Modern {
            "2026-07-28"
        } else {
            "2025-11-25"
        };
        assert_eq!(starts[0]["protocol"], revision);
        world.settled();
    }
}

#[test]
fn every_older_revision_is_agreed_on() {
    for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let world = World::new();
        world.configure(&[&Script::WELL.put(&world)], "");
        // Without the greeting of its own.
        let mut gate = Gate::start(world.bailiwick(&["serve"]), Family::Modern);
        gate.raw(&json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
            "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "a", "version": "1" } } }).to_string());
        let answer = gate.next();
        assert_eq!(answer["id"], "hello");
        assert_eq!(answer["result"]["protocolVersion"], revision, "{answer}");
        gate.raw(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        gate.raw(r#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#);
        let answer = gate.next();
        assert_eq!(
            answer["result"]["tools"][0]["name"], "good__act",
            "{answer}"
        );
        gate.end();
        world.settled();
    }
}

/// Methods of the published schemas that are no tool calls, made-up ones, and names that look like known ones.
const OTHERS: [&str; 22] = [
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "tasks/list",
    "tasks/get",
    "tasks/result",
    "tasks/cancel",
    "Tools/Call",
    "tools/call ",
    "tools//call",
    "bailiwick/grant",
    "policy/set",
    "admin/reload",
    "",
];

#[test]
fn l25_l28_nothing_but_tools_is_reachable_and_nothing_unknown_is_forwarded() {
    for family in [Family::Legacy, Family::Modern] {
        let world = World::new();
        let mut gate = noting(&world, family);
        let tools = gate.tools();
        let own: BTreeSet<&str> = ["good__act", "good__echo", "good__env", "good__read"].into();
        let listed: BTreeSet<&str> = tools.iter().map(String::as_str).collect();
        assert_eq!(listed, own, "no tool of the gate's own");
        for method in OTHERS {
            let params =
                json!({ "name": "good__env", "arguments": {}, "uri": "file:///etc/passwd" });
            let answer = gate.request(method, params);
            assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
        }
        for notification in [
            "notifications/unheard-of",
            "notifications/roots/list_changed",
            "exit",
        ] {
            gate.raw(
                &json!({ "jsonrpc": "2.0", "method": notification, "params": { "mark": "n-1" } })
                    .to_string(),
            );
        }
        gate.raw(&json!({ "jsonrpc": "2.0", "id": 1, "result": { "mark": "n-2" } }).to_string());
        let result = gate.call("good__echo", json!({ "text": "after" }));
        assert_eq!(text(&result), "after", "the gate lives on");
        gate.end();
        let methods: BTreeSet<String> = seen(&world)
            .iter()
            .map(|message| message["method"].as_str().unwrap_or("none").to_owned())
            .collect();
        let known = [
            "initialize",
            "notifications/initialized",
            "server/discover",
            "tools/call",
            "tools/list",
        ];
        assert!(
            methods.iter().all(|m| known.contains(&m.as_str())),
            "{methods:?}"
        );
        assert!(
            !world.read("good-seen").contains("n-"),
            "nothing is forwarded"
        );
        assert_eq!(world.events("tool_call").len(), 1);
        world.settled();
    }
}

#[test]
fn l24_what_was_checked_is_what_is_sent() {
    let world = World::new();
    let mut gate = noting(&world, Family::Legacy);
    gate.tools();
    let call = |body: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":"raw","method":"tools/call","params":{body}}}"#)
    };
    for body in [
        r#"{"name":"good__echo","arguments":{"text":"a","text":"b"}}"#,
        r#"{"name":"good__echo","name":"good__env","arguments":{}}"#,
        r#"{"name":"good__echo","arguments":{"text":"a"}},"params":{"name":"good__env"}"#,
        r#"{"Name":"good__env","arguments":{"text":"a"}}"#,
        r#"{"name":"good__echo","arguments":["a"]}"#,
        r#"{"name":["good__echo"],"arguments":{}}"#,
        "[]",
    ] {
        gate.raw(&call(body));
        let answer = gate.next();
        assert!(answer["error"].is_object(), "{body}: {answer}");
    }
    for line in [
        "no JSON",
        "[]",
        "7",
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        "{\"a\":",
    ] {
        gate.raw(line);
        let answer = gate.next();
        assert!(answer["error"].is_object(), "{line}: {answer}");
    }
    // Escapes and spaces are the agent's; what goes on is our own writing of what was checked.
    gate.raw(&call(
        "{ \"name\" : \"good__\\u0065cho\", \"arguments\" : { \"te\\u0078t\" : \"\\u0061\" }, \"task\": {} }",
    ));
    let answer = gate.next();
    assert_eq!(text(&answer["result"]), "a", "{answer}");
    gate.end();
    let calls: Vec<Value> = seen(&world)
        .into_iter()
        .filter(|message| message["method"] == "tools/call")
        .collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0]["params"]["name"], "echo");
    assert_eq!(calls[0]["params"]["arguments"], json!({ "text": "a" }));
    let lines = world.read("good-seen");
    assert!(!lines.contains("\\u00"), "re-serialised: {lines}");
    world.settled();
}

#[test]
fn another_agent_needs_another_gate() {
    let world = World::new();
    let mut gate = noting(&world, Family::Modern);
    gate.tools();
    gate.raw(
        &json!({ "jsonrpc": "2.0", "id": "b", "method": "tools/list", "params": { "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "other", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {} } } })
        .to_string(),
    );
    let answer = gate.next();
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("other"),
        "{answer}"
    );
    gate.end();
    world.settled();
}

#[test]
fn a_cancelled_call_is_not_answered_and_the_next_one_is() {
    let world = World::new();
    let mut gate = noting(&world, Family::Legacy);
    let first = gate.send_call("good__echo", json!({ "text": "first" }));
    gate.answer(first);
    let hanging = gate.send_call("good__act", json!({ "how": "hang" }));
    // Only once it runs is there something to cancel.
    while world.read("good-seen").matches("\"tools/call\"").count() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    gate.raw(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": hanging } }).to_string());
    let answer = gate.request("ping", json!({}));
    assert!(answer["result"].is_object(), "{answer}");
    gate.end();
    let entries = world.settled();
    let results = entries
        .iter()
        .filter(|entry| crate::support::kind(entry) == "tool_result")
        .count();
    assert_eq!(results, 2, "the log keeps the end of a cancelled call too");
}

#[test]
fn l31_the_whole_story_is_in_the_log_and_in_order() {
    let world = World::new();
    let mut gate = noting(&world, Family::Modern);
    gate.call("good__echo", json!({ "text": "one" }));
    gate.call("good__nothing", json!({}));
    gate.end();
    let entries = world.settled();
    let kinds: Vec<&str> = entries.iter().map(crate::support::kind).collect();
    assert_eq!(
        kinds,
        [
            "key_change",
            "key_change",
            "gate_start",
            "session_start",
            "request",
            "decision",
            "token_minted",
            "plugin_start",
            "tools_listed",
            "decision",
            "tool_call",
            "tool_result",
            "call_refused",
            "plugin_end",
            "session_end",
            "gate_stop",
        ]
    );
    let at = crate::support::index_of(&entries, 0, |entry| {
        entry["entry"]["event"]["call"].is_string()
    });
    let subject = &entries[at.unwrap()]["entry"]["subject"];
    for part in ["session", "plugin", "plugin_digest", "user", "agent"] {
        assert!(subject[part].is_string(), "{part}: {subject}");
    }
    let denied = world.run(&["audit", "query", "--decision", "deny", "--json"]);
    assert_eq!(
        denied.stdout.lines().count(),
        1,
        "a refusal is a deny, no error: {denied:?}"
    );
}

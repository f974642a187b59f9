//! Policy on the calls themselves: what arguments they may have, and how many there may be.

use std::sync::Arc;

use bailiwick_gate::Session;
use bailiwick_gate::ledger::Ledger;
use bailiwick_mcp::{CallToolResult, Tool};
use bailiwick_policy::Tally;
use serde_json::json;

use crate::house::{House, call, refusal};
use crate::puppet::{Act, Strings, native, puppet_with};

const COLLEAGUES: &str = r#"@id("inside") @reason("Mail goes to colleagues only.")
forbid (principal, action == Action::"call", resource == Tool::"p/send")
unless { context.arguments.to like "*@example.com" };"#;

fn send() -> Tool {
    let schema = json!({
        "type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}
    });
    Tool::new("send", schema.as_object().unwrap().clone())
}

fn house(policy: &str) -> (House, Arc<Strings>) {
    let (builder, strings) = puppet_with(vec![vec![send(), crate::puppet::tool("other")]]);
    (House::with(policy, Some(builder)), strings)
}

async fn names(session: &Session) -> Vec<String> {
    let tools = session.tools().await.unwrap();
    tools.into_iter().map(|tool| tool.name).collect()
}

async fn sent(session: &Session, to: &str) -> bool {
    let result = call(session, "p__send", json!({ "to": to })).await;
    if result.is_error {
        assert_eq!(refusal(&result)["code"], "policy_denied");
    }
    !result.is_error
}

#[tokio::test]
async fn a_rule_on_arguments_decides_each_call() {
    let (house, strings) = house(COLLEAGUES);
    let session = house.open(vec![native("p", "")]).await;
    assert_eq!(names(&session).await, ["p__other", "p__send"]);
    assert!(sent(&session, "ann@example.com").await);
    for to in ["eve@example.org", "ann@example.com,eve@evil.org", ""] {
        assert!(!sent(&session, to).await, "{to}");
    }
    assert!(!call(&session, "p__other", json!({})).await.is_error);
    assert_eq!(strings.seen(), ["start", "send", "other"]);
}

#[tokio::test]
async fn a_tool_that_does_not_take_what_policy_asks_of_is_not_offered() {
    let policy = COLLEAGUES.replace("arguments.to", "arguments.recipient");
    let (house, strings) = house(&policy);
    let session = house.open(vec![native("p", "")]).await;
    assert_eq!(names(&session).await, ["p__other"]);
    assert!(
        session
            .notes
            .iter()
            .any(|note| note.text.contains("recipient"))
    );
    let result = call(&session, "p__send", json!({ "to": "ann@example.com" })).await;
    assert_eq!(refusal(&result)["code"], "unknown_tool");
    assert_eq!(strings.seen(), ["start"]);
}

const TWICE: &str = r#"@id("slowly") @quota("2/minute")
forbid (principal, action == Action::"call", resource == Tool::"p/send");"#;

#[tokio::test]
async fn a_quota_counts_the_calls_that_are_made() {
    let (house, strings) = house(TWICE);
    let session = house.open(vec![native("p", "")]).await;
    let unfit = call(&session, "p__send", json!({ "to": 7 })).await;
    assert_eq!(refusal(&unfit)["code"], "bad_arguments");
    assert!(sent(&session, "a").await && sent(&session, "b").await);
    assert!(!sent(&session, "c").await, "the quota is used up");
    assert_eq!(names(&session).await, ["p__other"]);
    house.clock.pass(59);
    assert!(!sent(&session, "d").await);
    house.clock.pass(1);
    assert!(sent(&session, "e").await);
    assert_eq!(strings.seen(), ["start", "send", "send", "send"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_side_by_side_cannot_share_the_last_of_a_quota() {
    let (house, strings) = house(TWICE);
    let session = Arc::new(house.open(vec![native("p", "")]).await);
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { call(&session, "p__send", json!({ "to": "a" })).await })
        })
        .collect();
    let mut made = 0;
    for one in calls {
        made += u32::from(!one.await.unwrap().is_error);
    }
    assert_eq!((made, strings.seen().len()), (2, 3));
}

#[tokio::test]
async fn a_gate_that_starts_anew_counts_on() {
    let (house, strings) = house(TWICE);
    for (to, made) in [("a", true), ("b", true), ("c", false)] {
        let session = house.open(vec![native("p", "")]).await;
        assert_eq!(sent(&session, to).await, made, "{to}");
    }
    assert_eq!(strings.seen().iter().filter(|s| *s == "send").count(), 2);
}

/// Counts that nobody can have.
struct Broken;

impl Ledger for Broken {
    fn settle(&self, _: &mut dyn FnMut(&mut Tally) -> bool) -> Result<(), String> {
        Err("the disk is full of canary-5b1d".to_owned())
    }
}

#[tokio::test]
async fn where_calls_cannot_be_counted_what_policy_counts_is_refused() {
    for (policy, made) in [(TWICE, false), ("", true)] {
        let (mut house, _) = house(policy);
        let Some(host) = Arc::get_mut(&mut house.host) else {
            panic!("nobody else has it yet");
        };
        host.ledger = Arc::new(Broken);
        let session = house.open(vec![native("p", "")]).await;
        let result = call(&session, "p__send", json!({ "to": "a" })).await;
        assert_eq!(!result.is_error, made);
        assert!(!format!("{result:?}").contains("canary-5b1d"));
    }
}

const OWN: &str = r#"@id("own") @reason("Only what this session made.")
forbid (principal, action == Action::"call", resource == Tool::"p/delete")
unless { context.created.contains(context.arguments.path) };"#;

fn named(name: &str) -> Tool {
    let schema = json!({
        "type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}
    });
    Tool::new(name, schema.as_object().unwrap().clone())
}

const MAKES: &str = "tools: {write: {creates: {arguments: [path], result: [/also/*/id]}}}";

#[tokio::test]
async fn only_what_the_session_made_is_deleted() {
    let tools = ["write", "delete"].map(named).to_vec();
    let (builder, strings) = puppet_with(vec![tools]);
    let house = House::with(OWN, Some(builder));
    let both = vec![native("p", MAKES), native("q", MAKES)];
    let session = house.open(both).await;
    let old = house.root().join("docs/note.txt");
    let (old, new) = (old.to_str().unwrap(), format!("{}/new", house.docs()));
    let on = async |tool: &str, path: &str| {
        !call(&session, tool, json!({ "path": path })).await.is_error
    };
    assert!(!on("p__delete", &new).await, "it was not made");
    strings.pull(Act::Answer(Box::new(CallToolResult::error(
        "no room", None,
    ))));
    assert!(!on("p__write", &new).await);
    assert!(!on("p__delete", &new).await, "making it failed");
    assert!(on("p__write", old).await);
    assert!(!on("p__delete", old).await, "it was there before");
    assert!(on("q__write", &new).await);
    assert!(
        !on("p__delete", &new).await,
        "another plugin says that it made it"
    );
    strings.pull(Act::Answer(Box::new(CallToolResult {
        structured_content: Some(json!({"also": [{"id": "id-7"}]})),
        ..CallToolResult::text("")
    })));
    assert!(on("p__write", &new).await);
    assert!(on("p__delete", &new).await && on("p__delete", "id-7").await);
    assert!(!on("p__delete", "id-8").await);
    let again = house.open(vec![native("p", MAKES)]).await;
    let result = call(&again, "p__delete", json!({ "path": new })).await;
    assert_eq!(refusal(&result)["code"], "policy_denied", "another session");
}

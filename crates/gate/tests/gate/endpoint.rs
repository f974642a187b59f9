//! The gate as an endpoint: one session, one agent, and an end that waits for what runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bailiwick_gate::Gate;
use bailiwick_mcp::{CallOutcome, Handler, Implementation, Peer, Revision, ToolCall};
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use crate::house::{House, arguments};
use crate::puppet::{Act, Strings, native, puppet};

fn peer(name: &str) -> Peer {
    Peer {
        revision: Revision::LEGACY,
        client: Some(Implementation::new(name, "1")),
        capabilities: Map::new(),
    }
}

fn endpoint(tools: &[&str]) -> (House, Arc<Gate>, Arc<Strings>, Arc<AtomicUsize>) {
    let (builder, strings) = puppet(tools);
    let house = House::with("", Some(builder));
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    let notes = Arc::new(move |_: &_, _: &[_]| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let gate = Gate::new(house.host.clone(), vec![native("p", "")], true, notes);
    (house, Arc::new(gate), strings, opened)
}

async fn call(gate: &Gate, who: &str) -> Result<CallOutcome, bailiwick_mcp::RpcError> {
    let call = ToolCall::new("p__t", arguments(json!({})));
    gate.call_tool(&peer(who), call, CancellationToken::new())
        .await
}

#[tokio::test]
async fn requests_that_arrive_together_open_one_session() {
    let (house, gate, strings, opened) = endpoint(&["t"]);
    let me = peer("a");
    let (first, second, third) =
        tokio::join!(gate.list_tools(&me), call(&gate, "a"), gate.list_tools(&me));
    assert_eq!(first.unwrap(), third.unwrap());
    assert!(second.is_ok());
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    assert_eq!(strings.seen(), ["start", "t"]);
    assert_eq!(house.events("session_start").len(), 1);
}

#[tokio::test]
async fn whoever_stops_waiting_for_the_first_answer_loses_no_plugin() {
    let (house, gate, _, _) = endpoint(&["t"]);
    let impatient = {
        let gate = gate.clone();
        tokio::spawn(async move { gate.list_tools(&peer("a")).await })
    };
    tokio::task::yield_now().await;
    impatient.abort();
    let _ = impatient.await;
    assert_eq!(gate.list_tools(&peer("a")).await.unwrap().len(), 1);
    assert_eq!(house.events("session_start").len(), 1);
}

#[tokio::test]
async fn another_agent_needs_a_session_of_its_own() {
    let (_house, gate, strings, _) = endpoint(&["t"]);
    assert!(call(&gate, "a").await.is_ok());
    assert!(call(&gate, "b").await.is_err());
    assert!(gate.list_tools(&peer("b")).await.is_err());
    assert_eq!(strings.seen(), ["start", "t"]);
}

#[tokio::test]
async fn the_end_cancels_what_runs_and_records_how_it_ended() {
    let (house, gate, strings, _) = endpoint(&["t"]);
    gate.begin().await.unwrap();
    strings.pull(Act::Hang);
    let hanging = {
        let gate = gate.clone();
        tokio::spawn(async move { call(&gate, "a").await })
    };
    while strings.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    gate.end("terminated").await.unwrap();
    assert!(hanging.await.unwrap().is_ok());
    assert_eq!(
        house.kinds()[house.kinds().len() - 5..],
        [
            "tool_call",
            "tool_result",
            "plugin_end",
            "session_end",
            "gate_stop"
        ]
    );
    assert!(
        call(&gate, "a").await.is_err(),
        "nothing begins after the end"
    );
    assert_eq!(house.kinds().last(), Some(&"gate_stop"));
}

#[tokio::test]
async fn a_call_whose_connection_broke_is_cancelled_and_recorded() {
    let (house, gate, strings, _) = endpoint(&["t"]);
    strings.pull(Act::Hang);
    let hanging = {
        let gate = gate.clone();
        tokio::spawn(async move { call(&gate, "a").await })
    };
    while strings.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    hanging.abort();
    while house.events("tool_result").is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_log_that_fails_stops_the_gate_and_tells_the_agent_nothing_of_why() {
    let (house, gate, _, _) = endpoint(&["t"]);
    assert!(call(&gate, "a").await.is_ok());
    house.log.close().unwrap();
    let error = call(&gate, "a").await.unwrap_err();
    assert!(error.message.contains("the gate stops"), "{error:?}");
    assert!(!gate.fatal().await.is_empty());
    assert!(gate.end("fatal").await.is_err());
}

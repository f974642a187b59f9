//! No record, no effect: with a log that fails at each moment, nothing later happens.

use bailiwick_gate::{GateError, Session};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::house::{DOCS, House, READER, agent, arguments};
use crate::puppet::{native, puppet};

#[tokio::test]
async fn l31_a_session_without_its_record_prepares_and_starts_nothing() {
    let house = House::new(DOCS);
    house.log.close().unwrap();
    let sources = vec![house.notebook(READER)];
    let opened = Session::open(house.host.clone(), sources, agent(), "2025-11-25", true).await;
    assert!(matches!(opened.err(), Some(GateError::Audit(_))));
    assert_eq!(house.steps.counts(), [0, 0, 0]);
}

#[tokio::test]
async fn l31_a_plugin_whose_start_cannot_be_recorded_does_not_start() {
    let house = House::new(DOCS);
    *house.steps.on_prepare.lock().unwrap() = Some(house.closer());
    let sources = vec![house.notebook(READER)];
    let opened = Session::open(house.host.clone(), sources, agent(), "2025-11-25", true).await;
    assert!(matches!(opened.err(), Some(GateError::Audit(_))));
    assert_eq!(house.steps.counts(), [1, 0, 0]);
}

#[tokio::test]
async fn l31_a_call_that_cannot_be_recorded_does_not_reach_the_plugin() {
    let house = House::new(DOCS);
    let session = house.open(vec![house.notebook(READER)]).await;
    house.log.close().unwrap();
    let cancel = CancellationToken::new();
    let words = arguments(json!({"text": "a"}));
    let result = session
        .call("notebook__word-count", words, None, &cancel)
        .await;
    assert!(matches!(result, Err(GateError::Audit(_))));
    let refused = session
        .call("nowhere", arguments(json!({})), None, &cancel)
        .await;
    assert!(
        matches!(refused, Err(GateError::Audit(_))),
        "nor is a refusal silent"
    );
    assert_eq!(house.steps.counts(), [1, 1, 0]);
}

#[tokio::test]
async fn l31_an_answer_that_cannot_be_recorded_does_not_reach_the_agent() {
    let house = House::new(DOCS);
    let session = house.open(vec![house.notebook(READER)]).await;
    *house.steps.on_call.lock().unwrap() = Some(house.closer());
    let cancel = CancellationToken::new();
    let words = arguments(json!({"text": "a"}));
    let result = session
        .call("notebook__word-count", words, None, &cancel)
        .await;
    assert!(matches!(result, Err(GateError::Audit(_))));
    assert_eq!(house.steps.counts(), [1, 1, 1]);
}

#[tokio::test]
async fn a_log_that_fails_keeps_no_plugin_running() {
    let (builder, strings) = puppet(&["t"]);
    let house = House::with("", Some(builder));
    let session = house.open(vec![native("p", ""), native("q", "")]).await;
    house.log.close().unwrap();
    assert!(session.close("done").await.is_err());
    assert_eq!(strings.seen(), ["start", "start", "stop", "stop"]);
}

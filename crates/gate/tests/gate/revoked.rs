//! What was taken back ends at once: between calls, within one, and while nobody calls.

use std::sync::Arc;

use bailiwick_audit::Event;
use bailiwick_mcp::CallToolResult;
use serde_json::json;

use crate::house::{House, call, refusal};
use crate::puppet::{Act, Strings, native, puppet};

fn house() -> (House, Arc<Strings>) {
    let (builder, strings) = puppet(&["t"]);
    (House::with("", Some(builder)), strings)
}

fn code(result: &CallToolResult) -> &str {
    refusal(result)["code"].as_str().unwrap()
}

#[tokio::test]
async fn the_next_call_after_a_revocation_finds_no_plugin() {
    for kind in ["session", "plugin", "user", "id"] {
        let (house, strings) = house();
        let session = house.open(vec![native("p", "")]).await;
        assert!(!call(&session, "p__t", json!({})).await.is_error);
        let minted = house.events("token_minted");
        let [Event::TokenMinted { id, .. }] = &minted[..] else {
            panic!("{minted:?}");
        };
        let name = match kind {
            "session" => session.id.as_str(),
            "plugin" => "p",
            "user" => "ann",
            _ => id,
        };
        house.revoked.revoke(kind, name);
        let refused = call(&session, "p__t", json!({})).await;
        assert_eq!(code(&refused), "grant_revoked", "{kind}");
        assert!(refusal(&refused)["message"].to_string().contains("stolen"));
        assert_eq!(
            code(&call(&session, "p__t", json!({})).await),
            "grant_revoked"
        );
        assert_eq!(strings.seen(), ["start", "t", "stop"], "{kind}");
        assert_eq!(house.events("plugin_end").len(), 1);
        assert_eq!(
            house.events("token_refused").len(),
            1,
            "it is recorded once"
        );
    }
}

#[tokio::test]
async fn what_is_revoked_of_others_stops_nobody_else() {
    let (house, strings) = house();
    let session = house.open(vec![native("p", ""), native("q", "")]).await;
    house.revoked.revoke("session", "another");
    house.revoked.revoke("user", "bob");
    house.revoked.revoke("plugin", "q");
    session.end_lapsed().await.unwrap();
    assert_eq!(strings.seen(), ["start", "start", "stop"]);
    assert!(!call(&session, "p__t", json!({})).await.is_error);
    assert_eq!(
        code(&call(&session, "q__t", json!({})).await),
        "grant_revoked"
    );
}

#[tokio::test]
async fn a_call_that_runs_ends_with_its_grant() {
    let (house, strings) = house();
    let session = house.open(vec![native("p", "")]).await;
    strings.pull(Act::Hang);
    let (hanging, ()) = tokio::join!(call(&session, "p__t", json!({})), async {
        while strings.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
        house.revoked.revoke("plugin", "p");
        session.end_lapsed().await.unwrap();
    });
    assert_eq!(code(&hanging), "plugin_gone");
    assert_eq!(strings.seen(), ["start", "t", "stop"]);
    assert_eq!(house.events("plugin_end").len(), 1);
    assert!(house.events("plugin_crash").is_empty(), "it did not crash");
}

#[tokio::test]
async fn a_list_that_cannot_be_read_trusts_nothing() {
    let (house, strings) = house();
    let session = house.open(vec![native("p", "")]).await;
    house.revoked.damage();
    let refused = call(&session, "p__t", json!({})).await;
    assert_eq!(code(&refused), "grant_revoked");
    assert!(
        !refusal(&refused).to_string().contains("line 7"),
        "the operator's words are not the agent's"
    );
    assert_eq!(strings.seen(), ["start", "stop"]);
    let found = house.events("token_refused");
    assert!(
        matches!(&found[..], [Event::TokenRefused { reason, .. }] if reason.contains("line 7"))
    );
    let later = house.open(vec![native("p", "")]).await;
    assert!(later.plugins().is_empty(), "nor does anything start");
}

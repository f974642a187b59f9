//! Tool calls.

use bailiwick_policy::{CallDecision, CallVerdict, Effect, Pdp};
use serde_json::{Map, Value, json};

use crate::support::*;

fn call(pdp: &Pdp, tool: &str, arguments: Value) -> CallDecision {
    let arguments: Map<String, Value> = serde_json::from_value(arguments).unwrap();
    pdp.decide_call(&alice(), &now(), tool, &arguments)
}

#[test]
fn l28_a_call_is_denied_unless_a_policy_permits_it() {
    let none = call(&load("").unwrap(), "read", json!({}));
    assert_eq!(none.verdict, CallVerdict::Deny);
    assert_eq!(none.reasons[0].effect, Effect::Default);
    let remedy = none.reasons[0].remedy.clone().unwrap();
    let pdp = load(&remedy).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(call(&pdp, "read", json!({})).verdict, CallVerdict::Allow);
    assert_eq!(call(&pdp, "write", json!({})).verdict, CallVerdict::Deny);
}

#[test]
fn calls_are_decided_by_tool_plugin_and_argument_names() {
    let pdp = load(
        r#"permit (principal, action == Action::"call", resource in Plugin::"com.example.files");
           @id("ask") @ask permit (principal, action == Action::"call", resource == Tool::"other/x");
           @id("no-mode") @reason("Not by mode.") forbid (principal, action == Action::"call", resource)
           when { context.argument_names.contains("mode") && context.environment == "production" };"#,
    )
    .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        call(&pdp, "read", json!({"path": "/x"})).verdict,
        CallVerdict::Allow
    );
    let denied = call(&pdp, "read", json!({"mode": null}));
    assert_eq!(denied.verdict, CallVerdict::Deny);
    assert_eq!(denied.reasons[0].policy, "no-mode");
    let mut other = alice();
    other.plugin.id = "other".into();
    let asked = pdp.decide_call(&other, &now(), "x", &Map::new());
    assert_eq!(
        (asked.verdict, asked.reasons[0].effect),
        (CallVerdict::Ask, Effect::Ask)
    );
    assert_eq!(
        pdp.decide_call(&other, &now(), "y", &Map::new()).verdict,
        CallVerdict::Deny
    );
}

#[test]
fn a_call_permit_grants_no_capability_and_the_other_way_round() {
    let calls = load(r#"permit (principal, action == Action::"call", resource);"#).unwrap();
    assert!(granted(&calls, "call_tool").is_empty());
    let tools = load(r#"permit (principal, action == Action::"call_tool", resource);"#).unwrap();
    assert_eq!(call(&tools, "read", json!({})).verdict, CallVerdict::Deny);
}

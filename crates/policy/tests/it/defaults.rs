//! The policies that we ship.

use crate::support::*;
use bailiwick_capability::AbsPath;
use bailiwick_policy::{Classification, Effect, Outcome, Pdp};

fn shipped() -> Pdp {
    let home = Classification::for_home(&AbsPath::parse("/home/alice").unwrap()).unwrap();
    Pdp::load(&Pdp::default_sources(), &home).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_shipped_policy_says_who_it_is_and_why() {
    let text = &Pdp::default_sources()[0].text;
    let policies = shipped().policy_ids().count();
    assert!(policies > 8);
    assert_eq!(text.matches("@id(").count(), policies);
    assert_eq!(text.matches("@reason(").count(), policies);
}

#[test]
fn harmless_things_are_granted() {
    let pdp = shipped();
    for asked in [
        "clock",
        "random",
        "write_to_logs",
        "write_to_logs:stderr",
        "read_environment:LANG",
        "read_environment:LC_*",
        "read_environment:LC_TIME",
        "read_files:/plugins/files/",
        "read_files:/plugins/files/data/x",
    ] {
        assert_eq!(granted(&pdp, asked), [asked], "{asked}");
    }
}

#[test]
fn everything_else_is_denied_with_advice() {
    let pdp = shipped();
    for asked in [
        "read_files:/data/",
        "write_files:/plugins/files/",
        "network_access:https://api.example.com",
        "network_listen:127.0.0.1:8080",
        "execute_code:/usr/bin/git",
        "execute_shell",
        "read_environment:GITHUB_TOKEN",
        "use_secret:github_token",
        "call_tool:git__status",
        "use_model",
        "ask_user",
    ] {
        let decision = decide(&pdp, asked);
        assert_eq!(decision.outcome, Outcome::Deny, "{asked}");
        assert!(!decision.reasons.is_empty(), "{asked}");
    }
    let decision = decide(&pdp, "read_files:/data/");
    let reason = &decision.reasons[0];
    assert_eq!(reason.effect, Effect::Default);
    let advice = reason.text.as_deref().unwrap();
    let policy = advice.split_once("would: ").unwrap().1;
    assert_eq!(
        granted(&load(policy).unwrap(), "read_files:/data/"),
        ["read_files:/data/"]
    );
}

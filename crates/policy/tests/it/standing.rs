//! Answers for good become policies that say just that.

use bailiwick_policy::{CallVerdict, Pdp, Principal, StandingAnswer};
use serde_json::Map;

use crate::support::*;

const ASK: &str = r#"@id("any") permit (principal, action == Action::"call", resource);
@id("mail") @ask @reason("Mail leaves.") @expires("2100-01-01")
permit (principal in User::"alice", action == Action::"call", resource in Plugin::"p")
when { context.environment != "home" };
"#;

fn caller() -> Principal {
    let mut caller = alice();
    "p".clone_into(&mut caller.plugin.id);
    caller
}

fn verdict(pdp: &Pdp, principal: &Principal, tool: &str) -> CallVerdict {
    pdp.decide_call(principal, &now(), tool, &Map::new())
        .verdict
}

fn answer(yes: bool) -> String {
    let asked = ["mail".to_owned()];
    let digest = caller().plugin.digest;
    let answer = StandingAnswer {
        id: "answered-1",
        asked: &asked,
        user: "alice",
        plugin: "p",
        digest: &digest,
        tool: Some("send"),
        yes,
        reason: "Alice said so \"for ever\"\n; permit (principal, action, resource);",
    };
    load(ASK).unwrap().standing(&answer).unwrap()
}

#[test]
fn a_yes_for_good_is_for_this_user_this_tool_and_this_version() {
    let before = load(ASK).unwrap();
    assert_eq!(
        verdict(&before, &caller(), "send"),
        CallVerdict::Ask,
        "the question wins"
    );
    let written = answer(true);
    for part in [
        "@approves(\"mail\")",
        "@expires(\"2100-01-01\")",
        "User::\"alice\"",
        "Alice said so",
    ] {
        assert!(written.contains(part), "{part} in {written}");
    }
    let pdp = load(&format!("{ASK}{written}")).unwrap_or_else(|e| panic!("{e}\n{written}"));
    assert_eq!(pdp.policy_ids().count(), 3, "the reason is no policy");
    assert_eq!(verdict(&pdp, &caller(), "send"), CallVerdict::Allow);
    assert_eq!(verdict(&pdp, &caller(), "other"), CallVerdict::Ask);
    let mut changed = caller();
    changed.plugin.digest.push('0');
    assert_eq!(
        verdict(&pdp, &changed, "send"),
        CallVerdict::Ask,
        "another version"
    );
    let mut home = now();
    "home".clone_into(&mut home.environment);
    let alone = load(&written).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(verdict(&alone, &caller(), "send"), CallVerdict::Allow);
    let elsewhere = alone.decide_call(&caller(), &home, "send", &Map::new());
    assert_eq!(
        elsewhere.verdict,
        CallVerdict::Deny,
        "the conditions of the question stay"
    );
}

#[test]
fn a_no_for_good_forbids_what_was_asked() {
    let written = answer(false);
    let pdp = load(&format!("{ASK}{written}")).unwrap_or_else(|e| panic!("{e}\n{written}"));
    assert_eq!(verdict(&pdp, &caller(), "send"), CallVerdict::Deny);
    assert_eq!(verdict(&pdp, &caller(), "other"), CallVerdict::Ask);
    let mut changed = caller();
    changed.plugin.digest.push('0');
    assert_eq!(
        verdict(&pdp, &changed, "send"),
        CallVerdict::Deny,
        "a no outlives versions"
    );
}

#[test]
fn an_answer_counts_only_for_the_question_that_it_names() {
    let other = answer(true).replace("@approves(\"mail\")", "@approves(\"elsewhere\")");
    let pdp = load(&format!("{ASK}{other}")).unwrap();
    assert_eq!(verdict(&pdp, &caller(), "send"), CallVerdict::Ask);
    let both = format!(
        "{ASK}{}@id(\"second\") @ask(\"2 people\") permit (principal, action == Action::\"call\", resource);",
        answer(true)
    );
    let asked = load(&both)
        .unwrap()
        .decide_call(&caller(), &now(), "send", &Map::new());
    assert_eq!((asked.verdict, asked.people), (CallVerdict::Ask, 2));
    assert!(asked.reasons.iter().all(|reason| reason.policy == "second"));
}

#[test]
fn what_answers_nothing_is_refused() {
    for wrong in [
        "@approves(\"x\") forbid (principal, action == Action::\"call\", resource);",
        "@approves(\"x\") @ask permit (principal, action == Action::\"call\", resource);",
        "@approves(\"x\") permit (principal, action, resource);",
        "@approves permit (principal, action == Action::\"call\", resource);",
    ] {
        let error = load(wrong).unwrap_err().to_string();
        assert!(error.contains("approves"), "{error}");
    }
}

#[test]
fn a_yes_to_capabilities_is_for_this_plugin_as_it_is() {
    const ASK: &str = r#"@id("docs") @ask permit (principal, action == Action::"read_files", resource in Dir::"/data")
unless { principal in Role::"guest" };
"#;
    let mine = alice();
    let asked = ["docs".to_owned()];
    let written = |yes| {
        let answer = StandingAnswer {
            id: "answered-1",
            asked: &asked,
            user: "alice",
            plugin: &mine.plugin.id,
            digest: &mine.plugin.digest,
            tool: None,
            yes,
            reason: "Alice said so.",
        };
        format!("{ASK}{}", load(ASK).unwrap().standing(&answer).unwrap())
    };
    let granted = |text: &str, who: &Principal| {
        let pdp = load(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        texts(pdp.decide(who, &now(), &cap("read_files:/data/")).granted())
    };
    assert!(granted(ASK, &mine).is_empty());
    let yes = written(true);
    assert_eq!(granted(&yes, &mine), ["read_files:/data/"]);
    for change in [
        |who: &mut Principal| who.plugin.id.push('x'),
        |who: &mut Principal| who.plugin.digest.push('0'),
        |who: &mut Principal| who.user.name.push('x'),
        |who: &mut Principal| who.user.roles = ["guest".to_owned()].into(),
    ] {
        let mut other = alice();
        change(&mut other);
        assert!(granted(&yes, &other).is_empty());
    }
    let no = load(&written(false)).unwrap();
    let refused = no.decide(&mine, &now(), &cap("read_files:/data/"));
    assert!(refused.pending().is_empty(), "it is not asked again");
}

//! Rules on the arguments of calls, on what the session made, on how often, and on the hour.

use std::collections::BTreeSet;

use bailiwick_policy::{Call, CallDecision, CallVerdict, Context, Pdp, Tally, ToolSchema};
use serde_json::{Map, Value, json};

use crate::support::*;

fn mail() -> ToolSchema {
    ToolSchema {
        plugin: "com.example.files".into(),
        tool: "send".into(),
        input: json!({
            "type": "object",
            "properties": {
                "to": {"type": "string"}, "cc": {"type": "array", "items": {"type": "string"}},
                "amount": {"type": "number"}, "copies": {"type": "integer"}, "free": {}
            },
            "required": ["to"]
        }),
    }
}

fn load_told(text: &str) -> Pdp {
    let pdp = load(text).unwrap_or_else(|e| panic!("{e}"));
    pdp.with_tools(&[mail()]).unwrap_or_else(|e| panic!("{e}"))
}

fn map(arguments: Value) -> Map<String, Value> {
    serde_json::from_value(arguments).unwrap()
}

fn send(pdp: &Pdp, arguments: Value) -> CallDecision {
    pdp.decide_call(&alice(), &now(), "send", &map(arguments))
}

const ALL: &str = "permit (principal, action == Action::\"call\", resource);\n";

#[test]
fn arguments_are_compared_as_what_the_tool_says_they_are() {
    let pdp = load_told(&format!(
        r#"{ALL}
        @id("outside") @reason("Only to colleagues.")
        forbid (principal, action == Action::"call", resource == Tool::"com.example.files/send")
        unless {{ context.arguments.to like "*@example.com" }};
        @id("dear")
        forbid (principal, action == Action::"call", resource == Tool::"com.example.files/send")
        when {{ context.arguments has amount && context.arguments.amount.greaterThanOrEqual(decimal("100.0")) }};
        forbid (principal, action == Action::"call", resource == Tool::"com.example.files/send")
        when {{ context.arguments has cc && !(["a@example.com", "b@example.com"].containsAll(context.arguments.cc)) }};
        forbid (principal, action == Action::"call", resource == Tool::"com.example.files/send")
        when {{ context.arguments has copies && context.arguments.copies > 3 }};"#
    ));
    for (arguments, verdict) in [
        (json!({"to": "a@example.com"}), CallVerdict::Allow),
        (
            json!({"to": "a@example.com", "amount": 99.99, "copies": 3, "cc": ["a@example.com"]}),
            CallVerdict::Allow,
        ),
        (json!({"to": "a@example.org"}), CallVerdict::Deny),
        (json!({"to": "a@example.com.evil.org"}), CallVerdict::Deny),
        (
            json!({"to": "a@example.com", "amount": 100}),
            CallVerdict::Deny,
        ),
        (
            json!({"to": "a@example.com", "amount": 100.0001}),
            CallVerdict::Deny,
        ),
        (
            json!({"to": "a@example.com", "copies": 4}),
            CallVerdict::Deny,
        ),
        (
            json!({"to": "a@example.com", "cc": ["a@example.com", "c@example.com"]}),
            CallVerdict::Deny,
        ),
        // What the schema does not name is not seen; nor does it hide anything.
        (
            json!({"to": "a@example.com", "more": 1, "free": [null]}),
            CallVerdict::Allow,
        ),
    ] {
        assert_eq!(
            send(&pdp, arguments.clone()).verdict,
            verdict,
            "{arguments}"
        );
    }
    let refused = send(&pdp, json!({"to": "x"}));
    assert_eq!(refused.reasons[0].policy, "outside");
    let other = pdp.decide_call(&alice(), &now(), "read", &Map::new());
    assert_eq!(
        other.verdict,
        CallVerdict::Allow,
        "another tool's arguments are not asked for"
    );
}

#[test]
fn what_policy_cannot_see_exactly_is_refused() {
    let pdp = load_told(&format!(
        r#"{ALL} forbid (principal, action == Action::"call", resource == Tool::"com.example.files/send")
        when {{ context.arguments has amount && context.arguments.amount.greaterThan(decimal("100.0")) }};"#
    ));
    for arguments in [
        json!({"to": "x", "amount": 1e300}),
        json!({"to": "x", "amount": 0.000001}),
        json!({"to": "x", "copies": 18446744073709551615_u64}),
        json!({"to": 7}),
        json!({}),
    ] {
        let decision = send(&pdp, arguments.clone());
        assert_eq!(decision.verdict, CallVerdict::Deny, "{arguments}");
        assert_eq!(decision.reasons[0].policy, "evaluation", "{arguments}");
    }
}

/// A rule on arguments of a tool whose schema nobody told holds back the tool, never the rule.
#[test]
fn l27_a_tool_that_nobody_told_of_is_not_called_past_a_rule_on_its_arguments() {
    let rule = r#"forbid (principal, action == Action::"call", resource in Plugin::"com.example.files")
        when { context.arguments has to && context.arguments.to == "x" };"#;
    let untold = load(&format!("{ALL}{rule}")).unwrap();
    let decision = send(&untold, json!({"to": "y"}));
    assert_eq!(decision.verdict, CallVerdict::Deny);
    assert!(
        decision.reasons[0]
            .text
            .as_deref()
            .unwrap()
            .contains("was not told")
    );
    let mut other = alice();
    other.plugin.id = "other".into();
    let elsewhere = untold.decide_call(&other, &now(), "send", &Map::new());
    assert_eq!(elsewhere.verdict, CallVerdict::Allow);
    let told = untold.with_tools(&[mail()]).unwrap();
    assert_eq!(send(&told, json!({"to": "y"})).verdict, CallVerdict::Allow);
    assert_eq!(send(&told, json!({"to": "x"})).verdict, CallVerdict::Deny);
    let still = told
        .with_person_grants("alice", &["clock".parse().unwrap()])
        .unwrap();
    assert_eq!(send(&still, json!({"to": "y"})).verdict, CallVerdict::Allow);
}

#[test]
fn l27_rules_on_arguments_that_there_are_not_are_errors_when_the_tool_is_told() {
    for condition in [
        "context.arguments.recipient == \"x\"",
        "context.arguments.to == 7",
        "context.arguments.cc like \"*\"",
        "context.arguments.amount < 100",
        "context.arguments.copies < 1 || context.arguments.free == 1",
        "context.arguments.amount.lessThan(decimal(\"1.0\"))",
    ] {
        let text = format!(
            "@id(\"r\") forbid (principal, action == Action::\"call\", resource == Tool::\"com.example.files/send\") when {{ {condition} }};"
        );
        let pdp = load(&text).unwrap_or_else(|e| panic!("{e}"));
        let error = pdp.with_tools(&[mail()]).expect_err(condition).to_string();
        assert!(
            error.contains("for the tool `com.example.files/send`"),
            "{error}"
        );
        assert!(error.contains("\"to\": String"), "{error}");
        let mut elsewhere = mail();
        elsewhere.plugin = "other".into();
        assert!(pdp.with_tools(&[elsewhere]).is_ok(), "{condition}");
    }
}

#[test]
fn only_what_this_session_made_is_deleted() {
    let pdp = load_told(
        r#"permit (principal, action == Action::"call", resource == Tool::"com.example.files/send")
           when { context.created.contains(context.arguments.to) };"#,
    );
    let created = BTreeSet::from(["/tmp/a".to_owned()]);
    for (to, verdict) in [
        ("/tmp/a", CallVerdict::Allow),
        ("/tmp/b", CallVerdict::Deny),
    ] {
        let arguments = map(json!({ "to": to }));
        let call = Call {
            tool: "send",
            arguments: &arguments,
            created: &created,
            counts: &Tally::default(),
        };
        assert_eq!(
            pdp.decide_call_with(&alice(), &now(), &call).verdict,
            verdict,
            "{to}"
        );
    }
}

/// Makes calls, counting as the host would; gives how many were allowed.
fn allowed(pdp: &Pdp, tally: &mut Tally, user: &str, session: &str, times: &[i64]) -> usize {
    let mut principal = alice();
    principal.user.name = user.into();
    principal.session = session.into();
    let mut allowed = 0;
    for now in times {
        let context = Context {
            now: *now,
            ..now_at()
        };
        let decision = {
            let call = Call {
                tool: "send",
                arguments: &Map::new(),
                created: &BTreeSet::new(),
                counts: tally,
            };
            pdp.decide_call_with(&principal, &context, &call)
        };
        if decision.verdict == CallVerdict::Allow {
            tally.charge(&decision.charges, *now);
            allowed += 1;
        } else {
            assert_eq!(decision.charges, [], "what is refused is not counted");
        }
    }
    allowed
}

fn now_at() -> Context {
    now()
}

#[test]
fn a_quota_on_a_permit_is_all_that_it_permits() {
    let pdp = load(
        r#"@id("few") @quota("3/hour") permit (principal, action == Action::"call", resource);"#,
    )
    .unwrap();
    let mut tally = Tally::default();
    assert_eq!(
        allowed(&pdp, &mut tally, "alice", "s", &[0, 1, 2, 3, 3599]),
        3
    );
    assert_eq!(
        allowed(&pdp, &mut tally, "alice", "s2", &[3599]),
        0,
        "a new session is no way out"
    );
    assert_eq!(allowed(&pdp, &mut tally, "bob", "s", &[3599]), 1);
    assert_eq!(
        allowed(&pdp, &mut tally, "alice", "s", &[3600, 3601, 3602, 3603]),
        3
    );
    let uncounted = pdp.decide_call(&alice(), &now(), "send", &Map::new());
    assert_eq!(
        uncounted.verdict,
        CallVerdict::Deny,
        "where nobody counts, a quota permits nothing"
    );
    assert!(
        uncounted.reasons[0]
            .text
            .as_deref()
            .unwrap()
            .contains("used up")
    );
}

#[test]
fn a_quota_on_a_forbid_forbids_what_goes_beyond_it() {
    let limit = r#"@id("slow") @reason("Mail is slow.") @quota("2/minute per session") forbid (principal, action == Action::"call", resource == Tool::"com.example.files/send");"#;
    let pdp = load(&format!("{ALL}{limit}")).unwrap();
    let mut tally = Tally::default();
    assert_eq!(
        allowed(&pdp, &mut tally, "alice", "s", &[0, 1, 2, 59, 60, 61, 62]),
        4
    );
    assert_eq!(allowed(&pdp, &mut tally, "alice", "other", &[62]), 1);
    let denied = pdp.decide_call(&alice(), &now(), "send", &Map::new());
    assert_eq!(denied.reasons[0].policy, "slow");
    assert!(
        denied.reasons[0]
            .text
            .as_deref()
            .unwrap()
            .starts_with("Mail is slow. (its quota of 2")
    );
    let other = pdp.decide_call(&alice(), &now(), "read", &Map::new());
    assert_eq!(other.verdict, CallVerdict::Allow);
    // A limit counts what others permit, and permits nothing itself.
    let alone = load(limit).unwrap();
    assert_eq!(
        allowed(&alone, &mut Tally::default(), "alice", "s", &[0]),
        0
    );
}

#[test]
fn a_permit_with_a_quota_is_not_charged_where_another_permits_anyway() {
    let text = format!(
        "{ALL} @quota(\"1/hour\") permit (principal, action == Action::\"call\", resource);"
    );
    let pdp = load(&text).unwrap();
    let mut tally = Tally::default();
    assert_eq!(allowed(&pdp, &mut tally, "alice", "s", &[0, 0, 0]), 3);
    assert!(tally.is_empty());
}

#[test]
fn office_hours_are_those_of_the_clock_on_the_wall() {
    let pdp = load(
        r#"permit (principal, action == Action::"clock", resource) when {
             !(["saturday", "sunday"].contains(context.local.weekday)) && context.local.hour >= 9 && context.local.hour < 17
           };"#,
    )
    .unwrap_or_else(|e| panic!("{e}"));
    // 2026-11-20 is a Friday.
    let friday = 1_795_132_800;
    for (hour, offset, open) in [
        (8, 0, false),
        (9, 0, true),
        (16, 0, true),
        (17, 0, false),
        (8, 3600, true),
        (16, 3600, false),
        (33, 0, false),
        (-1, 10 * 3600, true),
        (23, 10 * 3600, false),
        (12, i32::MAX, false),
    ] {
        let context = Context {
            now: friday + hour * 3600,
            utc_offset: offset,
            ..now()
        };
        let decision = pdp.decide(&alice(), &context, &cap("clock"));
        assert_eq!(
            decision.is_full(),
            open,
            "{hour} {offset}: {:?}",
            decision.reasons
        );
    }
}

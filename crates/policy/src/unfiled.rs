//! The index changes no answer: random policy sets, filed and unfiled, side by side.

use bailiwick_capability::Capability;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{
    Agent, Classification, Context, Pdp, PluginFacts, PolicySource, Principal, ToolSchema, User,
};

/// The same policies, with nothing known of when they can be left out.
fn unfiled(pdp: &Pdp) -> Pdp {
    let mut rules = pdp.rules.as_ref().clone();
    for rule in &mut rules {
        rule.keys.clear();
    }
    let plain = Pdp::from_rules(rules, pdp.classification.clone()).unwrap();
    Pdp {
        tools: pdp.tools.clone(),
        ..plain
    }
}

const SUBJECTS: &[&str] = &[
    "principal",
    "principal in Group::\"v\"",
    "principal in Role::\"r\"",
    "principal in Role::\"q\"",
    "principal in User::\"u\"",
    "principal in Plugin::\"p\"",
    "principal == Session::\"s\"",
    "principal is Session in Agent::\"a\"",
];

/// Conditions of every shape that the index reads, and of those that it must not trust.
const COMMON: &[&str] = &[
    "true",
    "context.unscoped",
    "principal in Role::\"q\"",
    "principal in [User::\"u\", User::\"v\"]",
    "principal.user == User::\"u\"",
    "!(principal in Role::\"r\")",
    "(if context.unscoped then true else 9223372036854775807 + (if context.isolation == \"x\" then 0 else 1) == 0)",
    "context.now < datetime(\"2020-01-01\")",
];

const FILES: &[&str] = &[
    "resource in Dir::\"/a\"",
    "resource in Dir::\"/a/b\"",
    "resource == File::\"/a/x\"",
    "File::\"/a/b/x\" == resource",
    "[File::\"/c\", File::\"/a/x\"].contains(resource)",
    "resource in [Dir::\"/a/b\", Dir::\"/c\"]",
    "!(resource in Dir::\"/a\")",
    "resource.sensitivity == Sensitivity::\"secret\"",
    "principal.plugin has folder && resource in principal.plugin.folder",
];

const TOOLS: &[&str] = &[
    "resource == Tool::\"p/t\"",
    "resource == Tool::\"p/o\"",
    "resource in Plugin::\"p\"",
    "resource in [Plugin::\"o\", Tool::\"p/t\"]",
    "[Tool::\"p/t\", Tool::\"o/t\"].contains(resource)",
    "!(resource in Plugin::\"p\")",
    "context.argument_names.contains(\"n\")",
];

const HEADS: [&[&str]; 2] = [
    &[
        "resource",
        "resource in Dir::\"/a\"",
        "resource == File::\"/a/x\"",
        "resource is File in Dir::\"/a/b\"",
    ],
    &[
        "resource",
        "resource in Plugin::\"p\"",
        "resource == Tool::\"p/t\"",
        "resource is Tool in Plugin::\"o\"",
    ],
];

fn condition(own: &'static [&'static str]) -> impl Strategy<Value = String> {
    let atom = prop_oneof![2 => select(own), 1 => select(COMMON)].prop_map(|c| format!("({c})"));
    atom.prop_recursive(2, 5, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("(if {a} then true else false)")),
        ]
    })
}

fn policy(kind: usize) -> impl Strategy<Value = String> {
    let own = [FILES, TOOLS][kind];
    let action = ["read_files", "call"][kind];
    let effects: &'static [&'static str] = [
        &["permit", "permit", "permit", "forbid", "@ask permit"],
        &[
            "permit",
            "permit",
            "forbid",
            "@ask permit",
            "@quota(\"1/day\") permit",
            "@quota(\"1/day per all\") forbid",
        ][..],
    ][kind];
    let clause = (select(&["when", "when", "unless"][..]), condition(own));
    let clauses = proptest::collection::vec(clause, 0..3);
    (
        select(effects),
        select(SUBJECTS),
        select(HEADS[kind]),
        clauses,
    )
        .prop_map(move |(effect, who, what, clauses)| {
            let clauses: String = clauses
                .iter()
                .map(|(kind, c)| format!(" {kind} {{ {c} }}"))
                .collect();
            format!("{effect} ({who}, action == Action::\"{action}\", {what}){clauses};\n")
        })
}

fn policies(kind: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(policy(kind), 1..8)
}

fn principals() -> Vec<Principal> {
    let facts = [
        ("s", "u", "r", "p"),
        ("s", "v", "q", "p"),
        ("z", "w", "", "o"),
    ];
    let principal = |(session, user, role, plugin): (&str, &str, &str, &str)| Principal {
        session: session.into(),
        user: User {
            name: user.into(),
            roles: [role.to_owned()].into(),
            groups: [user.to_owned()].into(),
            department: None,
        },
        agent: Agent {
            name: "a".into(),
            version: String::new(),
        },
        plugin: PluginFacts {
            id: plugin.into(),
            folder: Some(bailiwick_capability::AbsPath::parse("/a/b").unwrap()),
            ..PluginFacts::default()
        },
    };
    facts.map(principal).into()
}

/// Loads policies; those that Cedar can see would never apply are left out.
fn load(texts: &[String]) -> Pdp {
    let classified = Classification::parse([("/a/b/", "secret")]).unwrap();
    let load = |text: String| Pdp::load(&[PolicySource::new("p", text)], &classified);
    let fine: String = texts
        .iter()
        .filter(|text| load((*text).clone()).is_ok())
        .cloned()
        .collect();
    load(fine).unwrap()
}

fn contexts() -> [Context; 2] {
    let context = |isolation: &str, now| Context {
        isolation: isolation.into(),
        now,
        ..Context::default()
    };
    [context("x", 0), context("y", 1_790_000_000)]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    // Each case is 30 decisions on files or 18 calls, twice.
    #![proptest_config(config(700))]

    #[test]
    fn the_index_changes_no_decision(texts in policies(0)) {
        let filed = load(&texts);
        let plain = unfiled(&filed);
        for principal in principals() {
            for context in contexts() {
                for asked in ["/a/", "/a/b/", "/a/x", "/c", ""] {
                    let asked: Capability = format!("read_files:{asked}").trim_end_matches(':').parse().unwrap();
                    let with = filed.decide(&principal, &context, &asked);
                    prop_assert_eq!(&with, &plain.decide(&principal, &context, &asked));
                }
            }
        }
    }

    #[test]
    fn the_index_changes_no_call(texts in policies(1)) {
        let told = ToolSchema { plugin: "p".into(), tool: "t".into(), input: serde_json::json!({}) };
        let filed = load(&texts).with_tools(&[told]).unwrap();
        let plain = unfiled(&filed);
        let arguments = serde_json::from_str(r#"{"n": 1}"#).unwrap();
        for principal in principals() {
            for context in contexts() {
                for tool in ["t", "o", "u"] {
                    for counts in [&crate::Uncounted as &dyn crate::Counts, &crate::Tally::default()] {
                        let call = crate::Call { tool, arguments: &arguments, created: &Default::default(), counts };
                        let with = filed.decide_call_with(&principal, &context, &call);
                        prop_assert_eq!(with, plain.decide_call_with(&principal, &context, &call));
                    }
                }
            }
        }
    }
}

/// Found when a policy's failure was hidden by its own key: `false` first, or failing first, is not the same.
#[test]
fn a_policy_that_fails_before_its_key_is_looked_at() {
    let fails = "9223372036854775807 + (if context.isolation == \"x\" then 0 else 1) == 0";
    let text = format!(
        "permit (principal, action == Action::\"read_files\", resource);\n\
         forbid (principal, action == Action::\"read_files\", resource) when {{ {fails} && resource in Dir::\"/a\" }};"
    );
    let pdp = load(&[text]);
    assert_eq!(pdp.rules.len(), 2);
    let [fine, failing] = contexts();
    let asked: Capability = "read_files:/c".parse().unwrap();
    for (context, granted) in [(fine, true), (failing, false)] {
        let decision = pdp.decide(&principals()[0], &context, &asked);
        assert_eq!(decision.is_full(), granted, "{decision:?}");
    }
}

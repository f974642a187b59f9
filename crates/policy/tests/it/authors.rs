//! What authors of policies are told: useless rules, unknown names, and what would grant what is refused.

use bailiwick_policy::{Explanation, Known, Lint, Pdp, Principal, Question, Step};
use serde_json::{Map, json};

use crate::support::*;

const NOW: i64 = 1_790_000_000;

fn lints(text: &str) -> Vec<(Lint, String)> {
    let known = Known {
        plugins: [
            (
                "com.example.git".to_owned(),
                Some(["log".to_owned()].into()),
            ),
            ("com.example.mail".to_owned(), None),
        ]
        .into(),
    };
    let pdp = load(text).unwrap_or_else(|e| panic!("{e}"));
    let remarks = pdp.lint(&known, NOW).unwrap();
    for remark in &remarks {
        assert!(
            !remark.help.is_empty() && remark.place.is_some(),
            "{remark:?}"
        );
    }
    remarks.into_iter().map(|r| (r.lint, r.policy)).collect()
}

fn rules(texts: &[&str]) -> String {
    let named = texts
        .iter()
        .enumerate()
        .map(|(at, text)| format!("@id(\"{at}\") {text}\n"));
    named.collect()
}

#[test]
fn rules_that_others_make_useless_are_told() {
    const FILES: &str =
        "permit (principal, action == Action::\"read_files\", resource in Dir::\"/a\");";
    for (texts, wanted) in [
        (
            &[
                FILES,
                "permit (principal in Role::\"r\", action == Action::\"read_files\", resource in Dir::\"/a/b\");",
            ][..],
            Some((Lint::Shadowed, "1")),
        ),
        (
            &[
                "permit (principal in Role::\"r\", action == Action::\"read_files\", resource == File::\"/a/b\");",
                FILES,
            ],
            Some((Lint::Shadowed, "0")),
        ),
        (&[FILES, FILES], Some((Lint::Shadowed, "1"))),
        (
            &[
                FILES,
                "@ask permit (principal, action == Action::\"read_files\", resource in Dir::\"/a\");",
            ],
            Some((Lint::Shadowed, "1")),
        ),
        (
            &[
                FILES,
                "forbid (principal, action in [Action::\"read_files\", Action::\"write_files\"], resource);",
            ],
            Some((Lint::Unreachable, "0")),
        ),
        (
            &[
                FILES,
                "forbid (principal, action == Action::\"read_files\", resource in Dir::\"/\");",
            ],
            Some((Lint::Unreachable, "0")),
        ),
        (
            &[
                "permit (principal, action == Action::\"call\", resource == Tool::\"com.example.git/log\");",
                "permit (principal, action == Action::\"call\", resource in Plugin::\"com.example.git\");",
            ],
            Some((Lint::Shadowed, "0")),
        ),
        (
            &[
                "@expires(\"2020-01-01\") permit (principal, action == Action::\"clock\", resource);",
            ],
            Some((Lint::Expired, "0")),
        ),
        (
            &[
                "permit (principal, action == Action::\"clock\", resource) when { context.unscoped };",
                "permit (principal in Role::\"r\", action == Action::\"clock\", resource) when { context.unscoped } when { context.isolation == \"x\" };",
            ],
            Some((Lint::Shadowed, "1")),
        ),
        (
            &[
                FILES,
                "permit (principal, action == Action::\"read_files\", resource in Dir::\"/ab\");",
            ],
            None,
        ),
        (
            &[
                FILES,
                "permit (principal, action in [Action::\"read_files\", Action::\"write_files\"], resource in Dir::\"/a\");",
            ],
            Some((Lint::Shadowed, "0")),
        ),
        (
            &[
                "permit (principal in Role::\"r\", action == Action::\"read_files\", resource in Dir::\"/a\");",
                "permit (principal in Role::\"q\", action == Action::\"read_files\", resource in Dir::\"/a\");",
            ],
            None,
        ),
        (
            &[
                FILES,
                "forbid (principal, action == Action::\"read_files\", resource in Dir::\"/a\") unless { principal in Role::\"r\" };",
            ],
            None,
        ),
        (
            &[
                FILES,
                "forbid (principal, action == Action::\"read_files\", resource in Dir::\"/a/b\");",
            ],
            None,
        ),
        (
            &[
                "@expires(\"2040-01-01\") permit (principal, action == Action::\"clock\", resource);",
                "permit (principal in Role::\"r\", action == Action::\"clock\", resource);",
            ],
            None,
        ),
        (
            &[
                "@ask permit (principal, action == Action::\"clock\", resource);",
                "permit (principal in Role::\"r\", action == Action::\"clock\", resource);",
            ],
            None,
        ),
        (
            &[
                "@quota(\"1/day\") forbid (principal, action == Action::\"call\", resource);",
                "permit (principal, action == Action::\"call\", resource);",
            ],
            None,
        ),
        (
            &[
                "permit (principal, action == Action::\"clock\", resource) when { context.unscoped };",
                "permit (principal, action == Action::\"clock\", resource);",
            ][..1],
            None,
        ),
    ] {
        let text = rules(texts);
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(lint, id)| (lint, id.to_owned()))
            .collect();
        assert_eq!(lints(&text), wanted, "{text}");
    }
}

#[test]
fn plugins_and_tools_that_there_are_not_are_told() {
    let call = |what: &str| format!("permit (principal, action == Action::\"call\", {what});");
    for (what, wanted) in [
        ("resource == Tool::\"com.example.git/log\"", None),
        ("resource == Tool::\"com.example.mail/send\"", None),
        (
            "resource == Tool::\"com.example.git/push\"",
            Some(Lint::UnknownTool),
        ),
        (
            "resource == Tool::\"com.example.gti/log\"",
            Some(Lint::UnknownPlugin),
        ),
        (
            "resource in Plugin::\"com.example.mial\"",
            Some(Lint::UnknownPlugin),
        ),
    ] {
        let found: Vec<Lint> = lints(&call(what))
            .into_iter()
            .map(|(lint, _)| lint)
            .collect();
        assert_eq!(found, Vec::from_iter(wanted), "{what}");
    }
    let nobody_known = load(&call("resource in Plugin::\"x\"")).unwrap();
    assert_eq!(nobody_known.lint(&Known::default(), NOW).unwrap(), []);
}

#[test]
fn the_shipped_policies_have_nothing_to_remark_on() {
    let pdp = Pdp::load(&Pdp::default_sources(), &Default::default()).unwrap();
    assert_eq!(pdp.lint(&Known::default(), NOW).unwrap(), []);
}

fn explain(pdp: &Pdp, principal: &Principal, asked: &str) -> Explanation {
    let asked = cap(asked);
    pdp.explain(principal, &now(), Question::Load(&asked))
        .unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_smallest_change_comes_first_and_does_what_it_says() {
    let pdp = load(
        r#"@id("docs") permit (principal, action == Action::"read_files", resource in Dir::"/data");
           @id("hr") forbid (principal, action == Action::"read_files", resource in Dir::"/data/hr")
           unless { principal in Role::"boss" };
           @id("night") forbid (principal, action, resource) when { context.environment == "production" && action == Action::"write_files" };"#,
    )
    .unwrap();
    let fine = explain(&pdp, &alice(), "read_files:/data/x");
    assert!(fine.decision.is_full() && fine.changes.is_empty());
    let hr = explain(&pdp, &alice(), "read_files:/data/hr/x");
    assert_eq!(hr.changes[0], [Step::Role("boss".into())]);
    let Step::Except(policy, clause) = &hr.changes[1][0] else {
        panic!("{hr:?}")
    };
    assert_eq!(policy, "hr");
    assert_eq!(
        clause,
        r#"unless { principal in User::"alice" && resource == File::"/data/hr/x" }"#
    );
    let write = explain(&pdp, &alice(), "write_files:/data/x/");
    let [Step::Add(added), Step::Except(policy, _)] = write.changes[0].as_slice() else {
        panic!("{write:?}")
    };
    assert_eq!(policy, "night");
    let both = format!("{added}\n");
    assert_eq!(
        granted(&load(&both).unwrap(), "write_files:/data/x/"),
        ["write_files:/data/x/"]
    );
    let etc = explain(&pdp, &alice(), "read_files:/etc/hosts");
    let [Step::Add(added)] = etc.changes[0].as_slice() else {
        panic!("{etc:?}")
    };
    assert!(decide(&load(added).unwrap(), "read_files:/etc/hosts").is_full());
    let bare = explain(&pdp, &alice(), "execute_code:git");
    assert_eq!(
        bare.changes,
        Vec::<Vec<Step>>::new(),
        "no policy can grant a bare name"
    );
}

#[test]
fn approval_is_a_change_and_calls_are_explained_too() {
    let pdp = load(
        r#"@ask permit (principal, action == Action::"clock", resource);
           permit (principal, action == Action::"call", resource);
           @id("force") forbid (principal, action == Action::"call", resource) when { context.argument_names.contains("force") };"#,
    )
    .unwrap();
    assert_eq!(explain(&pdp, &alice(), "clock").changes[0], [Step::Approve]);
    let arguments: Map<_, _> = serde_json::from_value(json!({"force": true})).unwrap();
    let call = pdp
        .explain(&alice(), &now(), Question::Call("push", &arguments))
        .unwrap();
    let [Step::Except(policy, clause)] = call.changes[0].as_slice() else {
        panic!("{call:?}")
    };
    assert_eq!(policy, "force");
    assert!(
        clause.contains("resource == Tool::\"com.example.files/push\""),
        "{clause}"
    );
}

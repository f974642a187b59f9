//! Questions with known answers, put to the real solver. Without cvc5 these tests fail: run `cargo xtask setup`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use bailiwick_analyze::{Answer, Asking, Example, Solver, permits_more, together};
use bailiwick_policy::{Classification, Pdp, PolicySource};

const NOW: i64 = 1_790_000_000;

fn load(text: &str) -> Pdp {
    let classified = [("/data/hr/**", "confidential"), ("/data/hr/faq", "public")];
    let classified = Classification::parse(classified).unwrap();
    let source = PolicySource::new("p", text);
    Pdp::load(&[source], &classified).unwrap_or_else(|e| panic!("{e}"))
}

/// What the new set permits beyond the old one: the examples, by action.
fn more(new: &str, old: &str, asking: Asking) -> Vec<(String, Box<Example>)> {
    let found = permits_more(&load(new), &load(old), asking, NOW, &Solver::default());
    let found = found.unwrap_or_else(|e| panic!("{e}"));
    let examples = found
        .into_iter()
        .filter_map(|finding| match finding.answer {
            Answer::No => None,
            Answer::Yes(example) => Some((finding.action, example)),
            Answer::Undecided(why) => panic!("{}: {why}", finding.action),
        });
    examples.collect()
}

fn permit(action: &str, condition: &str) -> String {
    format!(
        "permit (principal, action == Action::\"{action}\", resource) when {{ {condition} }};\n"
    )
}

fn forbid(action: &str, condition: &str) -> String {
    permit(action, condition).replacen("permit", "forbid", 1)
}

#[test]
fn what_permits_more_is_found_and_what_does_not_is_not() {
    for (action, wide, narrow) in [
        (
            "read_files",
            "resource in Dir::\"/data\"",
            "resource in Dir::\"/data/docs\"",
        ),
        (
            "read_files",
            "resource in Dir::\"/data\"",
            "resource in Dir::\"/data\" && !(resource in Dir::\"/data/hr\")",
        ),
        (
            "read_files",
            "resource in Dir::\"/data\"",
            "resource in Dir::\"/data\" && resource.sensitivity != Sensitivity::\"confidential\"",
        ),
        (
            "read_files",
            "resource in Dir::\"/data\"",
            "resource == File::\"/data/x\" || resource == File::\"/data/hr/y\"",
        ),
        (
            "network_access",
            "resource in Domain::\"e.org\"",
            "resource in Host::\"a.e.org\"",
        ),
        (
            "network_access",
            "resource in Url::\"https://*.e.org\"",
            "resource in Url::\"https://*.e.org/v1/\"",
        ),
        (
            "network_access",
            "resource in Network::\"10.0.0.0/8\"",
            "resource in Network::\"10.1.0.0/16\"",
        ),
        (
            "network_access",
            "resource in Host::\"a.org\"",
            "resource in Host::\"a.org\" && resource.method != Method::\"DELETE\"",
        ),
        (
            "network_access",
            "resource in Host::\"a.org\"",
            "resource in Host::\"a.org\" && resource.port == Port::\"443\"",
        ),
        (
            "execute_code",
            "resource in Program::\"/usr/bin/git\"",
            "resource in Program::\"/usr/bin/git log\"",
        ),
        (
            "execute_code",
            "resource in Dir::\"/usr/bin\"",
            "resource in Program::\"/usr/bin/git\"",
        ),
        (
            "read_environment",
            "resource in Variables::\"LC_*\"",
            "resource == Variable::\"LC_ALL\"",
        ),
        (
            "use_secret",
            "resource == Secret::\"a\" || resource == Secret::\"b\"",
            "resource == Secret::\"a\"",
        ),
        (
            "network_listen",
            "resource == Port::\"8080\" || resource == Port::\"8081\"",
            "resource == Port::\"8080\"",
        ),
        (
            "call",
            "resource in Plugin::\"p\"",
            "resource == Tool::\"p/t\"",
        ),
        (
            "clock",
            "principal in Role::\"a\" || principal in Role::\"b\"",
            "principal in Role::\"a\"",
        ),
        (
            "clock",
            "principal.user == User::\"a\" || principal in User::\"b\"",
            "principal in User::\"a\"",
        ),
        (
            "random",
            "context.environment like \"prod*\"",
            "context.environment == \"production\"",
        ),
    ] {
        let (wide, narrow) = (permit(action, wide), permit(action, narrow));
        let found = more(&wide, &narrow, Asking::Alone);
        assert_eq!(found.len(), 1, "{wide}{narrow}{found:?}");
        assert_eq!(found[0].0, action);
        assert!(!found[0].1.permitted_by.is_empty());
        let none = more(&narrow, &wide, Asking::Alone);
        assert!(
            none.is_empty(),
            "{narrow} permits more than {wide}: {none:?}"
        );
    }
}

/// Without knowing how constants lie in each other, the solver would invent paths that cannot be.
#[test]
fn requests_that_cannot_be_are_no_examples() {
    for (action, one, same) in [
        (
            "read_files",
            "resource in Dir::\"/data/docs\" && resource in Dir::\"/data\"",
            "resource in Dir::\"/data/docs\"",
        ),
        (
            "read_files",
            "resource in Dir::\"/data\" && resource in Dir::\"/etc\"",
            "false && context.unscoped",
        ),
        (
            "read_files",
            "resource in Dir::\"/data/hr\" && resource.sensitivity == Sensitivity::\"internal\"",
            "false && context.unscoped",
        ),
        (
            "read_files",
            "resource.sensitivity == Sensitivity::\"public\"",
            "resource == File::\"/data/hr/faq\"",
        ),
        (
            "network_access",
            "resource in Host::\"a.org\" && resource in Host::\"b.org\"",
            "false && context.unscoped",
        ),
        (
            "network_access",
            "resource in Url::\"https://a.org/\" && resource.port == Port::\"80\"",
            "false && context.unscoped",
        ),
        (
            "network_access",
            "resource in Host::\"10.1.2.3\"",
            "resource in Network::\"10.0.0.0/8\"",
        ),
        (
            "network_access",
            "resource.scheme == Scheme::\"tcp\" && resource.method == Method::\"GET\"",
            "false && context.unscoped",
        ),
        (
            "clock",
            "principal in Role::\"r\"",
            "principal.user in Role::\"r\"",
        ),
        (
            "call",
            "resource == Tool::\"p/t\"",
            "principal in Plugin::\"p\"",
        ),
        (
            "random",
            "context.now < datetime(\"2020-01-01\")",
            "false && context.unscoped",
        ),
    ] {
        let one = permit(action, one).replace(
            "resource in Url::\"https://a.org/\"",
            "resource in Url::\"https://a.org\"",
        );
        let same =
            forbid(action, "context.unscoped") + &permit(action, &same.replace("false && ", ""));
        let found = more(&one, &same, Asking::Alone);
        assert!(found.is_empty(), "{one}{same}{found:?}");
    }
}

#[test]
fn forbids_count_and_so_do_permits_that_ask() {
    let all = permit("clock", "context.isolation != \"\"");
    let but = forbid("clock", "principal in Role::\"guest\"");
    let found = more(&all, &(all.clone() + &but), Asking::Alone);
    assert_eq!(found.len(), 1);
    assert!(found[0].1.principal.user.roles.contains("guest"));
    assert!(more(&(all.clone() + &but), &all, Asking::Alone).is_empty());
    let asks = format!("@ask {}", permit("random", "context.isolation != \"\""));
    assert!(more(&asks, "", Asking::Alone).is_empty());
    assert_eq!(more(&asks, "", Asking::Approved).len(), 1);
    let other_words = permit("clock", "!(context.isolation == \"\")");
    assert!(more(&other_words, &all, Asking::Alone).is_empty());
}

#[test]
fn who_reads_confidential_data_and_reaches_the_network_is_found() {
    let reads = "permit (principal in Role::\"hr\", action == Action::\"read_files\", resource in Dir::\"/data\");\n";
    let connects = "permit (principal, action == Action::\"network_access\", resource in Host::\"api.e.org\");\n";
    let ask = |text: &str| {
        let answer = together(
            &load(text),
            "confidential",
            Asking::Alone,
            NOW,
            &Solver::default(),
        );
        answer.unwrap_or_else(|e| panic!("{e}"))
    };
    let Answer::Yes(example) = ask(&format!("{reads}{connects}")) else {
        panic!("nothing found");
    };
    assert!(
        example.asked[0].starts_with("read_files:/data/hr"),
        "{:?}",
        example.asked
    );
    assert!(
        example.asked[1].starts_with("network_access:"),
        "{:?}",
        example.asked
    );
    assert!(example.principal.user.roles.contains("hr"));
    for guard in [
        "forbid (principal in Role::\"hr\", action == Action::\"network_access\", resource);",
        "forbid (principal, action == Action::\"network_access\", resource) when { principal.user in Role::\"hr\" };",
        "forbid (principal, action == Action::\"read_files\", resource) when { resource.sensitivity == Sensitivity::\"confidential\" };",
        "forbid (principal, action == Action::\"read_files\", resource in Dir::\"/data/hr\") unless { resource == File::\"/data/hr/faq\" };",
        "forbid (principal, action == Action::\"network_access\", resource in Domain::\"e.org\");",
    ] {
        let answer = ask(&format!("{reads}{connects}{guard}"));
        assert!(matches!(answer, Answer::No), "{guard}: {answer:?}");
    }
    let split = "forbid (principal, action == Action::\"read_files\", resource) when { context.environment == \"x\" };
                 forbid (principal, action == Action::\"network_access\", resource) unless { context.environment == \"x\" };";
    assert!(matches!(
        ask(&format!("{reads}{connects}{split}")),
        Answer::No
    ));
}

/// What is not encoded is said, not guessed.
#[test]
fn what_the_encoding_does_not_cover_is_undecided() {
    let arguments = r#"permit (principal, action == Action::"call", resource == Tool::"p/t") when { context.arguments.to == "x" };"#;
    let found = permits_more(
        &load(arguments),
        &load(""),
        Asking::Alone,
        NOW,
        &Solver::default(),
    )
    .unwrap();
    let call = found
        .iter()
        .find(|finding| finding.action == "call")
        .unwrap();
    assert!(
        matches!(&call.answer, Answer::Undecided(why) if why.contains("arguments")),
        "{call:?}"
    );
    let missing = Solver {
        program: "/nonexistent/solver".into(),
        ..Solver::default()
    };
    let new = permit("clock", "context.isolation == \"x\"");
    let error = permits_more(&load(&new), &load(""), Asking::Alone, NOW, &missing).unwrap_err();
    assert!(error.to_string().contains("cargo xtask setup"), "{error}");
}

#[test]
fn the_shipped_policies_permit_nothing_that_they_do_not() {
    let home = bailiwick_capability::AbsPath::parse("/home/alice").unwrap();
    let home = Classification::for_home(&home).unwrap();
    let shipped = Pdp::load(&Pdp::default_sources(), &home).unwrap();
    let mut more = Pdp::default_sources();
    more.push(PolicySource::new(
        "site",
        r#"permit (principal, action == Action::"read_files", resource in Dir::"/home/alice");
           permit (principal, action == Action::"read_files", resource in Dir::"/proc");"#,
    ));
    let wider = Pdp::load(&more, &home).unwrap();
    let found = permits_more(&wider, &shipped, Asking::Alone, NOW, &Solver::default()).unwrap();
    for finding in &found {
        let is_wider = matches!(finding.answer, Answer::Yes(_));
        assert_eq!(is_wider, finding.action == "read_files", "{finding:?}");
    }
    let answer = together(&wider, "secret", Asking::Alone, NOW, &Solver::default()).unwrap();
    assert!(matches!(answer, Answer::No), "{answer:?}");
}

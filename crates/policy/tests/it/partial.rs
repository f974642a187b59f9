//! Partial grants, asking, expiry, and a person's own grants.

use bailiwick_capability::{Granted, Kind};
use bailiwick_policy::{Classification, Context, Effect, Outcome};

use crate::support::*;

const DOCS: &str = r#"
    @id("docs") permit (principal in Role::"analyst", action == Action::"read_files", resource in Dir::"/data");
    @id("hr") @reason("Personal data.")
    forbid (principal, action == Action::"read_files", resource) when { resource.sensitivity == Sensitivity::"confidential" };
"#;

#[test]
fn l2_no_policy_permits_nothing_of_any_kind() {
    let pdp = load("").unwrap();
    for kind in Kind::ALL {
        let decision = decide(&pdp, kind.as_str());
        assert_eq!(decision.outcome, Outcome::Deny, "{kind}");
        assert_eq!(decision.reasons[0].effect, Effect::Default);
        assert_eq!(decision.reasons[0].policy, "default-deny");
    }
}

#[test]
fn a_forbidden_part_becomes_a_hole_with_its_reason() {
    let classified =
        Classification::parse([("/data/hr/**", "confidential"), ("/data/hr/faq", "public")]);
    let pdp = load_with(DOCS, &classified.unwrap()).unwrap();
    assert_eq!(
        granted(&pdp, "read_files:/data/docs/"),
        ["read_files:/data/docs/"]
    );
    assert_eq!(
        granted(&pdp, "read_files:/data/"),
        [
            "read_files:/data/hr/faq",
            "read_files:/data/ except /data/hr/"
        ]
    );
    let decision = decide(&pdp, "read_files:/data/");
    let hr = decision.reasons.iter().find(|r| r.policy == "hr").unwrap();
    assert_eq!(
        (hr.effect, hr.about.as_str()),
        (Effect::Forbid, "read_files:/data/hr/")
    );
    assert_eq!(hr.text.as_deref(), Some("Personal data."));
    assert_eq!(
        decide(&pdp, "read_files:/data/hr/pay").outcome,
        Outcome::Deny
    );
    assert_eq!(
        granted(&pdp, "read_files:/").len(),
        2,
        "narrowed to what is permitted"
    );
}

#[test]
fn what_does_not_shape_the_answer_is_not_a_reason() {
    let classified = Classification::parse([("/data/hr/**", "confidential")]).unwrap();
    let pdp = load_with(DOCS, &classified).unwrap();
    let mut other = alice();
    other.user.roles.clear();
    let decision = pdp.decide(&other, &now(), &cap("read_files:/data/"));
    assert_eq!(decision.outcome, Outcome::Deny);
    let policies: Vec<_> = decision.reasons.iter().map(|r| r.policy.as_str()).collect();
    assert_eq!(policies, ["default-deny"]);
}

#[test]
fn the_whole_delegation_chain_counts() {
    for (condition, holds) in [
        (r#"principal in User::"alice""#, true),
        (r#"principal in User::"bob""#, false),
        (r#"principal in Agent::"claude""#, true),
        (r#"principal in Plugin::"com.example.files""#, true),
        (r#"principal in Publisher::"example""#, true),
        (r#"principal in Role::"admin""#, false),
        (
            r#"principal.user has department && principal.user.department == "hr""#,
            true,
        ),
        (
            r#"principal.plugin.digest == "sha256:00" && principal.plugin.version like "1.*""#,
            true,
        ),
        (r#"principal.agent.version == "2""#, false),
        (
            r#"context.environment == "production" && context.isolation == "jail""#,
            true,
        ),
        (r#"context.labels.contains("tainted")"#, false),
        (r#"context.machine.contains(Machine::"landlock-7")"#, true),
        (
            r#"context.machine.containsAll([Machine::"userns", Machine::"cgroup-memory"])"#,
            false,
        ),
        (
            r#"context.now > datetime("2026-01-01") && context.now < datetime("2027-01-01")"#,
            true,
        ),
        (
            r#"principal.plugin has folder && principal.plugin.folder in Dir::"/plugins""#,
            true,
        ),
    ] {
        let text = format!(
            "permit (principal, action == Action::\"clock\", resource) when {{ {condition} }};"
        );
        let pdp = load(&text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(decide(&pdp, "clock").is_full(), holds, "{condition}");
    }
}

/// A required wall that is missing refuses, also on a machine of which nothing is known.
#[test]
fn a_wall_that_policy_requires_refuses_by_its_absence() {
    let pdp = load(
        r#"permit (principal, action == Action::"execute_code", resource);
           @id("bounded") forbid (principal, action in Action::"high_risk", resource)
           unless { context.machine.contains(Machine::"cgroup-memory") };"#,
    )
    .unwrap();
    let asked = cap("execute_code:/usr/bin/git");
    let on = |machine: &[&str]| {
        let machine = machine.iter().map(|&name| name.to_owned()).collect();
        let context = Context { machine, ..now() };
        pdp.decide(&alice(), &context, &asked)
    };
    assert!(on(&["cgroup", "cgroup-memory"]).is_full());
    for lacking in [&["cgroup", "landlock"][..], &[]] {
        let decision = on(lacking);
        assert_eq!(decision.outcome, Outcome::Deny, "{lacking:?}");
        assert_eq!(decision.reasons[0].policy, "bounded");
    }
}

#[test]
fn asking_waits_for_a_person_and_forbid_still_wins() {
    let pdp = load(
        r#"@id("a") @ask @reason("May it read all data?") permit (principal, action == Action::"read_files", resource in Dir::"/data");
           @id("p") permit (principal, action == Action::"read_files", resource in Dir::"/data/pub");
           @id("f") forbid (principal, action == Action::"read_files", resource in Dir::"/data/hr");"#,
    )
    .unwrap();
    let decision = decide(&pdp, "read_files:/data/");
    assert_eq!(texts(decision.granted()), ["read_files:/data/pub/"]);
    assert_eq!(
        texts(decision.pending()),
        ["read_files:/data/ except /data/hr/"]
    );
    let ask = decision.reasons.iter().find(|r| r.policy == "a").unwrap();
    assert_eq!(ask.effect, Effect::Ask);
    assert!(decide(&pdp, "read_files:/data/pub/x").is_full());
    let one = decide(&pdp, "read_files:/data/x");
    assert!(one.granted().is_empty());
    assert_eq!(texts(one.pending()), ["read_files:/data/x"]);
    assert_eq!(decide(&pdp, "read_files:/data/hr/x").outcome, Outcome::Deny);
}

#[test]
fn expired_policies_no_longer_apply_and_decisions_say_until_when_they_hold() {
    let pdp = load(
        r#"@expires("2026-11-30") permit (principal, action == Action::"clock", resource);
           @expires("2026-11-20T12:00:00Z") forbid (principal, action == Action::"clock", resource);"#,
    )
    .unwrap();
    let at = |now: i64| {
        pdp.decide(
            &alice(),
            &Context {
                now,
                ..now_default()
            },
            &cap("clock"),
        )
    };
    let forbid_ends = 1_795_176_000;
    let permit_ends = 1_796_083_200;
    let before = at(forbid_ends - 1);
    assert_eq!(before.outcome, Outcome::Deny);
    assert_eq!(before.valid_until, Some(forbid_ends));
    let between = at(forbid_ends);
    assert!(between.is_full());
    assert_eq!(between.valid_until, Some(permit_ends));
    assert!(at(permit_ends - 1).is_full());
    let after = at(permit_ends);
    assert_eq!(
        (after.outcome.clone(), after.valid_until),
        (Outcome::Deny, None)
    );
}

fn now_default() -> Context {
    now()
}

#[test]
fn a_time_that_is_none_denies() {
    let pdp = load(r#"permit (principal, action == Action::"clock", resource);"#).unwrap();
    let context = Context {
        now: i64::MAX,
        ..now()
    };
    let decision = pdp.decide(&alice(), &context, &cap("clock"));
    assert_eq!(decision.outcome, Outcome::Deny);
    assert_eq!(decision.reasons[0].effect, Effect::Error);
}

#[test]
fn a_persons_grants_are_theirs_alone_and_bounded_by_forbid() {
    let pdp = load(
        r#"@id("hr") forbid (principal, action, resource in Dir::"/data/hr") when { action == Action::"read_files" };"#,
    );
    let pdp = pdp.unwrap_or_else(|e| panic!("{e}"));
    let grants: Vec<Granted> = [
        "read_files:/data/ except /data/secret/",
        "network_access:https://*.example.com/v1/ GET,HEAD",
        "network_access:tcp://db.internal:5432",
        "network_listen:127.0.0.1:8080",
        "execute_code:'/opt/my tools/git' log",
        "read_environment:APP_*",
        "use_secret:github_token",
        "write_to_logs",
        "call_tool:git__*",
        "ask_user",
    ]
    .map(|text| text.parse().unwrap())
    .into();
    let theirs = pdp
        .with_person_grants("alice", &grants)
        .unwrap_or_else(|e| panic!("{e}"));
    for asked in grants.iter().skip(1) {
        let decision = theirs.decide(&alice(), &now(), asked.capability());
        assert_eq!(decision.granted(), std::slice::from_ref(asked), "{asked}");
        let mut bob = alice();
        bob.user.name = "bob".into();
        let decision = theirs.decide(&bob, &now(), asked.capability());
        assert_eq!(decision.outcome, Outcome::Deny, "{asked}");
    }
    assert_eq!(
        granted(&theirs, "read_files:/data/"),
        ["read_files:/data/ except /data/hr/ except /data/secret/"]
    );
    let decision = decide(&theirs, "read_files:/data/x");
    assert_eq!(decision.reasons[0].policy, "person:allow:1");
    assert!(
        decision.reasons[0]
            .text
            .as_deref()
            .unwrap()
            .contains("--allow")
    );
    assert_eq!(decide(&pdp, "read_files:/data/x").outcome, Outcome::Deny);
    let again = theirs
        .with_person_grants("alice", &["clock".parse().unwrap()])
        .unwrap();
    assert_eq!(decide(&again, "clock").reasons[0].policy, "person:allow:11");
}

#[test]
fn a_persons_odd_name_cannot_write_policy() {
    let pdp = load("").unwrap();
    let name = "x\", action, resource); permit (principal in User::\"alice";
    let theirs = pdp
        .with_person_grants(name, &["clock".parse().unwrap()])
        .unwrap();
    assert_eq!(decide(&theirs, "clock").outcome, Outcome::Deny);
    let named: Granted = "execute_code:git".parse().unwrap();
    assert!(pdp.with_person_grants("alice", &[named]).is_err());
}

#[test]
fn programs_are_decided_by_path_and_leading_arguments() {
    let pdp = load(
        r#"permit (principal, action == Action::"execute_code", resource in Program::"/usr/bin/git");
           permit (principal, action == Action::"execute_code", resource in Dir::"/opt/tools");
           forbid (principal, action == Action::"execute_code", resource in Program::"/usr/bin/git push");"#,
    )
    .unwrap();
    assert_eq!(
        granted(&pdp, "execute_code:/usr/bin/git log"),
        ["execute_code:/usr/bin/git log"]
    );
    assert_eq!(
        granted(&pdp, "execute_code:/usr/bin/git"),
        ["execute_code:/usr/bin/git except '/usr/bin/git push'"].map(|s| s.replace('\'', ""))
    );
    assert_eq!(
        granted(&pdp, "execute_code:/opt/tools/x"),
        ["execute_code:/opt/tools/x"]
    );
    let bare = decide(&pdp, "execute_code:git");
    assert_eq!(bare.outcome, Outcome::Deny);
    assert!(bare.reasons[0].text.as_deref().unwrap().contains("resolve"));
    assert_eq!(
        granted(&pdp, "execute_code").len(),
        1,
        "the whole kind is narrowed to git"
    );
}

#[test]
fn a_whole_kind_with_an_unsayable_hole_is_not_granted_whole() {
    let all = r#"permit (principal, action == Action::"execute_code", resource);"#;
    assert_eq!(
        granted(&load(all).unwrap(), "execute_code"),
        ["execute_code"]
    );
    let hole = format!(
        "{all} forbid (principal, action, resource in Dir::\"/opt\") when {{ action == Action::\"execute_code\" }};"
    );
    assert_eq!(
        decide(&load(&hole).unwrap(), "execute_code").outcome,
        Outcome::Deny
    );
    let only = format!(
        "{all} forbid (principal, action == Action::\"execute_code\", resource) when {{ context.unscoped }};"
    );
    let pdp = load(&only).unwrap();
    assert_eq!(decide(&pdp, "execute_code").outcome, Outcome::Deny);
    assert_eq!(
        granted(&pdp, "execute_code:/bin/ls"),
        ["execute_code:/bin/ls"]
    );
}

#[test]
fn the_root_is_as_unscoped_as_the_bare_kind() {
    let pdp = load(
        r#"permit (principal, action == Action::"read_files", resource);
           forbid (principal, action == Action::"read_files", resource) when { context.unscoped };"#,
    )
    .unwrap();
    for asked in ["read_files", "read_files:/"] {
        assert_eq!(decide(&pdp, asked).outcome, Outcome::Deny, "{asked}");
    }
    assert_eq!(granted(&pdp, "read_files:/a/"), ["read_files:/a/"]);
}

#[test]
fn a_permit_for_the_whole_kind_alone_permits_no_point_of_it() {
    let pdp = load(
        r#"permit (principal, action == Action::"read_files", resource) when { context.unscoped };"#,
    )
    .unwrap();
    for asked in ["read_files", "read_files:/", "read_files:/a"] {
        assert_eq!(decide(&pdp, asked).outcome, Outcome::Deny, "{asked}");
    }
}

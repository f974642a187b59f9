//! The policies that we ship.

use crate::support::*;
use bailiwick_capability::AbsPath;
use bailiwick_policy::{CallVerdict, Classification, Effect, Outcome, Pdp};

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
    let policy = reason.remedy.as_deref().unwrap();
    assert_eq!(
        granted(&load(policy).unwrap(), "read_files:/data/"),
        ["read_files:/data/"]
    );
}

fn allow(pdp: &Pdp, atoms: &[&str]) -> Pdp {
    let atoms: Vec<_> = atoms.iter().map(|atom| atom.parse().unwrap()).collect();
    pdp.with_person_grants("alice", &atoms).unwrap()
}

#[test]
fn l14_no_person_can_allow_secrets_and_control_files() {
    let pdp = allow(
        &shipped(),
        &[
            "read_files:/",
            "write_files:/home/",
            "read_files:/home/alice/",
            "write_files:/etc/x",
        ],
    );
    for asked in [
        "read_files:/home/alice/.ssh/id_ed25519",
        "read_files:/home/alice/.aws/",
        "read_files:/etc/shadow",
        "read_files:/root/.ssh/id_rsa",
        "read_files:/proc/1/environ",
        "read_files:/run/docker.sock",
        "write_files:/home/alice/.ssh/authorized_keys",
        "write_files:/home/alice/.bashrc",
        "write_files:/etc/x",
    ] {
        let decision = decide(&pdp, asked);
        assert_eq!(decision.outcome, Outcome::Deny, "{asked}");
        assert_eq!(decision.reasons[0].effect, Effect::Forbid, "{asked}");
        assert!(decision.reasons[0].text.is_some(), "{asked}");
    }
    for asked in [
        "read_files:/home/alice/.bashrc",
        "read_files:/etc/hosts",
        "write_files:/home/alice/notes/",
    ] {
        assert!(decide(&pdp, asked).is_full(), "{asked}");
    }
    let home = decide(&pdp, "read_files:/home/alice/");
    let [atom] = home.granted() else {
        panic!("{home:?}")
    };
    assert!(atom.permits(&cap("read_files:/home/alice/notes/x")));
    assert!(!atom.permits(&cap("read_files:/home/alice/.netrc")));
    assert!(!atom.permits(&cap("read_files:/home/alice/.config/")));
}

#[test]
fn high_risk_is_for_trusted_operators() {
    let high = [
        "execute_shell:/bin/bash",
        "execute_shell",
        "execute_code:/bin/sh",
        "execute_code",
        "network_access",
        "network_access:http://169.254.169.254",
        "read_files",
        "read_environment",
    ];
    let pdp = allow(&shipped(), &high);
    let mut operator = alice();
    operator.user.roles.insert("trusted-operator".into());
    for asked in high {
        assert_eq!(decide(&pdp, asked).outcome, Outcome::Deny, "{asked}");
        let trusted = pdp.decide(&operator, &now(), &cap(asked));
        assert!(
            !trusted.granted().is_empty(),
            "{asked}: {:?}",
            trusted.reasons
        );
        let cut = ["read_files"].contains(&asked);
        assert_eq!(trusted.is_full(), !cut, "{asked}");
    }
    let git = allow(&shipped(), &["execute_code:/usr/bin/git"]);
    assert!(
        decide(&git, "execute_code:/usr/bin/git").is_full(),
        "a named program is no high risk"
    );
}

#[test]
fn loaded_tools_may_be_called() {
    let call = shipped().decide_call(&alice(), &now(), "read", &serde_json::Map::new());
    assert_eq!(call.verdict, CallVerdict::Allow);
}

/// High risks are taken away by a policy that can be read, whatever else permits them.
#[test]
fn strip_high_risk_strips_what_it_says_and_nothing_else() {
    let all = "permit (principal, action, resource);";
    let strip = include_str!("../../../../policies/strip-high-risk.cedar");
    let open = load(all).unwrap_or_else(|e| panic!("{e}"));
    let stripped = load(&format!("{all}\n{strip}")).unwrap_or_else(|e| panic!("{e}"));
    for asked in [
        "execute_shell",
        "execute_shell:/bin/sh",
        "execute_code",
        "execute_code:/usr/bin/git log",
        "network_access",
        "write_files:/data/",
        "write_files:/plugins/other/x",
    ] {
        assert!(decide(&open, asked).is_full(), "{asked}");
        assert_eq!(decide(&stripped, asked).outcome, Outcome::Deny, "{asked}");
        let reasons = decide(&stripped, asked).reasons;
        assert!(
            reasons.iter().any(|r| r.policy.starts_with("strip-")),
            "{reasons:?}"
        );
    }
    for asked in [
        "network_access:https://*.example.com",
        "read_files:/data/",
        "write_files:/plugins/files/data/",
        "read_environment",
        "use_secret:x",
        "clock",
    ] {
        assert!(decide(&stripped, asked).is_full(), "{asked}");
    }
    let narrowed = granted(&stripped, "write_files:/plugins/");
    assert_eq!(narrowed, ["write_files:/plugins/files/"]);
    let grants = ["execute_shell:/bin/sh".parse().unwrap()];
    let mut operator = alice();
    operator.user.roles.insert("trusted-operator".into());
    let allowed = stripped.with_person_grants("alice", &grants).unwrap();
    let decision = allowed.decide(&operator, &now(), &cap("execute_shell:/bin/sh"));
    assert_eq!(
        decision.outcome,
        Outcome::Deny,
        "--allow does not bring it back"
    );
}

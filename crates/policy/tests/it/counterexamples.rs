//! Every counter-example that the oracle ever found, by name, cut down to what matters.

use bailiwick_policy::Outcome;

use crate::support::*;

/// Literals were looked at only if a part of the request lay in them, and a folder is no part of all programs: so a
/// program in a forbidden folder stayed in what was granted.
#[test]
fn a_forbidden_folder_holds_the_programs_that_policy_names() {
    let pdp = load(
        r#"permit (principal, action == Action::"execute_code", resource in Program::"/u/b/git");
           forbid (principal, action == Action::"execute_code", resource in Dir::"/u/b");"#,
    )
    .unwrap();
    assert_eq!(decide(&pdp, "execute_code").outcome, Outcome::Deny);
}

/// One port stands for all that no policy names. It is no port that anybody asked for.
#[test]
fn the_port_that_stands_for_all_others_is_not_granted() {
    let pdp = load(
        r#"permit (principal, action == Action::"network_access", resource);
           forbid (principal, action == Action::"network_access", resource in Host::"evil.org")
           unless { resource.port == Port::"443" };"#,
    )
    .unwrap();
    for atom in granted(&pdp, "network_access") {
        assert!(!atom.contains("65535"), "{atom}");
    }
}

/// A hole that a capability can name was no reason to refuse all the rest.
#[test]
fn the_whole_network_is_granted_with_the_holes_that_can_be_named() {
    let pdp = load(
        r#"permit (principal, action == Action::"network_access", resource);
           forbid (principal, action == Action::"network_access", resource in Url::"https://*.e.org/admin/");
           forbid (principal, action == Action::"network_access", resource in Url::"https://api.e.org/v1/")
           when { resource.method == Method::"DELETE" };"#,
    )
    .unwrap();
    let whole = decide(&pdp, "network_access");
    let grant = bailiwick_capability::Grant::new(whole.granted().iter().cloned());
    for (point, has) in [
        ("https://a.org:443/x GET", true),
        ("tcp://e.org:22", true),
        ("https://a.e.org:443/admin/x GET", false),
        ("https://a.e.org:443/x GET", true),
        ("https://a.e.org:8443/admin/x GET", true),
        ("https://api.e.org:443/v1/x DELETE", false),
        ("https://api.e.org:443/v1/x GET", true),
    ] {
        let point = cap(&format!("network_access:{point}"));
        assert_eq!(grant.permits(&point), has, "{point}: {whole:#?}");
    }
}

/// What was refused because no capability can say it came without a word why.
#[test]
fn what_cannot_be_said_is_refused_with_the_reason() {
    for (asked, policy) in [
        (
            "network_access",
            r#"permit (principal, action == Action::"network_access", resource) when { resource.port == Port::"443" };"#,
        ),
        (
            "network_access",
            r#"permit (principal, action == Action::"network_access", resource) unless { resource in Domain::"e.org" };"#,
        ),
        (
            "network_access",
            r#"permit (principal, action == Action::"network_access", resource in Network::"10.0.0.0/8");"#,
        ),
        (
            "execute_code",
            r#"permit (principal, action == Action::"execute_code", resource in Dir::"/opt");"#,
        ),
        (
            "execute_code",
            r#"permit (principal, action == Action::"execute_code", resource) unless { resource in Dir::"/opt" };"#,
        ),
    ] {
        let decision = decide(&load(policy).unwrap(), asked);
        assert!(!decision.is_full(), "{policy}");
        let why = decision
            .reasons
            .iter()
            .find(|r| r.policy == "inexpressible");
        let why = why.unwrap_or_else(|| panic!("{policy}: {decision:#?}"));
        assert!(
            why.text.as_deref().unwrap().contains("ask for the"),
            "{why}"
        );
    }
}

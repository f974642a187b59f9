//! Connections: hosts, domains, address ranges, ports, paths and methods.

use bailiwick_policy::{Outcome, Pdp};

use crate::support::*;

fn permits(condition: &str) -> Pdp {
    let text = format!(
        "permit (principal, action == Action::\"network_access\", resource) when {{ {condition} }};"
    );
    load(&text).unwrap_or_else(|e| panic!("{e}"))
}

fn gets(pdp: &Pdp, asked: &str) -> Vec<String> {
    let atoms = granted(pdp, &format!("network_access:{asked}"));
    let strip = |atom: String| atom.replace("network_access:", "");
    atoms.into_iter().map(strip).collect()
}

#[test]
fn hosts_domains_and_ranges_hold_what_they_say() {
    let host = permits(r#"resource in Host::"api.example.com""#);
    assert_eq!(
        gets(&host, "https://api.example.com/v1/"),
        ["https://api.example.com/v1/"]
    );
    assert_eq!(
        gets(&host, "https://*.example.com"),
        ["https://api.example.com"]
    );
    assert!(gets(&host, "https://example.com").is_empty());
    let domain = permits(r#"resource in Domain::"example.com""#);
    for inside in [
        "https://example.com",
        "tcp://a.b.example.com:22",
        "https://*.example.com",
    ] {
        assert_eq!(gets(&domain, inside), [inside]);
    }
    for outside in [
        "https://badexample.com",
        "https://example.com.evil.org",
        "https://com",
    ] {
        assert!(gets(&domain, outside).is_empty(), "{outside}");
    }
    let range = permits(r#"resource in Network::"10.0.0.0/8""#);
    assert_eq!(gets(&range, "https://10.1.2.3"), ["https://10.1.2.3"]);
    assert!(gets(&range, "https://11.1.2.3").is_empty());
    let wild = permits(r#"resource in Url::"https://*.example.com/v1/""#);
    assert_eq!(
        gets(&wild, "https://a.example.com"),
        ["https://a.example.com/v1/"]
    );
    assert!(gets(&wild, "https://a.b.example.com/v1/").is_empty());
    assert!(gets(&wild, "https://example.com/v1/").is_empty());
}

#[test]
fn holes_in_hosts_paths_and_methods_are_exact() {
    let pdp = load(
        r#"permit (principal, action == Action::"network_access", resource in Url::"https://*.example.com");
           forbid (principal, action == Action::"network_access", resource in Host::"admin.example.com");
           forbid (principal, action == Action::"network_access", resource in Url::"https://*.example.com/internal/");"#,
    )
    .unwrap();
    assert_eq!(
        gets(&pdp, "https://*.example.com"),
        [
            "https://*.example.com except https://admin.example.com except https://*.example.com/internal/"
        ]
    );
    let read_only = permits(r#"[Method::"GET", Method::"HEAD"].contains(resource.method)"#);
    assert_eq!(
        gets(&read_only, "https://a.org"),
        ["https://a.org GET,HEAD"]
    );
    assert_eq!(
        gets(&read_only, "https://a.org GET,HEAD"),
        ["https://a.org GET,HEAD"]
    );
    assert_eq!(
        gets(&read_only, "https://a.org POST,GET"),
        ["https://a.org GET"]
    );
    assert!(gets(&read_only, "https://a.org POST").is_empty());
    assert!(gets(&read_only, "tcp://a.org:443").is_empty());
    let no_delete = permits(r#"resource.method != Method::"DELETE""#);
    assert_eq!(
        gets(&no_delete, "https://a.org"),
        ["https://a.org except https://a.org DELETE"]
    );
    assert_eq!(gets(&no_delete, "https://a.org PUT"), ["https://a.org PUT"]);
}

#[test]
fn schemes_and_ports_are_told_apart() {
    let tls = permits(r#"resource.scheme == Scheme::"https" && resource.port == Port::"443""#);
    assert_eq!(gets(&tls, "https://a.org"), ["https://a.org"]);
    for other in ["http://a.org", "https://a.org:8443", "tcp://a.org:443"] {
        assert!(gets(&tls, other).is_empty(), "{other}");
    }
}

#[test]
fn the_whole_network_is_granted_only_where_every_point_of_it_is_permitted() {
    let all = permits("true");
    assert_eq!(granted(&all, "network_access"), ["network_access"]);
    for but in [
        r#"resource in Host::"a.org""#,
        r#"resource in Domain::"a.org""#,
        r#"resource in Domain::"org" && !(resource in Host::"org")"#,
        r#"resource in Network::"10.0.0.0/8""#,
        r#"resource in Url::"https://*.a.org/x/""#,
        r#"resource.port == Port::"22""#,
        r#"resource.method == Method::"DELETE""#,
        r#"resource.scheme == Scheme::"tcp""#,
        "context.unscoped",
        "!context.unscoped",
    ] {
        let pdp = permits(&format!("!({but})"));
        let whole = granted(&pdp, "network_access");
        assert!(!whole.contains(&"network_access".to_owned()), "{but}");
    }
}

#[test]
fn the_whole_network_is_narrowed_to_what_is_permitted() {
    let pdp = permits(r#"resource in Domain::"example.com" && resource.scheme == Scheme::"https""#);
    assert_eq!(
        granted(&pdp, "network_access"),
        [
            "network_access:https://example.com",
            "network_access:https://*.example.com"
        ]
    );
    let none = permits(r#"resource in Network::"10.0.0.0/8""#);
    assert_eq!(decide(&none, "network_access").outcome, Outcome::Deny);
    let one = permits(r#"resource in Url::"tcp://db.internal:5432""#);
    assert_eq!(
        granted(&one, "network_access"),
        ["network_access:tcp://db.internal:5432"]
    );
}

#[test]
fn asking_for_the_whole_network_asks_for_the_whole() {
    let pdp =
        load(r#"@ask permit (principal, action == Action::"network_access", resource);"#).unwrap();
    let decision = decide(&pdp, "network_access");
    assert!(decision.granted().is_empty());
    assert_eq!(texts(decision.pending()), ["network_access"]);
}

#[test]
fn listening_is_decided_by_port() {
    let pdp = load(
        r#"permit (principal, action == Action::"network_listen", resource);
           forbid (principal, action == Action::"network_listen", resource == Port::"22");"#,
    )
    .unwrap();
    assert_eq!(
        granted(&pdp, "network_listen:127.0.0.1:8080"),
        ["network_listen:127.0.0.1:8080"]
    );
    assert!(granted(&pdp, "network_listen:127.0.0.1:22").is_empty());
    assert_eq!(
        granted(&pdp, "network_listen"),
        ["network_listen except 127.0.0.1:22"]
    );
}

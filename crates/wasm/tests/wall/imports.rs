//! Imports are compared with the grant before anything is compiled.

use bailiwick_wall::WallError;
use bailiwick_wasm::{Imports, Need};
use serde_json::json;

use crate::{call, component, grant, limits, load, refusal, wall};

/// A component that imports one function of `interface` and exports nothing of use.
fn importing(interface: &str) -> Vec<u8> {
    component(&format!(
        r#"(component (import "{interface}" (instance (export "f" (func))))
          (core module $m (func (export "f"))) (core instance $i (instantiate $m))
          (func (export "f") (canon lift (core func $i "f"))))"#
    ))
}

/// Returns what the imported function returns.
fn asking(interface: &str, function: &str) -> Vec<u8> {
    component(&format!(
        r#"(component (import "{interface}" (instance $host (export "{function}" (func (result u64)))))
          (core func $ask (canon lower (func $host "{function}")))
          (core module $m (import "host" "ask" (func $ask (result i64)))
            (func (export "ask") (result i64) (call $ask)))
          (core instance $i (instantiate $m (with "host" (instance (export "ask" (func $ask))))))
          (func (export "ask") (result u64) (canon lift (core func $i "ask"))))"#
    ))
}

/// Everything that could reach outside, and which atom opens it; none where no atom does.
const REACHING: [(&str, Option<&str>); 14] = [
    ("wasi:sockets/tcp@0.2.0", None),
    ("wasi:sockets/udp@0.2.6", None),
    ("wasi:sockets/ip-name-lookup@0.2.0", None),
    ("wasi:sockets/instance-network@0.2.0", None),
    (
        "wasi:http/outgoing-handler@0.2.0",
        Some("network_access:https://example.com"),
    ),
    ("wasi:http/incoming-handler@0.2.0", None),
    ("wasi:clocks/wall-clock@0.2.0", Some("clock")),
    ("wasi:clocks/monotonic-clock@0.2.3", Some("clock")),
    ("wasi:random/random@0.2.0", Some("random")),
    ("wasi:random/insecure-seed@0.2.0", Some("random")),
    ("wasi:keyvalue/store@0.2.0", None),
    ("wasi:clocks/wall-clock@0.3.0", None),
    ("wasi:clocks/wall-clock", None),
    ("acme:secret/door@1.0.0", None),
];

#[test]
fn an_import_that_is_not_granted_is_refused_by_name() {
    let everything = [
        "clock",
        "random",
        "network_access:https://example.com",
        "network_access:http://example.com",
    ];
    for (interface, opens) in REACHING {
        let bytes = importing(interface);
        let refused = Imports::read(&bytes)
            .unwrap()
            .refused_by(&grant::<&str>(&[]));
        assert_eq!(refused.len(), 1, "{interface}");
        assert!(refused[0].contains(interface), "{refused:?}");
        assert!(refusal(load(&bytes, &[] as &[&str])).contains(interface));
        let covered = Imports::read(&bytes)
            .unwrap()
            .refused_by(&grant(&everything))
            .is_empty();
        assert_eq!(covered, opens.is_some(), "{interface}");
        if let Some(atom) = opens {
            assert!(
                Imports::read(&bytes)
                    .unwrap()
                    .refused_by(&grant(&[atom]))
                    .is_empty(),
                "{interface}"
            );
        }
    }
    let message = refusal(load(&importing("wasi:random/random@0.2.0"), &[] as &[&str]));
    assert_eq!(
        message,
        "component imports wasi:random/random@0.2.0, which needs random, which is not granted"
    );
}

#[tokio::test]
async fn l06_no_name_lookup_and_no_socket_is_ever_linked() {
    let wide = [
        "network_access:http://example.com",
        "network_access:https://example.com",
        "clock",
        "random",
    ];
    for interface in [
        "ip-name-lookup",
        "tcp",
        "udp",
        "tcp-create-socket",
        "udp-create-socket",
        "network",
        "instance-network",
    ] {
        let error = refusal(load(
            &importing(&format!("wasi:sockets/{interface}@0.2.0")),
            &wide,
        ));
        assert!(error.contains("raw sockets"), "{error}");
    }
    for atom in ["network_access", "network_access:tcp://db.example:5432"] {
        let outcome = wall().load(
            &importing("wasi:sockets/tcp@0.2.0"),
            &grant(&[atom]),
            Vec::new(),
            &limits(),
        );
        assert!(matches!(outcome, Err(WallError::Refused(_))), "{atom}");
    }
}

#[tokio::test]
async fn clock_and_random_work_when_granted_and_are_absent_when_not() {
    for (interface, function, atom) in [
        ("wasi:clocks/monotonic-clock@0.2.0", "now", "clock"),
        ("wasi:random/random@0.2.0", "get-random-u64", "random"),
    ] {
        let bytes = asking(interface, function);
        let plugin = load(&bytes, &[atom]).unwrap();
        assert!(call(&plugin, "ask", json!({})).await.0.is_ok());
        assert!(refusal(load(&bytes, &[] as &[&str])).contains("not granted"));
        // The other atom does not help.
        assert!(
            refusal(load(
                &bytes,
                &[if atom == "clock" { "random" } else { "clock" }]
            ))
            .contains(atom)
        );
    }
}

#[test]
fn imports_of_types_alone_need_nothing() {
    let bytes = component(
        r#"(component
          (import "wasi:clocks/wall-clock@0.2.0" (instance
            (type $d (record (field "seconds" u64))) (export "datetime" (type (eq $d)))))
          (core module $m (func (export "f"))) (core instance $i (instantiate $m))
          (func (export "f") (canon lift (core func $i "f"))))"#,
    );
    let imports = Imports::read(&bytes).unwrap();
    assert!(imports.iter().all(|import| import.need == Need::Nothing));
    assert!(load(&bytes, &[] as &[&str]).is_ok());
}

#[test]
fn imports_after_other_types_are_read_aright() {
    // Aliases, exports and nested components shift the type index space.
    let bytes = component(
        r#"(component
          (type $none (instance))
          (component $inner (type (func)) (import "wasi:sockets/tcp@0.2.0" (instance (export "f" (func)))))
          (import "wasi:io/error@0.2.0" (instance $e (export "error" (type (sub resource)))))
          (alias export $e "error" (type $error))
          (type $t (record (field "a" u8)))
          (export "t" (type $t))
          (import "plain" (instance (type $none)))
          (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))
          (core module $m (func (export "f"))) (core instance $i (instantiate $m))
          (func (export "f") (canon lift (core func $i "f"))))"#,
    );
    let imports = Imports::read(&bytes).unwrap();
    let needs: Vec<_> = imports
        .iter()
        .map(|import| (import.name.as_str(), import.need))
        .collect();
    assert_eq!(
        needs,
        [
            ("wasi:io/error@0.2.0", Need::Nothing),
            ("plain", Need::Nothing),
            (
                "wasi:random/random@0.2.0",
                Need::Kind(bailiwick_capability::Kind::Random)
            ),
        ]
    );
}

#[test]
fn commands_are_refused_with_the_reason() {
    let command = component(
        r#"(component (core module $m (func (export "run") (result i32) (i32.const 0)))
          (core instance $i (instantiate $m))
          (func $run (result (result)) (canon lift (core func $i "run")))
          (instance $cli (export "run" (func $run)))
          (export "wasi:cli/run@0.2.0" (instance $cli)))"#,
    );
    assert!(refusal(load(&command, &[] as &[&str])).contains("is a command"));
}

#[test]
fn l02_an_empty_grant_links_nothing_that_reaches_outside() {
    for (interface, _) in REACHING {
        assert!(
            load(&importing(interface), &[] as &[&str]).is_err(),
            "{interface}"
        );
    }
}

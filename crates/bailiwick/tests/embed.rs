//! One file is the whole plugin: a manifest goes into a component, and is found there.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::process::{Command, Output};

const ADDER: &str = r#"(component
  (core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"#;

fn bailiwick(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .args(args)
        .current_dir(dir)
        .env("BAILIWICK_HOME", dir.join("home"))
        .output()
        .unwrap()
}

#[test]
fn a_component_carries_its_manifest() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("adder.wasm"),
        wat::parse_str(ADDER).unwrap(),
    )
    .unwrap();
    std::fs::write(
        dir.path().join("m.yaml"),
        "id: adder\nversion: 1.0.0\noptional_capabilities: [clock]\n",
    )
    .unwrap();
    let embed = [
        "embed",
        "adder.wasm",
        "--manifest",
        "m.yaml",
        "--output",
        "whole.wasm",
    ];

    let bare = bailiwick(dir.path(), &["check", "adder.wasm"]);
    assert_eq!(
        bare.status.code(),
        Some(2),
        "a component without a manifest is no plugin"
    );
    let done = bailiwick(dir.path(), &embed);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let checked = bailiwick(dir.path(), &["check", "whole.wasm", "--json"]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(report["plugins"][0]["id"], "adder");
    assert_eq!(report["plugins"][0]["atoms"][0]["outcome"], "granted");
    assert_eq!(
        bailiwick(dir.path(), &embed).status.code(),
        Some(2),
        "an existing file is not replaced"
    );
}

#[test]
fn a_bad_manifest_is_not_embedded() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("adder.wasm"),
        wat::parse_str(ADDER).unwrap(),
    )
    .unwrap();
    std::fs::write(
        dir.path().join("m.yaml"),
        "id: adder\nversion: 1.0.0\nrequired_capabilities: [read_file]\n",
    )
    .unwrap();
    let refused = bailiwick(
        dir.path(),
        &[
            "embed",
            "adder.wasm",
            "--manifest",
            "m.yaml",
            "--output",
            "whole.wasm",
        ],
    );
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("m.yaml:3") || told.contains(":3:"),
        "it points at the line: {told}"
    );
    assert!(!dir.path().join("whole.wasm").exists());
}

//! The demonstration tells the truth: every attack works without a wall, and none behind the gate.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::process::Command;

use bailiwick_testkit::{readable_dir, user};
use serde_json::Value;

fn steps(mut command: Command) -> Vec<Value> {
    let output = command.args(["demo", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["as_promised"], true, "{report:#}");
    report["steps"].as_array().unwrap().clone()
}

fn count(steps: &[Value], mark: &str) -> usize {
    steps.iter().filter(|step| step["mark"] == mark).count()
}

#[test]
fn every_attack_works_bare_and_none_behind_the_gate() {
    let steps = steps(Command::new(env!("CARGO_BIN_EXE_bailiwick")));
    assert_eq!(count(&steps, "worked_without_wall"), 7, "{steps:#?}");
    assert_eq!(count(&steps, "broken"), 0);
    let caught = steps.iter().any(|step| {
        let (tried, outcome) = (step["tried"].as_str(), step["outcome"].as_str());
        tried.is_some_and(|tried| tried.starts_with("tamper"))
            && outcome.is_some_and(|outcome| outcome.contains("was changed"))
    });
    assert!(caught, "{steps:#?}");
}

#[test]
fn it_is_the_same_for_an_ordinary_user() {
    if !user::is_root() {
        return; // The test above ran as one.
    }
    let dir = readable_dir();
    let program = dir.path().join("bailiwick");
    std::fs::copy(env!("CARGO_BIN_EXE_bailiwick"), &program).unwrap();
    let steps = steps(user::ordinary(program));
    assert_eq!(count(&steps, "worked_without_wall"), 7, "{steps:#?}");
}

//! The whole suite, as whoever runs the tests: root attacks as root and as an ordinary user.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what stands outside of test functions"
)]

use std::process::{Command, Output};

use serde_json::Value;

/// So many attacks must have been seen to work without the wall, or be impossible on this machine.
const ENOUGH: usize = 80;

fn suite(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bailiwick-escape"))
        .args(args)
        .output()
        .unwrap()
}

fn report(args: &[&str]) -> Value {
    let output = suite(args);
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).expect(&shown)
}

fn verdicts<'r>(row: &'r Value, place: &str) -> Vec<&'r str> {
    let all = row[place].as_object().unwrap().values();
    all.map(|one| one["verdict"].as_str().unwrap()).collect()
}

#[test]
fn no_attack_works_inside() {
    let report = report(&["--json"]);
    let rows = report["attacks"].as_array().unwrap();
    let failed: Vec<&Value> = rows.iter().filter(|row| row["holds"] != true).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(report["holds"], true);
    // Zero may succeed.
    assert_eq!(report["work_inside"], 0, "{}", report["summary"]);
    let works = rows
        .iter()
        .filter(|row| verdicts(row, "bare").contains(&"worked"));
    // Of the attacks that work bare, nearly all work as an ordinary user too.
    assert!(works.count() >= ENOUGH, "{}", report["summary"]);
    let inside = rows
        .iter()
        .filter(|row| verdicts(row, "inside").contains(&"held"));
    assert!(inside.count() >= ENOUGH, "{}", report["summary"]);
    for row in rows {
        let expected = usize::from(bailiwick_testkit::user::is_root()) + 1;
        assert_eq!(verdicts(row, "inside").len(), expected, "{row}");
    }
}

/// What is granted is there, so that a gate that starts nothing does not pass for one that holds.
#[test]
fn a_canary_that_cries_is_heard() {
    let report = report(&["--json", "write a granted file"]);
    let row = &report["attacks"][0];
    assert!(!verdicts(row, "bare").is_empty());
    for verdict in verdicts(row, "bare")
        .into_iter()
        .chain(verdicts(row, "inside"))
    {
        assert_eq!(verdict, "worked", "{row}");
    }
}

#[test]
fn an_unknown_name_is_refused() {
    let output = suite(&["no such attack"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--list"));
}

//! Everything can be measured. Nothing here looks at a time: the machine that runs tests is busy.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_row_can_be_measured() {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick-bench"))
        .args(["--quick", "--json"])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&shown);
    assert_eq!(report["missing"], serde_json::json!([]), "{shown}");
    assert!(output.status.success(), "{shown}");
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.len() >= 15, "{report}");
    for row in rows {
        let at = |part: &str| row["ratio"][part].as_f64().unwrap();
        assert!(at("p10") > 0.0, "{row}");
        assert!(
            at("p10") <= at("median") && at("median") <= at("p90"),
            "{row}"
        );
    }
    assert!(report["machine"]["cores"].as_u64() >= Some(1));
}

#[test]
fn an_unknown_name_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick-bench"))
        .args(["--quick", "nothing"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("decision-load"));
}

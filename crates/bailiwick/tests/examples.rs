//! The shipped examples load, and give what their comments say.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may end the test"
)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Copies `from`, with `/data` of the examples put below `data`.
fn copy(from: &Path, to: &Path, data: &str) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, data);
        } else {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            std::fs::write(target, text.replace("/data", data)).unwrap();
        }
    }
}

fn check(dir: &Path, config: &Path) -> (bool, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .args(["check", "--json", "--config"])
        .arg(config)
        .env("BAILIWICK_HOME", dir.join("state"))
        .current_dir(dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&text).unwrap_or_else(|_| {
        panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.success(), value)
}

/// Each asked atom of a plugin, and what became of it.
fn outcomes(report: &Value, plugin: &str) -> Vec<(String, String)> {
    let plugins = report["plugins"].as_array().unwrap();
    let found = plugins.iter().find(|found| found["id"] == plugin).unwrap();
    assert_eq!(found["loadable"], true, "{found}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let atoms = found["atoms"].as_array().unwrap().iter();
    atoms
        .map(|atom| (text(&atom["asked"]), text(&atom["outcome"])))
        .collect()
}

#[test]
fn four_popular_servers_get_what_they_need_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let data = root.join("data").to_str().unwrap().to_owned();
    for folder in ["docs/private", "memory", "repo/.git/hooks"] {
        std::fs::create_dir_all(format!("{data}/{folder}")).unwrap();
    }
    let examples = bailiwick_testkit::repository().join("examples");
    for part in ["policies", "plugins"] {
        copy(&examples.join(part), &root.join(part), &data);
    }
    let config = std::fs::read_to_string(examples.join("bailiwick.yaml")).unwrap();
    let here = root.join("bailiwick.yaml");
    std::fs::write(&here, config.replace("/data", &data)).unwrap();

    let (fine, report) = check(&root, &here);
    assert!(fine, "{report}");
    let atom = |text: &str, outcome: &str| (text.replace("/data", &data), outcome.to_owned());
    assert_eq!(
        outcomes(&report, "filesystem"),
        [
            atom("read_files:/data/docs/", "partial"),
            atom("write_files:/data/docs/", "refused")
        ],
        "the confidential folder is a hole, and no kernel holds a hole in what may be written"
    );
    assert_eq!(
        outcomes(&report, "git"),
        [
            atom("read_files:/data/repo/", "granted"),
            atom("execute_code:git", "granted"),
            atom("write_files:/data/repo/", "refused")
        ]
    );
    assert_eq!(
        outcomes(&report, "memory"),
        [
            atom("read_files:/data/memory/", "granted"),
            atom("write_files:/data/memory/", "granted"),
            atom("read_environment:MEMORY_FILE_PATH", "granted")
        ]
    );
    assert_eq!(outcomes(&report, "time"), []);
}

#[test]
fn l14_what_steers_the_gate_is_neither_read_nor_written() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for folder in ["policies", "plugins/a", "work", "state"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::write(
        root.join("policies/wide.cedar"),
        "permit (principal, action, resource);",
    )
    .unwrap();
    let config = root.join("bailiwick.yaml");
    std::fs::write(&config, "plugins: [plugins]\npolicies: [policies]").unwrap();
    let asks = |atoms: &[&str]| {
        let atoms: Vec<String> = atoms
            .iter()
            .map(|atom| atom.replace('@', root.to_str().unwrap()))
            .collect();
        let manifest = format!(
            "id: a\nversion: 1.0.0\noptional_capabilities: [{}]\nruntime: {{command: [/bin/true]}}",
            atoms.join(", ")
        );
        std::fs::write(root.join("plugins/a/plugin.yaml"), manifest).unwrap();
        let (_, report) = check(&root, &config);
        let outcomes = outcomes(&report, "a").into_iter();
        outcomes.map(|(_, outcome)| outcome).collect::<Vec<_>>()
    };
    let control = [
        "write_files:@/bailiwick.yaml",
        "write_files:@/plugins/",
        "write_files:@/",
    ];
    assert_eq!(asks(&control), ["refused"; 3]);
    let control = [
        "write_files:@/policies/",
        "write_files:@/policies/wide.cedar",
    ];
    assert_eq!(asks(&control), ["refused"; 2]);
    assert_eq!(asks(&["read_files:@/state/"]), ["refused"]);
    assert_eq!(asks(&["read_files:@/"]), ["partial"], "all but the state");
    let fine = [
        "read_files:@/policies/",
        "read_files:@/work/",
        "write_files:@/work/",
    ];
    assert_eq!(asks(&fine), ["granted"; 3]);
}

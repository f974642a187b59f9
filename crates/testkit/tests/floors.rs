//! Holds the floors of the house: which crate may know which, and which foreign standard has which one
//! user.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Pure: no I/O, no clock, no async.
const PURE: &[&str] = &["capability", "manifest", "tlog", "learn"];
/// One foreign standard each.
const STANDARDS: &[&str] = &["policy", "token", "audit", "mcp", "witness"];
/// Concrete walls and what serves them.
const WALLS: &[&str] = &["jail", "wasm", "egress", "remote"];
const FOUNDATIONS: &[&str] = &["wall", "runtime", "secret", "approval"];
const ASSEMBLY: &[&str] = &["gate", "bailiwick", "verify"];
/// What reads logs, and goes on from there.
const READERS: &[&str] = &["export", "index", "report"];
/// What asks questions of policies.
const ANALYSIS: &[&str] = &["analyze"];
const CHORES: &[&str] = &["testkit", "bench", "escape", "xtask"];

/// Foreign crates (and those named like them) with the only crate that may use them.
const ONE_USER: &[(&str, &str)] = &[
    ("cedar-policy", "policy"),
    ("biscuit-auth", "token"),
    ("age", "secret"),
    ("rusqlite", "index"),
    ("wasmtime", "wasm"),
    ("landlock", "jail"),
    ("seccompiler", "jail"),
    ("anyhow", "bailiwick"),
];

/// Who may use a foreign crate besides; mostly the benchmarks, which measure what is wrapped as their baseline.
const BASELINES: &[(&str, &str)] = &[
    ("cedar-policy", "bench"),
    ("rusqlite", "bench"),
    // Its symbolic compiler speaks Cedar's own types.
    ("cedar-policy", "analyze"),
    ("landlock", "bench"),
    ("wasmtime", "bench"),
];

struct House {
    /// Crate → (dependency, is it for tests only).
    rooms: BTreeMap<String, BTreeSet<(String, bool)>>,
}

impl House {
    fn look() -> Self {
        let metadata: Value =
            serde_json::from_slice(&cargo(&["metadata", "--format-version=1", "--no-deps"]))
                .unwrap();
        let mut rooms = BTreeMap::new();
        for package in metadata["packages"].as_array().unwrap() {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let all = dependencies
                .map(|dependency| (short(&dependency["name"]), dependency["kind"] == "dev"));
            rooms.insert(short(&package["name"]), all.collect());
        }
        assert!(rooms.len() > 10, "{:?}", rooms.keys());
        Self { rooms }
    }

    /// What a crate depends on of ours, tests aside.
    fn ours(&self, room: &str) -> BTreeSet<&str> {
        let all = self.rooms[room]
            .iter()
            .filter(|(name, dev)| !dev && self.rooms.contains_key(name));
        all.map(|(name, _)| name.as_str()).collect()
    }
}

fn short(name: &Value) -> String {
    let name = name.as_str().unwrap();
    name.strip_prefix("bailiwick-").unwrap_or(name).to_owned()
}

fn cargo(args: &[&str]) -> Vec<u8> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = command
        .args(args)
        .current_dir(bailiwick_testkit::repository())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn only(house: &House, rooms: &[&str], allowed: &[&[&str]]) {
    let allowed: BTreeSet<&str> = allowed
        .iter()
        .flat_map(|floor| floor.iter().copied())
        .collect();
    for room in rooms.iter().filter(|room| house.rooms.contains_key(**room)) {
        let wrong: Vec<_> = house
            .ours(room)
            .into_iter()
            .filter(|other| !allowed.contains(other))
            .collect();
        assert!(
            wrong.is_empty(),
            "`{room}` may depend only on {allowed:?}, not on {wrong:?}"
        );
    }
}

#[test]
fn every_room_is_on_a_floor() {
    let known: BTreeSet<&str> = [
        PURE,
        STANDARDS,
        WALLS,
        FOUNDATIONS,
        ASSEMBLY,
        READERS,
        ANALYSIS,
        CHORES,
    ]
    .concat()
    .into_iter()
    .collect();
    for room in House::look().rooms.keys() {
        assert!(
            known.contains(room.as_str()),
            "`{room}` has no floor; give it one in this test"
        );
    }
}

#[test]
fn arrows_point_only_downward() {
    let house = House::look();
    only(&house, PURE, &[PURE]);
    only(&house, STANDARDS, &[PURE]);
    only(&house, ANALYSIS, &[PURE, &["policy"]]);
    only(&house, &["wall"], &[PURE]);
    only(&house, &["runtime", "secret"], &[PURE, &["wall"]]);
    // No wall depends on another wall, on policy or on token.
    only(&house, WALLS, &[PURE, &["wall"]]);
    // The pipeline knows no concrete wall.
    only(&house, &["gate"], &[PURE, STANDARDS, FOUNDATIONS]);
    only(&house, &["verify"], &[PURE, &["audit"]]);
    only(&house, READERS, &[PURE, &["audit"]]);
}

#[test]
fn each_foreign_standard_has_one_user() {
    for (room, dependencies) in &House::look().rooms {
        for (name, dev) in dependencies {
            for (foreign, user) in ONE_USER {
                let same = name == foreign
                    || name
                        .strip_prefix(foreign)
                        .is_some_and(|rest| rest.starts_with('-'));
                let baseline = BASELINES.contains(&(foreign, room.as_str()));
                assert!(
                    !same || room == user || *dev || baseline,
                    "`{name}` belongs to `{user}` alone, and `{room}` uses it"
                );
            }
            assert!(
                name != "rmcp" || *dev,
                "rmcp is a client and server for tests; `{room}` uses it outside them"
            );
            assert!(
                name != "testkit" || *dev,
                "`{room}` uses the testkit outside tests"
            );
        }
    }
}

#[test]
fn what_is_pure_or_decides_has_no_runtime() {
    let house = House::look();
    for room in PURE.iter().chain(&["policy", "token", "wall", "secret"]) {
        if !house.rooms.contains_key(*room) {
            continue;
        }
        let package = format!("bailiwick-{room}");
        let tree = cargo(&[
            "tree",
            "--package",
            &package,
            "--edges=normal",
            "--prefix=none",
            "--format={p}",
        ]);
        let tree = String::from_utf8(tree).unwrap();
        assert!(tree.starts_with(&package), "{tree}");
        let found = tree.lines().find(|line| {
            ["tokio ", "mio ", "async-io "]
                .iter()
                .any(|name| line.starts_with(name))
        });
        assert_eq!(found, None, "`{room}` must do no I/O of its own");
    }
}

#[test]
fn unsafe_code_is_in_the_jail_alone() {
    let top = bailiwick_testkit::repository();
    let workspace = std::fs::read_to_string(top.join("Cargo.toml")).unwrap();
    assert!(
        workspace.contains("unsafe_code = \"deny\""),
        "the workspace's lints deny unsafe code"
    );
    for room in House::look().rooms.keys().filter(|room| *room != "jail") {
        let folder = if room == "xtask" {
            top.join(room)
        } else {
            top.join("crates").join(room)
        };
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "`{room}` takes the workspace's lints"
        );
        for file in rust_files(&folder) {
            let text = std::fs::read_to_string(&file).unwrap();
            let lifted = ["allow", "expect", "warn"]
                .iter()
                .any(|word| text.contains(&format!("{word}(unsafe_code")));
            assert!(!lifted, "{} lifts the ban on unsafe code", file.display());
        }
    }
}

fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if entry.is_dir() {
            found.extend(rust_files(&entry));
        } else if entry.extension().is_some_and(|ending| ending == "rs") {
            found.push(entry);
        }
    }
    found
}

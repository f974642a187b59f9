//! `bailiwick audit erase`, `archive` and `prune` through the real binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests may end the test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bailiwick_audit::{Event, Log, Options, Subject};
use serde_json::Value;

const ANN: &str = "ann-zq81";
const SECRET: &str = "quarterly-figures-kq93";

/// A state folder with one log of 600 entries of Ann's.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(scene.home()).unwrap();
        std::fs::set_permissions(scene.home(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let log = scene.open();
        let ann = Subject::session("0af7651916cd43dd8448eb211c80319c").with_user(ANN);
        for number in 0..600 {
            let event = Event::OperationDenied {
                operation: "read_files".to_owned(),
                target: format!("/srv/{SECRET}/{number}"),
                reason: "not granted".to_owned(),
                dropped: 0,
            };
            log.append(&ann, &event).unwrap();
        }
        log.close().unwrap();
        scene
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn log(&self) -> PathBuf {
        self.home().join("audit")
    }

    fn archive(&self) -> String {
        self.0.path().join("kept").display().to_string()
    }

    fn open(&self) -> Log {
        let options = Options {
            key_file: Some(self.home().join("audit.key")),
            ..Options::default()
        };
        Log::open(&self.log(), options).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .arg("audit")
            .args(args)
            .env("BAILIWICK_HOME", self.home())
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What a command prints that ends well.
    fn fine(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {err}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn holding(folder: &Path, bytes: &str, found: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            holding(&path, bytes, found);
        } else if std::fs::read(&path)
            .unwrap()
            .windows(bytes.len())
            .any(|part| part == bytes.as_bytes())
        {
            found.push(path);
        }
    }
}

fn left(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for text in [ANN, SECRET] {
        holding(folder, text, &mut found);
    }
    found
}

#[test]
fn a_person_is_erased_from_the_command_line_and_nothing_else_changes() {
    let scene = Scene::new();
    scene.fine(&["index"]);
    assert!(!left(&scene.home()).is_empty());
    let asked = scene.refused(&["erase", "--user", ANN]);
    assert!(
        asked.contains("--yes") && asked.contains("600 entries"),
        "{asked}"
    );
    assert!(!left(&scene.home()).is_empty(), "nothing happens unasked");
    let named = scene.refused(&[
        "erase",
        "--user",
        ANN,
        "--yes",
        "--reason",
        "ann-zq81 asked",
    ]);
    assert!(named.contains("without the name"), "{named}");
    let done = scene.fine(&[
        "erase",
        "--user",
        ANN,
        "--yes",
        "--reason",
        "article 17",
        "--json",
    ]);
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["logs"][0]["values"], 1200);
    assert_eq!(left(&scene.home()), Vec::<PathBuf>::new());
    scene.fine(&["verify"]);
    let found = scene.fine(&["query", "--kind", "erasure"]);
    assert!(
        found.contains("article 17") && found.contains("a user"),
        "{found}"
    );
    assert_eq!(scene.fine(&["query", "--user", ANN]), "");
    let rest = scene.fine(&[
        "query",
        "--session",
        "0af7651916cd43dd8448eb211c80319c",
        "--limit",
        "1",
    ]);
    assert!(rest.contains("target=sealed:"), "{rest}");
}

#[test]
fn exactly_one_of_user_session_and_entry_is_named() {
    let scene = Scene::new();
    scene.refused(&["erase", "--yes"]);
    scene.refused(&["erase", "--yes", "--user", "a", "--entry", "1"]);
    scene.fine(&["erase", "--yes", "--entry", "17"]);
    let entries = scene.fine(&["query", "--text", &format!("{SECRET}/17\"")]);
    assert_eq!(entries, "");
}

#[test]
fn old_entries_are_archived_pruned_and_still_proven() {
    let scene = Scene::new();
    let kept = scene.archive();
    let wrong = scene.refused(&["archive", "--before", "last year", "--to", &kept]);
    assert!(wrong.contains("2026-11-23"), "{wrong}");
    scene.refused(&["prune", "--archive", &kept]);
    let said = scene.fine(&["archive", "--before", "9999-01-01", "--to", &kept]);
    assert!(said.contains("512 entries are archived"), "{said}");
    let said = scene.fine(&["prune", "--archive", &kept]);
    assert!(said.contains("512 entries are pruned"), "{said}");
    scene.fine(&["verify"]);
    scene.fine(&["verify", "--archive", &kept]);
    scene.fine(&["verify", "--log", &kept]);
    let count = |args: &[&str]| scene.fine(args).lines().count();
    assert_eq!(
        count(&["query", "--kind", "operation_denied", "--log", &kept]),
        512
    );
    let newest = scene.fine(&["tail", "-n", "2"]);
    assert!(
        newest.contains("archived") && newest.contains("pruned"),
        "{newest}"
    );
}

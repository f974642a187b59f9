//! Logs of older versions: read, queried, verified and continued. `testdata/v1` was closed by the last Bailiwick that
//! wrote version 1; `testdata/v1-killed` is what it left when it was killed, with a torn entry at the end.

#![expect(clippy::expect_used, reason = "test helpers stop the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bailiwick_audit::{
    ENTRY_VERSION, Entry, Event, Filter, Log, Options, Outcome, Stored, query, read_verifier_key,
    render, tail, verify,
};
use tempfile::TempDir;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for item in fs::read_dir(from).expect("lists") {
        let item = item.expect("lists");
        let target = to.join(item.file_name());
        if item.file_type().expect("type").is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), &target).expect("copies");
        }
    }
}

fn open(dir: &Path) -> Log {
    Log::open(dir, Options::default()).expect("opens")
}

fn event() -> Event {
    Event::GateStop {
        reason: "over".to_owned(),
    }
}

fn old(name: &str) -> (TempDir, PathBuf) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let dir = tempfile::tempdir().expect("folder");
    let log = dir.path().join("log");
    copy(&from, &log);
    let key = log.join("signing.key");
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("chmod");
    (dir, log)
}

fn all(log: &Path, filter: Filter) -> Vec<(Stored, Entry)> {
    let read = |stored: Result<Stored, _>| {
        let stored = stored.expect("readable");
        let entry = stored.entry().expect("an entry");
        (stored, entry)
    };
    query(log, filter).map(read).collect()
}

fn versions(entries: &[(Stored, Entry)]) -> Vec<u32> {
    let mut versions: Vec<u32> = entries.iter().map(|(_, entry)| entry.v).collect();
    versions.dedup();
    versions
}

#[test]
fn a_log_of_version_1_is_read_queried_verified_and_continued() {
    let (_dir, log) = old("v1");
    let key = read_verifier_key(&log).expect("key");
    let before = verify(&log, &key, None).expect("as it was signed");
    assert_eq!(before.size, 280);
    let entries = all(&log, Filter::default());
    assert_eq!(entries.len(), 280);
    assert_eq!(versions(&entries), [1]);
    assert_eq!(entries[279].1.subject.user.as_deref(), Some("ann"));
    let denied = Filter {
        decision: Some(Outcome::Deny),
        user: Some("ann".to_owned()),
        ..Filter::default()
    };
    assert_eq!(all(&log, denied).len(), 44);
    assert_eq!(tail(&log, 300).expect("tail").len(), 280);

    let writer = open(&log);
    writer
        .append_durable(&entries[0].1.subject, &event())
        .expect("appended");
    writer.close().expect("closed");
    let entries = all(&log, Filter::default());
    assert_eq!(entries.len(), 281, "nothing had to be recovered");
    assert_eq!(versions(&entries), [1, ENTRY_VERSION]);
    assert_eq!(entries[280].1.event, event());
    assert_eq!(verify(&log, &key, None).expect("holds").size, 281);
}

#[test]
fn every_kind_of_version_1_is_understood_and_written_the_same_again() {
    let (_dir, log) = old("v1");
    for (stored, entry) in all(&log, Filter::default()) {
        let again = serde_json::to_vec(&entry).expect("json");
        assert_eq!(
            String::from_utf8_lossy(&again),
            String::from_utf8_lossy(&stored.json)
        );
        assert!(!render(stored.index, &entry).is_empty());
    }
}

#[test]
fn what_looks_sealed_in_version_1_is_plain_text() {
    let (_dir, log) = old("v1");
    let denied = Filter {
        kind: Some("operation_denied".to_owned()),
        ..Filter::default()
    };
    for (_, entry) in all(&log, denied) {
        let Event::OperationDenied { target, .. } = entry.event else {
            panic!("another kind")
        };
        assert_eq!(target, "sealed:AAAA");
    }
}

#[test]
fn a_killed_log_of_version_1_is_recovered_and_continued() {
    let (_dir, log) = old("v1-killed");
    let writer = open(&log);
    writer.close().expect("closed");
    let entries = all(&log, Filter::default());
    assert_eq!(versions(&entries), [1, ENTRY_VERSION]);
    assert_eq!(entries.len(), 26);
    let Event::Recovery {
        kept,
        unsealed,
        cut_bytes,
        ..
    } = &entries[25].1.event
    else {
        panic!("no recovery recorded")
    };
    assert_eq!((*kept, *unsealed), (25, 5));
    assert!(*cut_bytes > 0);
    let key = read_verifier_key(&log).expect("key");
    assert_eq!(verify(&log, &key, None).expect("holds").size, 26);
}

#[test]
fn a_version_that_we_do_not_know_is_an_error_and_not_guessed_at() {
    for v in [0, ENTRY_VERSION + 1] {
        let json = format!(
            r#"{{"v":{v},"time":"t","subject":{{}},"event":{{"kind":"gate_stop","reason":""}}}}"#
        );
        let stored = Stored {
            index: 7,
            json: json.into_bytes(),
            openings: Vec::new(),
        };
        let error = stored.entry().expect_err("unknown").to_string();
        assert!(
            error.contains("entry 7") && error.contains(&format!("version {v}")),
            "{error}"
        );
    }
}

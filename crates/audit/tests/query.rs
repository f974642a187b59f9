//! Finding, tailing and following entries.

#![expect(clippy::expect_used, reason = "test helpers stop the test")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_audit::{
    AtomDecision, Clock, Event, Filter, Follow, Log, Moment, Options, Outcome, Subject, query, tail,
};

/// No indices.
const NOTHING: [u64; 0] = [];

/// One second later each time, from 2026-11-23T00:00:00Z.
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Duration {
        Duration::from_secs(1_795_392_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn open(dir: &Path) -> Log {
    let options = Options {
        clock: Arc::new(Ticking(AtomicU64::new(0))),
        ..Options::default()
    };
    Log::open(dir, options).expect("opens")
}

fn decision(outcome: Outcome) -> Event {
    let atom = AtomDecision {
        asked: "read_files:/data/".into(),
        outcome,
        granted: vec![],
        policies: vec!["base".into()],
        reasons: vec![],
    };
    Event::Decision {
        outcome,
        moment: Moment::Load,
        atoms: vec![atom],
        context: [].into(),
    }
}

/// Six entries by hand.
fn sample(dir: &Path) -> Log {
    let log = open(dir);
    let notes = Subject::session("s1")
        .with_plugin("notes", "d1")
        .with_user("ann");
    let git = Subject::session("s2")
        .with_plugin("git", "d2")
        .with_user("bob")
        .with_agent("a")
        .with_trace("t");
    let refused = Event::CallRefused {
        call: "1".into(),
        tool: "git.push".into(),
        reason: "network_access is not granted".into(),
        policies: vec![],
    };
    let stop = Event::GateStop {
        reason: "end".into(),
    };
    for (subject, event) in [
        (&notes, decision(Outcome::Grant)),
        (&notes, decision(Outcome::Deny)),
        (&git, decision(Outcome::Partial)),
        (&git, refused),
        (&git, Event::PluginEnd { status: "0".into() }),
        (&Subject::default(), stop),
    ] {
        log.append(subject, &event).expect("appends");
    }
    log
}

fn found(dir: &Path, filter: Filter) -> Vec<u64> {
    query(dir, filter)
        .map(|stored| stored.expect("an entry").index)
        .collect()
}

#[test]
fn each_filter_finds_what_it_names() {
    let dir = tempfile::tempdir().expect("folder");
    let log = sample(dir.path());
    let some = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    for closed in [false, true] {
        if closed {
            log.close().expect("closes");
        }
        let found = |filter| found(dir.path(), filter);
        assert_eq!(found(none()), [0, 1, 2, 3, 4, 5]);
        assert_eq!(
            found(Filter {
                plugin: some("notes"),
                ..none()
            }),
            [0, 1]
        );
        assert_eq!(
            found(Filter {
                user: some("bob"),
                ..none()
            }),
            [2, 3, 4]
        );
        assert_eq!(
            found(Filter {
                session: some("s1"),
                ..none()
            }),
            [0, 1]
        );
        assert_eq!(
            found(Filter {
                kind: some("plugin_end"),
                ..none()
            }),
            [4]
        );
        assert_eq!(
            found(Filter {
                decision: Some(Outcome::Deny),
                ..none()
            }),
            [1, 3]
        );
        assert_eq!(
            found(Filter {
                since: some("2026-11-23T00:00:04"),
                ..none()
            }),
            [4, 5]
        );
        assert_eq!(
            found(Filter {
                until: some("2026-11-23T00:00:02"),
                ..none()
            }),
            [0, 1]
        );
        assert_eq!(
            found(Filter {
                since: some("2026-11-24"),
                ..none()
            }),
            NOTHING
        );
        assert_eq!(
            found(Filter {
                text: some("not granted"),
                ..none()
            }),
            [3]
        );
        assert_eq!(
            found(Filter {
                limit: Some(2),
                ..none()
            }),
            [0, 1]
        );
        assert_eq!(
            found(Filter {
                limit: Some(1),
                user: some("bob"),
                ..none()
            }),
            [2]
        );
        assert_eq!(
            found(Filter {
                plugin: some("note"),
                ..none()
            }),
            NOTHING,
            "no prefixes"
        );
        assert_eq!(
            found(Filter {
                plugin: some(""),
                ..none()
            }),
            NOTHING,
            "an empty name is a name that nobody has"
        );
    }
}

#[test]
fn l31_a_denial_is_neither_a_success_nor_an_error() {
    let dir = tempfile::tempdir().expect("folder");
    let log = sample(dir.path());
    let entry = |index: usize| {
        tail(log.dir(), 6)
            .expect("reads")
            .remove(index)
            .entry()
            .expect("an entry")
            .event
    };
    assert_eq!(entry(3).outcome(), Some(Outcome::Deny));
    assert_eq!(entry(4).outcome(), None);
    let denied = Event::OperationDenied {
        operation: "o".into(),
        target: "t".into(),
        reason: "r".into(),
        dropped: 0,
    };
    assert_eq!(denied.outcome(), Some(Outcome::Deny));
}

#[test]
fn the_last_entries_are_found_across_bundles() {
    let dir = tempfile::tempdir().expect("folder");
    let log = open(dir.path());
    for _ in 0..520 {
        log.append(&Subject::default(), &Event::GateStop { reason: "x".into() })
            .expect("appends");
    }
    for closed in [false, true] {
        if closed {
            log.close().expect("closes");
        }
        for count in [0_u64, 1, 7, 8, 9, 264, 265, 300, 520, 521] {
            let usize_count = usize::try_from(count).expect("small");
            let indices: Vec<_> = tail(dir.path(), usize_count)
                .expect("reads")
                .iter()
                .map(|s| s.index)
                .collect();
            assert_eq!(
                indices,
                (520_u64.saturating_sub(count)..520).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn a_follower_sees_every_entry_once_and_in_order() {
    let dir = tempfile::tempdir().expect("folder");
    let options = Options {
        publish_within: Duration::from_millis(1),
        ..Options::default()
    };
    let log = Log::open(dir.path(), options).expect("opens");
    let mut follow = Follow::from(dir.path(), 0);
    let writer = std::thread::spawn(move || {
        for _ in 0..2000 {
            log.append(&Subject::default(), &Event::GateStop { reason: "x".into() })
                .expect("appends");
        }
    });
    let mut seen = Vec::new();
    while !writer.is_finished() {
        seen.extend(
            follow
                .poll()
                .expect("reads")
                .iter()
                .map(|stored| stored.index),
        );
    }
    writer.join().expect("no panic");
    seen.extend(
        follow
            .poll()
            .expect("reads")
            .iter()
            .map(|stored| stored.index),
    );
    assert_eq!(seen, (0..2000).collect::<Vec<_>>());
    assert_eq!(follow.next_index(), 2000);
}

#[test]
fn what_is_no_entry_is_not_passed_over() {
    let dir = tempfile::tempdir().expect("folder");
    sample(dir.path()).close().expect("closes");
    let file = dir.path().join("journal/000000000000");
    std::fs::remove_file(file).expect("removes");
    let file = dir.path().join("tile/entries/000.p/6");
    let mut bytes = std::fs::read(&file).expect("bundle");
    *bytes.get_mut(2).expect("entry") = b'[';
    std::fs::write(&file, bytes).expect("writes");
    let filter = Filter {
        plugin: Some("git".into()),
        ..Filter::default()
    };
    let all: Vec<_> = query(dir.path(), filter)
        .map(|stored| stored.map(|stored| stored.index).ok())
        .collect();
    assert_eq!(all, [None, Some(2), Some(3), Some(4)]);
}

#[test]
fn a_folder_without_a_log_is_empty() {
    let dir = tempfile::tempdir().expect("folder");
    assert_eq!(query(dir.path(), Filter::default()).count(), 0);
    assert!(tail(dir.path(), 3).expect("reads").is_empty());
}

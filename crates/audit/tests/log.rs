//! The log as its writers use it.

#![expect(clippy::expect_used, reason = "test helpers stop the test")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_audit::{
    AuditError, Checkpoint, Clock, Event, Log, Options, Subject, read_verifier_key,
};

fn open(dir: &Path) -> Log {
    Log::open(dir, Options::default()).expect("opens")
}

fn event(text: &str) -> Event {
    Event::GateStop {
        reason: text.to_owned(),
    }
}

fn checkpoint(dir: &Path) -> Checkpoint {
    let note = std::fs::read_to_string(dir.join("checkpoint")).expect("a checkpoint");
    Checkpoint::open(&note, &read_verifier_key(dir).expect("key")).expect("signed")
}

#[test]
fn appended_entries_are_published_at_close() {
    let dir = tempfile::tempdir().expect("folder");
    let log = open(dir.path());
    for index in 0..700_u64 {
        assert_eq!(
            log.append(&Subject::default(), &event("x"))
                .expect("appends")
                .index,
            index
        );
    }
    log.close().expect("closes");
    assert_eq!(checkpoint(dir.path()).size, 700);
    assert!(matches!(
        log.append(&Subject::default(), &event("x")),
        Err(AuditError::Closed)
    ));
}

#[test]
fn a_log_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().expect("folder");
    let mut size = 0;
    for round in [1, 255, 1, 300, 0, 511, 256] {
        let log = open(dir.path());
        assert_eq!(log.size(), size, "nothing lost, nothing added");
        for _ in 0..round {
            log.append(&Subject::default(), &event("x"))
                .expect("appends");
        }
        size += round;
        drop(log);
        assert_eq!(checkpoint(dir.path()).size, size);
    }
}

#[test]
fn two_writers_are_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let first = open(dir.path());
    assert!(matches!(
        Log::open(dir.path(), Options::default()),
        Err(AuditError::Locked { .. })
    ));
    drop(first.clone());
    assert!(matches!(
        Log::open(dir.path(), Options::default()),
        Err(AuditError::Locked { .. })
    ));
    drop(first);
    open(dir.path());
}

#[test]
fn the_clock_stamps_the_entries() {
    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Duration {
            Duration::from_millis(1_795_446_245_678)
        }
    }
    let dir = tempfile::tempdir().expect("folder");
    let options = Options {
        clock: Arc::new(Fixed),
        ..Options::default()
    };
    let log = Log::open(dir.path(), options).expect("opens");
    log.append(&Subject::default(), &event("x"))
        .expect("appends");
    log.close().expect("closes");
    let bundle = std::fs::read(dir.path().join("tile/entries/000.p/1")).expect("a bundle");
    assert!(String::from_utf8_lossy(&bundle).contains("\"time\":\"2026-11-23T15:04:05.678Z\""));
}

/// A clock that is set, in milliseconds.
#[derive(Clone)]
struct Set(Arc<AtomicU64>);

impl Clock for Set {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn times(dir: &Path) -> Vec<String> {
    let all = bailiwick_audit::query(dir, bailiwick_audit::Filter::default());
    all.map(|stored| stored.expect("reads").entry().expect("an entry").time)
        .collect()
}

#[test]
fn times_never_go_back_and_a_clock_that_does_stops_the_log() {
    const NOON: u64 = 1_795_446_000_000;
    let dir = tempfile::tempdir().expect("folder");
    let clock = Set(Arc::new(AtomicU64::new(NOON)));
    let options = Options {
        clock: Arc::new(clock.clone()),
        ..Options::default()
    };
    let log = Log::open(dir.path(), options.clone()).expect("opens");
    let append = |log: &Log, at: u64| {
        clock.0.store(at, Ordering::Relaxed);
        log.append_durable(&Subject::default(), &event("x"))
    };
    append(&log, NOON).expect("appends");
    append(&log, NOON - 9_000).expect("a step of a time service");
    for back in [11_000, 86_400_000] {
        let error = append(&log, NOON - back).expect_err("refused");
        assert!(matches!(error, AuditError::ClockWentBack { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("Set the clock right"), "{text}");
        assert!(text.contains("2026-11-23T15:00:00.000Z"), "{text}");
    }
    append(&log, NOON + 5).expect("right again");
    log.close().expect("closes");
    drop(log);

    clock.0.store(NOON - 11_000, Ordering::Relaxed);
    let error = Log::open(dir.path(), options.clone()).expect_err("refused");
    assert!(matches!(error, AuditError::ClockWentBack { .. }), "{error}");
    clock.0.store(NOON, Ordering::Relaxed);
    let log = Log::open(dir.path(), options).expect("opens");
    append(&log, NOON + 1).expect("appends");
    log.close().expect("closes");
    let times = times(dir.path());
    assert_eq!(times.len(), 4, "what was refused is not there");
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_log_whose_last_bundle_is_full_knows_its_last_time_too() {
    let dir = tempfile::tempdir().expect("folder");
    let at = |millis: u64| Options {
        clock: Arc::new(Set(Arc::new(AtomicU64::new(millis)))),
        ..Options::default()
    };
    let log = Log::open(dir.path(), at(1_795_446_000_000)).expect("opens");
    for _ in 0..256 {
        log.append(&Subject::default(), &event("x"))
            .expect("appends");
    }
    log.close().expect("closes");
    drop(log);
    let error = Log::open(dir.path(), at(1_795_445_000_000)).expect_err("refused");
    assert!(matches!(error, AuditError::ClockWentBack { .. }), "{error}");
}

#[test]
fn partial_tiles_stay_until_the_full_one_is_there() {
    let dir = tempfile::tempdir().expect("folder");
    let there = |name: &str| dir.path().join(name).exists();
    for (size, entries) in [(3, 3), (10, 7), (255, 245)] {
        let log = open(dir.path());
        for _ in 0..entries {
            log.append(&Subject::default(), &event("x"))
                .expect("appends");
        }
        log.close().expect("closes");
        assert!(there(&format!("tile/0/000.p/{size}")));
        assert!(there("tile/0/000.p/3") && there("tile/entries/000.p/3"));
    }
    let log = open(dir.path());
    log.append(&Subject::default(), &event("x"))
        .expect("appends");
    log.close().expect("closes");
    assert!(there("tile/0/000") && there("tile/entries/000"));
    assert!(!there("tile/0/000.p") && !there("tile/entries/000.p"));
    assert!(there("tile/1/000.p/1"), "the level above is partial now");
}

#[test]
fn l31_every_durable_entry_is_sealed_before_the_call_returns() {
    let dir = tempfile::tempdir().expect("folder");
    let never = Options {
        publish_within: Duration::from_secs(3600),
        ..Options::default()
    };
    let log = Log::open(dir.path(), never).expect("opens");
    for size in 1..=5_u64 {
        log.append_durable(&Subject::default(), &event("x"))
            .expect("appends");
        let journal = std::fs::read(dir.path().join("journal/000000000000")).expect("journal");
        let text = String::from_utf8_lossy(&journal).into_owned();
        assert!(
            text.contains(&format!("{}\n{size}\n", log.verifier_key().name())),
            "a seal over {size}"
        );
    }
    assert_eq!(
        checkpoint(dir.path()).size,
        0,
        "the journal's seal alone did it"
    );
}

#[test]
fn l31_an_ordinary_entry_is_signed_and_published_without_being_asked_for() {
    let dir = tempfile::tempdir().expect("folder");
    let log = open(dir.path());
    for size in [1, 2, 300] {
        while log.size() < size {
            log.append(&Subject::default(), &event("x"))
                .expect("appends");
        }
        // The window is 100 ms; a busy machine may take longer, but never for ever.
        let tries = (0..6000).take_while(|_| {
            std::thread::sleep(Duration::from_millis(10));
            checkpoint(dir.path()).size < size
        });
        assert!(
            tries.count() < 6000,
            "entry {} was never published",
            size - 1
        );
    }
}

#[test]
fn threads_share_the_log_and_every_entry_has_its_own_index() {
    let dir = tempfile::tempdir().expect("folder");
    let log = open(dir.path());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let log = log.clone();
            std::thread::spawn(move || {
                let append = |i: u32| {
                    let durable = i.is_multiple_of(10);
                    let append = if durable {
                        Log::append_durable
                    } else {
                        Log::append
                    };
                    append(&log, &Subject::default(), &event("x"))
                        .expect("appends")
                        .index
                };
                (0..100).map(append).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut all: Vec<u64> = threads
        .into_iter()
        .flat_map(|thread| thread.join().expect("no panic"))
        .collect();
    all.sort_unstable();
    assert_eq!(all, (0..800).collect::<Vec<_>>());
    drop(log);
    assert_eq!(checkpoint(dir.path()).size, 800);
}

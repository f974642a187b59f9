//! Retention: what is archived and pruned is still proven, and what remains as well.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers stop the test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_audit::{
    AuditError, Checkpoint, Clock, Event, Filter, Log, Options, Stored, Subject, Verification,
    Verified, archive, entries_before, prune, query, read_verifier_key, tail, verify,
};
use tempfile::TempDir;

/// A second for each look.
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

struct Made {
    _dir: TempDir,
    log: PathBuf,
    kept: PathBuf,
    clock: Arc<Ticking>,
}

impl Made {
    /// A log of so many entries, each with something sealed, a second apart.
    fn of(entries: u64) -> Self {
        let dir = tempfile::tempdir().expect("folder");
        let made = Self {
            log: dir.path().join("log"),
            kept: dir.path().join("kept"),
            _dir: dir,
            // 2027-01-15T08:00:00Z
            clock: Arc::new(Ticking(AtomicU64::new(1_800_000_000))),
        };
        made.append(entries);
        made
    }

    fn open(&self) -> Log {
        let options = Options {
            clock: self.clock.clone(),
            ..Options::default()
        };
        Log::open(&self.log, options).expect("opens")
    }

    fn append(&self, entries: u64) {
        let log = self.open();
        let subject = Subject::session("s").with_user("ann");
        for number in 0..entries {
            let reason = format!("entry {number} of ann");
            log.append(&subject, &Event::GateStop { reason })
                .expect("appends");
        }
        log.close().expect("closes");
    }

    fn archive(&self, entries: u64) -> Result<u64, AuditError> {
        let log = self.open();
        archive(&log, &Subject::default(), entries, &self.kept).map(|part| part.bundles)
    }

    fn prune(&self) -> Result<u64, AuditError> {
        let log = self.open();
        prune(&log, &Subject::default(), &self.kept).map(|part| part.bundles)
    }

    fn verify(&self, archive: bool) -> Verified {
        let key = read_verifier_key(&self.log).expect("key");
        let mut verification = Verification::new(&key);
        if archive {
            verification = verification.with_archive(&self.kept);
        }
        match verification.run(&self.log) {
            Ok(verified) => verified,
            Err(report) => panic!("{report:?}"),
        }
    }
}

fn all(dir: &Path) -> Vec<Stored> {
    let all: Result<Vec<_>, _> = query(dir, Filter::default()).collect();
    all.expect("reads")
}

fn checkpoint(dir: &Path) -> Checkpoint {
    let note = fs::read_to_string(dir.join("checkpoint")).expect("a checkpoint");
    Checkpoint::open(&note, &read_verifier_key(dir).expect("key")).expect("signed")
}

fn bundles(dir: &Path) -> usize {
    let listing = fs::read_dir(dir.join("tile/entries")).expect("lists");
    listing
        .filter(|item| item.as_ref().expect("lists").path().is_file())
        .count()
}

fn events(dir: &Path, kind: &str) -> usize {
    let filter = Filter {
        kind: Some(kind.to_owned()),
        ..Filter::default()
    };
    query(dir, filter).count()
}

#[test]
fn an_archive_is_a_log_of_its_own_that_verifies_and_is_read() {
    let made = Made::of(700);
    let before = all(&made.log);
    assert_eq!(made.archive(600).expect("archived"), 2);
    let key = read_verifier_key(&made.log).expect("key");
    let verified = verify(&made.kept, &key, None).expect("holds");
    assert_eq!(verified.size, 512);
    assert_eq!(all(&made.kept), before.get(..512).expect("so many"));
    assert_eq!(
        all(&made.log).get(..700),
        before.get(..),
        "nothing is lost yet"
    );
    assert_eq!(events(&made.log, "archived"), 1);
    made.verify(false);
    // The log continues what the archive's checkpoint says.
    verify(&made.log, &key, Some(&checkpoint(&made.kept))).expect("its future");
}

#[test]
fn what_was_pruned_is_proven_by_the_archive_and_what_remains_by_itself() {
    let made = Made::of(700);
    let before = all(&made.log);
    made.archive(600).expect("archived");
    assert_eq!(made.prune().expect("pruned"), 2);
    assert_eq!(bundles(&made.log), 0);
    let alone = made.verify(false);
    assert_eq!((alone.pruned, alone.size), (512, 702));
    made.verify(true);
    let rest = all(&made.log);
    assert_eq!(rest.len(), 702 - 512);
    assert_eq!(rest.first().map(|stored| stored.index), Some(512));
    assert_eq!(tail(&made.log, 1000).expect("tail").len(), rest.len());
    assert_eq!(all(&made.kept), before.get(..512).expect("so many"));
    // And it goes on.
    made.append(600);
    assert_eq!(made.archive(u64::MAX).expect("archived"), 3);
    assert_eq!(made.prune().expect("pruned"), 3);
    let verified = made.verify(true);
    assert!(verified.size > 1300);
    assert_eq!(all(&made.kept).len(), 1280);
    assert_eq!(
        verify(
            &made.kept,
            &read_verifier_key(&made.kept).expect("key"),
            None
        )
        .expect("holds")
        .size,
        1280
    );
}

#[test]
fn bundles_that_go_without_a_record_are_a_finding() {
    let made = Made::of(700);
    made.archive(600).expect("archived");
    fs::remove_file(made.log.join("tile/entries/000")).expect("removed");
    let key = read_verifier_key(&made.log).expect("key");
    assert!(
        verify(&made.log, &key, None).is_err(),
        "archived is not pruned"
    );
    let made = Made::of(900);
    made.archive(300).expect("archived");
    made.prune().expect("pruned");
    made.verify(false);
    fs::remove_file(made.log.join("tile/entries/001")).expect("removed");
    let key = read_verifier_key(&made.log).expect("key");
    assert!(
        verify(&made.log, &key, None).is_err(),
        "more than was pruned"
    );
}

#[test]
fn an_archive_that_is_not_whole_prunes_nothing() {
    for spoil in [
        |kept: &Path| fs::remove_file(kept.join("tile/entries/001")).expect("removed"),
        |kept: &Path| {
            let path = kept.join("tile/entries/000");
            let mut bytes = fs::read(&path).expect("reads");
            if let Some(byte) = bytes.get_mut(100) {
                *byte ^= 1;
            }
            fs::write(path, bytes).expect("writes");
        },
        |kept: &Path| fs::remove_file(kept.join("private/000000000001")).expect("removed"),
        |kept: &Path| fs::remove_file(kept.join("checkpoint")).expect("removed"),
    ] {
        let made = Made::of(700);
        made.archive(600).expect("archived");
        spoil(&made.kept);
        let error = made.prune().expect_err("not whole");
        assert!(matches!(error, AuditError::Archive { .. }), "{error}");
        assert_eq!(bundles(&made.log), 2);
        assert_eq!(events(&made.log, "pruned"), 0);
        made.verify(false);
    }
}

#[test]
fn damage_is_not_archived() {
    let made = Made::of(700);
    let path = made.log.join("tile/entries/000");
    let mut bytes = fs::read(&path).expect("reads");
    if let Some(byte) = bytes.get_mut(100) {
        *byte ^= 1;
    }
    fs::write(path, bytes).expect("writes");
    let error = made.archive(600).expect_err("damaged");
    assert!(matches!(error, AuditError::Damaged { .. }), "{error}");
    assert!(!made.kept.join("checkpoint").exists());
}

#[test]
fn another_logs_archive_is_refused_for_both() {
    let (ours, theirs) = (Made::of(300), Made::of(300));
    theirs.archive(300).expect("archived");
    let log = ours.open();
    for error in [
        archive(&log, &Subject::default(), 300, &theirs.kept).expect_err("another's"),
        prune(&log, &Subject::default(), &theirs.kept).expect_err("another's"),
        archive(&log, &Subject::default(), 300, &ours.log.join("in")).expect_err("within"),
        archive(&log, &Subject::default(), 100, &ours.kept).expect_err("too few"),
    ] {
        assert!(matches!(error, AuditError::Archive { .. }), "{error}");
    }
}

#[test]
fn what_was_pruned_before_needs_its_own_archive() {
    let made = Made::of(900);
    made.archive(300).expect("archived");
    made.prune().expect("pruned");
    let log = made.open();
    let other = made.kept.with_file_name("other");
    let error =
        archive(&log, &Subject::default(), 600, &other).expect_err("the older part is elsewhere");
    assert!(error.to_string().contains("name the archive"), "{error}");
}

#[test]
fn a_date_says_how_many_entries() {
    let made = Made::of(300);
    assert_eq!(entries_before(&made.log, "2027-01-15").expect("reads"), 0);
    assert_eq!(entries_before(&made.log, "2027-01-16").expect("reads"), 300);
    let index = all(&made.log).iter().position(|stored| {
        stored.entry().expect("an entry").time.as_str() >= "2027-01-15T08:02:00"
    });
    let before = entries_before(&made.log, "2027-01-15T08:02:00").expect("reads");
    assert_eq!(Some(before), index.map(|index| index as u64));
}

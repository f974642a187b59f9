//! Verification: logs that hold, and every kind of tampering found, with the right entry.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test helpers stop the test"
)]

mod support;

use std::fs;
use std::path::Path;

use bailiwick_audit::{
    Checkpoint, Finding, Log, Options, Tampering, Verified, VerifierKey, read_verifier_key, verify,
};
use support::{Entries, bundle, copy, event, hashes, open, write_bundle, write_hashes};

struct Case {
    dir: tempfile::TempDir,
    key: VerifierKey,
}

impl Case {
    /// A closed log of this many entries.
    fn of(size: usize) -> Self {
        let dir = tempfile::tempdir().expect("folder");
        let log = open(dir.path());
        for index in 0..size {
            log.append(&bailiwick_audit::Subject::default(), &event(index))
                .expect("appends");
        }
        log.close().expect("closes");
        let case = Self {
            key: read_verifier_key(dir.path()).expect("key"),
            dir,
        };
        assert_eq!(case.verify().expect("holds before").sealed, size as u64);
        case
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn verify(&self) -> Result<Verified, bailiwick_audit::Report> {
        verify(self.dir.path(), &self.key, None)
    }

    fn findings(&self) -> Vec<Finding> {
        self.verify().expect_err("found").findings
    }

    /// The first finding is this; and a writer does not go on with such a log, or repairs only what is not lost.
    #[track_caller]
    fn finds(&self, index: Option<u64>, tampering: Tampering) {
        let findings = self.findings();
        assert_eq!(
            (findings[0].index, findings[0].tampering),
            (index, tampering),
            "{findings:#?}"
        );
    }

    fn edit(&self, bundle_file: &str, edit: impl FnOnce(&mut Entries)) {
        let mut entries = bundle(&self.path(bundle_file));
        edit(&mut entries);
        write_bundle(&self.path(bundle_file), &entries);
    }

    fn edit_hashes(&self, tile: &str, edit: impl FnOnce(&mut Vec<[u8; 32]>)) {
        let mut all = hashes(&self.path(tile));
        edit(&mut all);
        write_hashes(&self.path(tile), &all);
    }

    /// Takes the journal away, so that the tiles alone are looked at.
    fn without_journal(self) -> Self {
        fs::remove_dir_all(self.path("journal")).expect("removes");
        self.verify().expect("holds without");
        self
    }
}

const FULL: &str = "tile/entries/001";
const LAST: &str = "tile/entries/002.p/88";

#[test]
fn logs_of_every_shape_hold() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 513, 1000] {
        let case = Case::of(size);
        let verified = case.verify().expect("holds");
        assert_eq!(
            (verified.size, verified.published, verified.unsealed()),
            (size as u64, size as u64, 0)
        );
    }
}

#[test]
fn l31_a_change_of_any_byte_of_an_entry_is_found() {
    let case = Case::of(3);
    let file = case.path("tile/entries/000.p/3");
    let good = fs::read(&file).expect("bundle");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        fs::write(&file, &bad).expect("writes");
        assert!(case.verify().is_err(), "byte {at}");
    }
    fs::write(&file, &good).expect("writes");
    case.verify().expect("holds again");
}

#[test]
fn t01_changed_entry() {
    let case = Case::of(600);
    case.edit(FULL, |entries| entries[44][30] ^= 1);
    case.finds(Some(300), Tampering::Changed);
    assert_eq!(case.findings().len(), 1);
}

#[test]
fn t02_changed_entry_in_the_last_bundle() {
    let case = Case::of(600);
    case.edit(LAST, |entries| entries[10][30] ^= 1);
    case.finds(Some(522), Tampering::Changed);
}

#[test]
fn t03_two_changed_entries() {
    let case = Case::of(600);
    case.edit("tile/entries/000", |entries| entries[7] = b"{}".to_vec());
    case.edit(FULL, |entries| entries[0] = b"{}".to_vec());
    let found: Vec<_> = case
        .findings()
        .iter()
        .map(|finding| (finding.index, finding.tampering))
        .collect();
    assert_eq!(
        found,
        [
            (Some(7), Tampering::Changed),
            (Some(256), Tampering::Changed)
        ]
    );
}

#[test]
fn t04_removed_entry() {
    let case = Case::of(600);
    case.edit(FULL, |entries| drop(entries.remove(44)));
    case.finds(Some(300), Tampering::Removed);
}

#[test]
fn t05_removed_first_entry() {
    let case = Case::of(600);
    case.edit("tile/entries/000", |entries| drop(entries.remove(0)));
    case.finds(Some(0), Tampering::Removed);
}

#[test]
fn t06_removed_entry_with_all_later_ones_moved_up() {
    let case = Case::of(600);
    let mut all = bundle(&case.path("tile/entries/000"));
    all.extend(bundle(&case.path(FULL)));
    all.extend(bundle(&case.path(LAST)));
    all.remove(100);
    write_bundle(&case.path("tile/entries/000"), &all[..256]);
    write_bundle(&case.path(FULL), &all[256..512]);
    write_bundle(&case.path(LAST), &all[512..]);
    case.finds(Some(100), Tampering::Removed);
}

#[test]
fn t07_swapped_entries() {
    let case = Case::of(600);
    case.edit(FULL, |entries| entries.swap(1, 4));
    let found: Vec<_> = case
        .findings()
        .iter()
        .map(|finding| (finding.index, finding.tampering))
        .collect();
    assert_eq!(
        found,
        [
            (Some(257), Tampering::Moved { to: 260 }),
            (Some(260), Tampering::Moved { to: 257 })
        ]
    );
}

#[test]
fn t08_swapped_bundles() {
    let case = Case::of(600);
    let (a, b) = (case.path("tile/entries/000"), case.path(FULL));
    let (first, second) = (fs::read(&a).expect("a"), fs::read(&b).expect("b"));
    fs::write(&a, second).expect("writes");
    fs::write(&b, first).expect("writes");
    case.finds(Some(0), Tampering::Moved { to: 256 });
}

#[test]
fn t09_inserted_entry() {
    let case = Case::of(600);
    case.edit(LAST, |entries| entries.push(b"{\"v\":1}".to_vec()));
    case.finds(Some(600), Tampering::Inserted);
}

#[test]
fn t10_inserted_entry_in_the_middle() {
    let case = Case::of(600);
    case.edit(FULL, |entries| entries.insert(9, b"{}".to_vec()));
    case.finds(Some(265), Tampering::Inserted);
    let rest = &case.findings()[1];
    assert_eq!(
        (rest.index, rest.until, rest.tampering),
        (Some(266), Some(511), Tampering::Moved { to: 267 }),
        "what was shifted is one finding"
    );
}

#[test]
fn t11_duplicated_entry() {
    let case = Case::of(600);
    case.edit(FULL, |entries| entries[20] = entries[19].clone());
    case.finds(Some(276), Tampering::Removed);
}

#[test]
fn t12_truncated_bundle() {
    let case = Case::of(600);
    case.edit(LAST, |entries| entries.truncate(50));
    case.finds(Some(562), Tampering::Truncated);
}

#[test]
fn t13_bundle_cut_inside_an_entry() {
    let case = Case::of(600);
    let bytes = fs::read(case.path(LAST)).expect("bundle");
    fs::write(case.path(LAST), &bytes[..bytes.len() - 5]).expect("writes");
    case.finds(Some(599), Tampering::Truncated);
}

#[test]
fn t14_bytes_added_to_a_bundle() {
    let case = Case::of(600);
    let mut bytes = fs::read(case.path(FULL)).expect("bundle");
    bytes.push(0);
    fs::write(case.path(FULL), bytes).expect("writes");
    case.finds(Some(512), Tampering::Inserted);
}

#[test]
fn t15_removed_bundle() {
    let case = Case::of(600);
    fs::remove_file(case.path(FULL)).expect("removes");
    case.finds(Some(256), Tampering::Truncated);
}

#[test]
fn t16_emptied_bundle() {
    let case = Case::of(600);
    fs::write(case.path("tile/entries/000"), b"").expect("writes");
    case.finds(Some(0), Tampering::Truncated);
}

#[test]
fn t17_changed_leaf_hash() {
    let case = Case::of(600);
    case.edit_hashes("tile/0/001", |hashes| hashes[3][0] ^= 1);
    case.finds(Some(259), Tampering::HashChanged);
    assert_eq!(case.findings().len(), 1);
}

#[test]
fn t18_changed_hash_of_a_bundle() {
    let case = Case::of(600);
    case.edit_hashes("tile/1/000.p/2", |hashes| hashes[1][0] ^= 1);
    case.finds(Some(256), Tampering::HashChanged);
}

#[test]
fn t19_removed_hash_tiles() {
    for tile in ["tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2"] {
        let case = Case::of(600);
        fs::remove_file(case.path(tile)).expect("removes");
        let first = &case.findings()[0];
        assert_eq!(
            (first.tampering, first.file.as_str()),
            (Tampering::HashChanged, tile)
        );
    }
}

#[test]
fn t20_cut_hash_tile() {
    let case = Case::of(600);
    let bytes = fs::read(case.path("tile/0/001")).expect("tile");
    fs::write(case.path("tile/0/001"), &bytes[..100]).expect("writes");
    case.finds(Some(256), Tampering::HashChanged);
}

#[test]
fn t21_entry_and_its_leaf_hash_changed_together() {
    let case = Case::of(600);
    case.edit(FULL, |entries| entries[44] = b"{\"forged\":true}".to_vec());
    let forged = bailiwick_tlog::leaf_hash(b"{\"forged\":true}").0;
    case.edit_hashes("tile/0/001", |hashes| hashes[44] = forged);
    case.finds(Some(256), Tampering::Rewritten);
}

#[test]
fn t22_entry_and_leaf_hash_of_the_last_bundle_changed_together() {
    let forge = |case: &Case| {
        case.edit(LAST, |entries| entries[10] = b"{\"forged\":true}".to_vec());
        let forged = bailiwick_tlog::leaf_hash(b"{\"forged\":true}").0;
        case.edit_hashes("tile/0/002.p/88", |hashes| hashes[10] = forged);
    };
    let case = Case::of(600);
    forge(&case);
    assert!(
        case.findings()
            .iter()
            .any(|f| f.index == Some(522) && f.tampering == Tampering::Changed)
    );
    let case = Case::of(600).without_journal();
    forge(&case);
    case.finds(None, Tampering::Rewritten);
}

#[test]
fn t23_whole_history_rewritten_with_all_its_hashes() {
    let (case, other) = (Case::of(600), Case::of(601));
    for folder in ["tile", "journal"] {
        fs::remove_dir_all(case.path(folder)).expect("removes");
        copy(&other.path(folder), &case.path(folder));
    }
    assert!(case.verify().is_err());
}

#[test]
fn t24_removed_checkpoint() {
    let case = Case::of(600);
    fs::remove_file(case.path("checkpoint")).expect("removes");
    case.finds(None, Tampering::CheckpointMissing);
}

#[test]
fn t25_every_changed_byte_of_the_checkpoint() {
    let case = Case::of(1);
    let good = fs::read(case.path("checkpoint")).expect("note");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(case.path("checkpoint"), bad).expect("writes");
        assert!(case.verify().is_err(), "byte {at}");
    }
}

#[test]
fn t26_checkpoint_signed_by_a_foreign_key() {
    let (case, other) = (Case::of(600), Case::of(600));
    fs::copy(other.path("checkpoint"), case.path("checkpoint")).expect("copies");
    case.finds(None, Tampering::ForeignKey);
}

#[test]
fn t27_whole_foreign_log_in_its_place() {
    let (case, other) = (Case::of(600), Case::of(600));
    assert_eq!(
        verify(other.dir.path(), &case.key, None)
            .expect_err("foreign")
            .findings[0]
            .tampering,
        Tampering::ForeignKey
    );
}

/// A log that grew from 300 to 340 entries, and its checkpoint and whole folder at 300.
fn grown() -> (Case, String, tempfile::TempDir) {
    let case = Case::of(300);
    let note = fs::read_to_string(case.path("checkpoint")).expect("note");
    let old = tempfile::tempdir().expect("folder");
    copy(case.dir.path(), old.path());
    let log = open(case.dir.path());
    for index in 0..40 {
        log.append(&bailiwick_audit::Subject::default(), &event(index))
            .expect("appends");
    }
    log.close().expect("closes");
    (case, note, old)
}

#[test]
fn t28_checkpoint_put_back() {
    let (case, note, _) = grown();
    fs::write(case.path("checkpoint"), &note).expect("writes");
    // The journal still has all entries, and seals over them: nothing is hidden.
    assert_eq!(case.verify().expect("holds").sealed, 340);
    fs::remove_dir_all(case.path("journal")).expect("removes");
    case.finds(Some(300), Tampering::RolledBack);
}

#[test]
fn t33_checkpoint_put_back_across_bundles_and_nobody_signs_on() {
    for (old, new, with_journal) in [
        (300, 600, false),
        (300, 600, true),
        (256, 600, false),
        (256, 600, true),
        (10, 20, false),
        (0, 5, false),
    ] {
        let case = Case::of(old);
        let note = fs::read(case.path("checkpoint")).expect("note");
        let log = open(case.dir.path());
        for index in old..new {
            log.append(&bailiwick_audit::Subject::default(), &event(index))
                .expect("appends");
        }
        drop(log);
        fs::write(case.path("checkpoint"), &note).expect("writes");
        if !with_journal {
            fs::remove_dir_all(case.path("journal")).expect("removes");
        }
        case.finds(Some(old as u64), Tampering::RolledBack);
        let error = Log::open(case.dir.path(), Options::default()).expect_err("refused");
        assert!(
            matches!(error, bailiwick_audit::AuditError::Damaged { .. }),
            "{error}"
        );
    }
}

#[test]
fn t29_whole_log_put_back_is_found_with_a_kept_checkpoint() {
    let (case, _, old) = grown();
    let note = fs::read_to_string(case.path("checkpoint")).expect("note");
    let kept = Checkpoint::open(&note, &case.key).expect("signed");
    verify(old.path(), &case.key, None).expect("nothing to see without it");
    let report = verify(old.path(), &case.key, Some(&kept)).expect_err("rolled back");
    assert_eq!(
        (report.findings[0].index, report.findings[0].tampering),
        (Some(300), Tampering::RolledBack)
    );
}

#[test]
fn t30_an_older_checkpoint_holds_and_a_forged_one_does_not() {
    let (case, note, _) = grown();
    let mut kept = Checkpoint::open(&note, &case.key).expect("signed");
    verify(case.dir.path(), &case.key, Some(&kept)).expect("a prefix");
    kept.root = bailiwick_tlog::leaf_hash(b"other");
    let report = verify(case.dir.path(), &case.key, Some(&kept)).expect_err("forked");
    let first = &report.findings[0];
    assert_eq!(
        (first.index, first.until, first.tampering),
        (Some(0), Some(299), Tampering::Forked)
    );
}

#[test]
fn t31_changed_published_entry_in_the_journal() {
    let case = Case::of(20);
    let path = case.path("journal/000000000000");
    let mut bytes = fs::read(&path).expect("journal");
    bytes[40] ^= 1;
    fs::write(&path, bytes).expect("writes");
    case.finds(Some(0), Tampering::Changed);
    assert!(
        Log::open(case.dir.path(), Options::default()).is_err(),
        "nobody signs on"
    );
}

#[test]
fn t32_cut_journal() {
    let case = Case::of(20);
    let path = case.path("journal/000000000000");
    let bytes = fs::read(&path).expect("journal");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("writes");
    let first = &case.findings()[0];
    assert!(
        matches!(first.tampering, Tampering::Changed | Tampering::Truncated)
            && first.index.is_some(),
        "{first}"
    );
    assert!(
        Log::open(case.dir.path(), Options::default()).is_err(),
        "nobody signs on"
    );
}

#[test]
fn a_tampered_log_is_not_continued() {
    for edit in [
        (|case: &Case| case.edit(LAST, |entries| entries[10][30] ^= 1)) as fn(&Case),
        |case| case.edit_hashes("tile/0/002.p/88", |hashes| hashes[1][0] ^= 1),
        |case| case.edit_hashes("tile/1/000.p/2", |hashes| hashes[1][0] ^= 1),
        |case| fs::remove_file(case.path("checkpoint")).expect("removes"),
        |case| fs::remove_dir_all(case.path("tile")).expect("removes"),
        |case| fs::write(case.path("checkpoint"), "x").expect("writes"),
    ] {
        let case = Case::of(600);
        edit(&case);
        let error = Log::open(case.dir.path(), Options::default()).expect_err("refused");
        assert!(
            matches!(error, bailiwick_audit::AuditError::Damaged { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_log_copied_without_its_journal_holds_and_goes_on() {
    let case = Case::of(600).without_journal();
    let log = open(case.dir.path());
    assert_eq!(log.size(), 600);
    log.append(&bailiwick_audit::Subject::default(), &event(0))
        .expect("appends");
    log.close().expect("closes");
    assert_eq!(case.verify().expect("holds").sealed, 601);
}

#[test]
fn a_log_verifies_at_any_time_while_it_is_written() {
    let dir = tempfile::tempdir().expect("folder");
    let quick = Options {
        publish_within: std::time::Duration::from_millis(1),
        ..Options::default()
    };
    let log = Log::open(dir.path(), quick).expect("opens");
    let key = log.verifier_key().clone();
    let writer = std::thread::spawn(move || {
        for index in 0..3000 {
            log.append(&bailiwick_audit::Subject::default(), &event(index))
                .expect("appends");
            if index % 50 == 0 {
                log.append_durable(&bailiwick_audit::Subject::default(), &event(index))
                    .expect("appends");
            }
        }
    });
    let mut last = 0;
    while !writer.is_finished() {
        let verified =
            verify(dir.path(), &key, None).unwrap_or_else(|report| stop(dir.path(), &report));
        assert!(verified.sealed >= last, "never goes back");
        last = verified.sealed;
    }
    writer.join().expect("no panic");
    assert_eq!(verify(dir.path(), &key, None).expect("holds").sealed, 3060);
}

fn stop(dir: &Path, report: &bailiwick_audit::Report) -> ! {
    unreachable!(
        "{} does not verify while it is written: {report}",
        dir.display()
    )
}

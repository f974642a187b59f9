//! Checkpoints kept elsewhere: one, many, cosigned, in files and folders; and logs of which a part is in an archive.

#![expect(clippy::expect_used, reason = "test helpers stop the test")]

mod support;

use std::fs;
use std::path::Path;

use bailiwick_audit::{
    Checkpoint, Log, Report, Subject, Tampering, Verification, Verified, VerifierKey, archive,
    prune, read_checkpoints, read_verifier_key,
};
use bailiwick_tlog::SigningKey;
use support::{bundle, event, hashes, open, write_bundle, write_hashes};

fn append(log: &Log, count: usize) {
    for index in 0..count {
        log.append(&Subject::default(), &event(index))
            .expect("appends");
    }
}

/// A log that was closed at each of these sizes, and its checkpoints.
fn grown(dir: &Path, sizes: &[usize]) -> (VerifierKey, Vec<String>) {
    let mut notes = Vec::new();
    let mut had = 0;
    for size in sizes {
        let log = open(dir);
        append(&log, size - had);
        log.close().expect("closes");
        had = *size;
        notes.push(fs::read_to_string(dir.join("checkpoint")).expect("note"));
    }
    (read_verifier_key(dir).expect("key"), notes)
}

fn against(dir: &Path, key: &VerifierKey, kept: &Path) -> Result<Verified, Report> {
    let read = read_checkpoints(kept, key).expect("reads");
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    let mut verification = Verification::new(key);
    for one in &read.kept {
        verification = verification.with_kept(one.name.clone(), one.checkpoint.clone());
    }
    verification.run(dir)
}

/// The note with another signature under it, as a witness adds one.
fn cosigned(note: &str) -> String {
    let witness = SigningKey::from_seed("witness.example", &[3; 32]).expect("a key");
    let (text, _) = note.split_once("\n\n").expect("a note");
    let signed = witness.sign(&format!("{text}\n")).expect("signs");
    let line = signed.lines().last().expect("a signature");
    format!("{note}{line}\n")
}

#[test]
fn a_log_continues_every_checkpoint_that_it_ever_had() {
    let dir = tempfile::tempdir().expect("folder");
    let log = dir.path().join("log");
    let sizes = [1, 2, 100, 255, 256, 257, 300, 512, 600];
    let (key, notes) = grown(&log, &sizes);
    let one_file = dir.path().join("all");
    fs::write(&one_file, notes.join("\n")).expect("writes");
    assert_eq!(against(&log, &key, &one_file).expect("holds").kept, 9);

    let folder = dir.path().join("folder");
    fs::create_dir(&folder).expect("folder");
    for (at, note) in notes.iter().enumerate() {
        fs::write(folder.join(at.to_string()), cosigned(note)).expect("writes");
    }
    assert_eq!(against(&log, &key, &folder).expect("holds").kept, 9);
}

#[test]
fn the_first_entry_that_is_not_what_it_was_lies_between_two_checkpoints() {
    let dir = tempfile::tempdir().expect("folder");
    let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
    let (key, notes) = grown(&ours, &[100, 300, 400, 600]);
    // The same owner tells another story from entry 350 on.
    fs::create_dir(&theirs).expect("folder");
    fs::copy(ours.join("signing.key"), theirs.join("signing.key")).expect("copies");
    support::copy(&ours, &theirs);
    let kept = dir.path().join("kept");
    fs::write(&kept, notes.concat()).expect("writes");
    against(&theirs, &key, &kept).expect("still the same");
    let read = read_checkpoints(&kept, &key).expect("reads");
    let mut verification = Verification::new(&key);
    for one in read.kept {
        let mut checkpoint = one.checkpoint;
        if checkpoint.size >= 400 {
            checkpoint.root = bailiwick_tlog::leaf_hash(b"another story");
        }
        verification = verification.with_kept(one.name, checkpoint);
    }
    let report = verification.run(&theirs).expect_err("forked");
    let first = report.first().expect("one");
    assert_eq!(
        (first.index, first.until, first.tampering),
        (Some(300), Some(399), Tampering::Forked)
    );
}

#[test]
fn checkpoints_of_other_logs_are_told_apart_from_forged_ones() {
    let dir = tempfile::tempdir().expect("folder");
    let (key, notes) = grown(&dir.path().join("ours"), &[3]);
    let (_, others) = grown(&dir.path().join("other"), &[3]);
    let forged = notes.concat().replacen("\n3\n", "\n4\n", 1);
    let file = dir.path().join("all");
    fs::write(&file, [notes.concat(), others.concat(), forged].concat()).expect("writes");
    let read = read_checkpoints(&file, &key).expect("reads");
    assert_eq!(
        (read.kept.len(), read.others, read.refused.len()),
        (1, 1, 1)
    );
    let (name, error) = read.refused.first().expect("one");
    assert!(name.ends_with("(3)"), "{name}");
    assert_eq!(
        Tampering::of_checkpoint(error),
        Tampering::CheckpointChanged
    );
    fs::write(&file, "no checkpoint at all").expect("writes");
    let read = read_checkpoints(&file, &key).expect("reads");
    assert_eq!((read.kept.len(), read.refused.len()), (0, 1));
}

#[test]
fn what_was_pruned_is_said_and_read_from_its_archive() {
    let dir = tempfile::tempdir().expect("folder");
    let (log_dir, to) = (dir.path().join("log"), dir.path().join("archive"));
    let (key, notes) = grown(&log_dir, &[100, 300, 600]);
    let log = open(&log_dir);
    archive(&log, &Subject::default(), 520, &to).expect("archives");
    prune(&log, &Subject::default(), &to).expect("prunes");
    log.close().expect("closes");
    drop(log);
    assert!(!log_dir.join("tile/entries/001").exists());

    let alone = Verification::new(&key).run(&log_dir).expect("holds");
    assert_eq!((alone.pruned, alone.size), (512, 602));
    let with = Verification::new(&key).with_archive(&to);
    let with = with.run(&log_dir).expect("holds");
    assert_eq!((with.pruned, with.size), (0, 602));
    assert!(with.bytes > alone.bytes, "the archive's entries were read");
    // Of a pruned log an old checkpoint can still be checked.
    let kept = dir.path().join("kept");
    fs::write(&kept, notes.concat()).expect("writes");
    assert_eq!(against(&log_dir, &key, &kept).expect("holds").kept, 3);
    // The archive is a log of its own.
    Verification::new(&key).run(&to).expect("holds");
}

#[test]
fn progress_ends_where_the_log_ends() {
    let dir = tempfile::tempdir().expect("folder");
    let (key, _) = grown(dir.path(), &[600]);
    let mut told = Vec::new();
    Verification::new(&key)
        .with_progress(|progress| told.push((progress.entries, progress.of)))
        .run(dir.path())
        .expect("holds");
    assert_eq!(told, [(256, 600), (512, 600)]);
}

#[test]
fn a_log_damaged_everywhere_is_told_in_few_words() {
    let dir = tempfile::tempdir().expect("folder");
    let (key, _) = grown(dir.path(), &[1500]);
    // One entry removed from the middle of the first bundle, all later ones moved up.
    let names: Vec<_> = (0..5)
        .map(|index| format!("tile/entries/{index:03}"))
        .collect();
    let mut all: Vec<_> = names
        .iter()
        .flat_map(|name| bundle(&dir.path().join(name)))
        .collect();
    all.remove(100);
    all.push(b"{}".to_vec());
    for (name, part) in names.iter().zip(all.chunks(256)) {
        write_bundle(&dir.path().join(name), part);
    }
    let report = Verification::new(&key).run(dir.path()).expect_err("found");
    let said: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "entry 100 was removed (tile/entries/000): entry 101 stands in its place",
            "entries 101 to 1279 were moved, to index 100 and after it (tile/entries/000)",
        ]
    );
    // And its hashes, too: then nothing says what was signed, but that it is not this.
    for index in 0..5 {
        let name = dir.path().join(format!("tile/0/{index:03}"));
        let mut tile = hashes(&name);
        tile.reverse();
        write_hashes(&name, &tile);
    }
    let report = Verification::new(&key).run(dir.path()).expect_err("found");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.index == Some(0)),
        "{report}"
    );
    assert!(report.findings.len() < 20, "{report}");
}

#[test]
fn a_kept_checkpoint_is_compared_with_what_only_a_seal_covers() {
    let dir = tempfile::tempdir().expect("folder");
    let options = bailiwick_audit::Options {
        publish_within: std::time::Duration::from_secs(3600),
        ..bailiwick_audit::Options::default()
    };
    let log = Log::open(&dir.path().join("log"), options).expect("opens");
    append(&log, 30);
    log.flush().expect("flushes");
    let copy = dir.path().join("copy");
    support::copy(log.dir(), &copy);
    let key = log.verifier_key().clone();
    let verified = Verification::new(&key).run(&copy).expect("holds");
    assert_eq!((verified.published, verified.sealed), (0, 30));
    let at = |size, root| Checkpoint {
        origin: key.name().to_owned(),
        size,
        root,
    };
    let good = Verification::new(&key).with_kept("kept", at(30, verified.root));
    good.run(&copy).expect("the same");
    let other = bailiwick_tlog::leaf_hash(b"another story");
    let bad = Verification::new(&key).with_kept("kept", at(30, other));
    let report = bad.run(&copy).expect_err("forked");
    assert_eq!(report.findings.len(), 1);
    assert_eq!(
        report.first().map(|first| first.tampering),
        Some(Tampering::Forked)
    );
}

//! What is left after a crash, a full disk, or someone at the journal.

#![expect(clippy::expect_used, reason = "test helpers stop the test")]

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bailiwick_audit::{
    AuditError, Event, Filter, Log, Options, Subject, Tampering, query, read_verifier_key, tail,
    verify,
};
use bailiwick_tlog::leaf_hash;

const CHILD_DIR: &str = "BAILIWICK_TEST_LOG";
const CHILD_ROLE: &str = "BAILIWICK_TEST_ROLE";

fn event(text: &str) -> Event {
    Event::GateStop {
        reason: text.to_owned(),
    }
}

/// A log that publishes only when it is closed: all rests on the journal.
fn unpublished(dir: &Path) -> Log {
    Log::open(
        dir,
        Options {
            publish_within: Duration::from_secs(3600),
            ..Options::default()
        },
    )
    .expect("opens")
}

/// The folder as a crash at this moment would leave it.
fn crashed(log: &Log) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("folder");
    let status = Command::new("cp")
        .arg("-rp")
        .arg(log.dir().join("."))
        .arg(copy.path())
        .status();
    assert!(status.expect("cp").success());
    copy
}

/// A journal's records, without the room that is written ahead of them.
fn records(dir: &Path) -> Vec<u8> {
    let mut bytes = fs::read(dir.join(SEGMENT)).expect("journal");
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

const SEGMENT: &str = "journal/000000000000";

/// Starts this test binary again as a writer on `dir`, below `wrapper`.
fn child(wrapper: &[&str], role: &str, dir: &Path) -> Command {
    let itself = std::env::current_exe().expect("own path");
    let mut command = match wrapper.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(itself);
            command
        }
        None => Command::new(itself),
    };
    command.args([
        "--exact",
        "child_process",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
        .env(CHILD_DIR, dir)
        .env(CHILD_ROLE, role)
        .stdout(Stdio::piped());
    command
}

/// Not a test by itself: what the other tests start as a process of its own.
#[test]
fn child_process() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    match std::env::var(CHILD_ROLE).as_deref() {
        Ok("write") => write_for_ever(Path::new(&dir)),
        Ok("fill") => write_until_full(Path::new(&dir)),
        role => unreachable!("{role:?}"),
    }
}

/// Appends from several threads and says on stdout what was acknowledged, each line in one write.
fn write_for_ever(dir: &Path) {
    let log = Log::open(
        dir,
        Options {
            publish_within: Duration::from_millis(5),
            ..Options::default()
        },
    )
    .expect("opens");
    let threads: Vec<_> = (0..3_usize)
        .map(|thread| {
            let log = log.clone();
            std::thread::spawn(move || {
                for round in 0_usize.. {
                    let durable = (round + thread).is_multiple_of(7);
                    let append = if durable {
                        Log::append_durable
                    } else {
                        Log::append
                    };
                    let text = "x".repeat(round % 300);
                    let leaf = append(&log, &Subject::default(), &event(&text)).expect("appends");
                    let line = format!("ack {durable} {} {}\n", leaf.index, leaf.hash);
                    std::io::stdout()
                        .lock()
                        .write_all(line.as_bytes())
                        .expect("parent listens");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("never ends");
    }
}

/// How often a process is killed here; the thousands of rounds are on the simulated disk (`tests/model`).
const ROUNDS: usize = 30;

#[test]
fn l31_no_acknowledged_entry_is_lost_when_the_writer_is_killed() {
    let dir = tempfile::tempdir().expect("folder");
    let mut recovered = 0;
    let mut before = 0;
    for _ in 0..ROUNDS {
        let mut writer = child(&[], "write", dir.path()).spawn().expect("starts");
        let mut stdout = writer.stdout.take().expect("piped");
        let reader = std::thread::spawn(move || {
            let mut said = String::new();
            stdout.read_to_string(&mut said).map(|_| said)
        });
        // Not before it has written something of its own; then at a moment of chance.
        while tail(dir.path(), 1)
            .expect("reads")
            .first()
            .is_none_or(|last| last.index < before + 40)
        {
            assert!(
                writer.try_wait().expect("asks").is_none(),
                "the writer writes until it is killed"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(
            RandomState::new().build_hasher().finish() % 40_000,
        ));
        writer.kill().expect("kill -9");
        writer.wait().expect("ends");
        let said = reader.join().expect("no panic").expect("text");

        let key = read_verifier_key(dir.path()).expect("key");
        let verified = verify(dir.path(), &key, None).expect("holds before any recovery");
        assert!(verified.size >= before);
        before = verified.size;
        let leaves: Vec<_> = query(dir.path(), Filter::default())
            .map(|stored| leaf_hash(&stored.expect("an entry").json).to_string())
            .collect();
        assert_eq!(leaves.len() as u64, verified.size);
        for line in said
            .lines()
            .filter(|line| line.starts_with("ack ") && said.ends_with('\n'))
        {
            let parts: Vec<_> = line.split(' ').collect();
            let index: u64 = parts[2].parse().expect("index");
            assert_eq!(
                leaves[usize::try_from(index).expect("small")],
                parts[3],
                "entry {index} is another"
            );
            assert!(
                parts[1] == "false" || index < verified.sealed,
                "durable entry {index} is not sealed"
            );
        }
        let filter = Filter {
            kind: Some("recovery".into()),
            ..Filter::default()
        };
        recovered = query(dir.path(), filter).count();
    }
    assert!(
        recovered > 0,
        "a killed writer leaves something to recover at some time"
    );
    Log::open(dir.path(), Options::default())
        .expect("opens")
        .close()
        .expect("closes");
    let key = read_verifier_key(dir.path()).expect("key");
    assert_eq!(verify(dir.path(), &key, None).expect("holds").unsealed(), 0);
}

#[test]
fn an_unfinished_entry_is_cut_and_the_cut_is_recorded() {
    let dir = tempfile::tempdir().expect("folder");
    let log = unpublished(dir.path());
    for text in ["one", "two", "three"] {
        log.append(&Subject::default(), &event(text))
            .expect("appends");
    }
    let copy = crashed(&log);
    let path = copy.path().join(SEGMENT);
    let whole = records(copy.path());
    fs::write(&path, &whole[..whole.len() - 5]).expect("writes");
    let key = log.verifier_key().clone();
    let verified = verify(copy.path(), &key, None).expect("a crash is no tampering");
    assert_eq!((verified.size, verified.sealed), (2, 0));
    assert!(verified.unfinished_bytes > 0);

    let again = Log::open(copy.path(), Options::default()).expect("opens");
    assert_eq!(again.size(), 3, "two entries and the note of the cut");
    again.close().expect("closes");
    let last = tail(copy.path(), 1)
        .expect("reads")
        .remove(0)
        .entry()
        .expect("an entry");
    let Event::Recovery {
        kept: 2,
        unsealed: 2,
        cut_bytes,
        cut_sha256: Some(digest),
    } = last.event
    else {
        unreachable!("{last:?}")
    };
    assert_eq!(cut_bytes, verified.unfinished_bytes);
    let cut = &whole[whole.len() - 5 - usize::try_from(cut_bytes).expect("small")..whole.len() - 5];
    assert_eq!(digest, bailiwick_audit::sha256_hex(cut));
    assert_eq!(verify(copy.path(), &key, None).expect("holds").sealed, 3);
}

#[test]
fn a_cut_anywhere_in_the_journal_is_recovered() {
    let dir = tempfile::tempdir().expect("folder");
    let log = unpublished(dir.path());
    for text in ["one", "two"] {
        log.append(&Subject::default(), &event(text))
            .expect("appends");
    }
    let copy = crashed(&log);
    let whole = records(copy.path());
    for length in (0..whole.len()).step_by(9).chain([whole.len() - 1]) {
        let copy = crashed(&log);
        fs::write(copy.path().join(SEGMENT), &whole[..length]).expect("writes");
        let again = Log::open(copy.path(), Options::default()).expect("opens");
        again.close().expect("closes");
        verify(copy.path(), log.verifier_key(), None).expect("holds");
    }
}

/// A journal record around a payload, as an attacker who knows the format writes it.
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(u16::try_from(payload.len()).expect("short").to_be_bytes());
    out.extend(&leaf_hash(payload).0[..8]);
    out.extend(payload);
    out
}

#[test]
fn l31_a_sealed_entry_changed_in_the_journal_is_found_before_it_is_published() {
    let dir = tempfile::tempdir().expect("folder");
    let log = unpublished(dir.path());
    for text in ["one", "two", "three"] {
        log.append_durable(&Subject::default(), &event(text))
            .expect("appends");
    }
    let refused = |copy: &tempfile::TempDir, index, tampering| {
        let report = verify(copy.path(), log.verifier_key(), None).expect_err("found");
        assert_eq!(
            (report.findings[0].index, report.findings[0].tampering),
            (Some(index), tampering),
            "{report}"
        );
        assert!(matches!(
            Log::open(copy.path(), Options::default()),
            Err(AuditError::Damaged { .. })
        ));
    };
    let whole = records(log.dir());
    let at = whole
        .windows(3)
        .position(|bytes| bytes == b"two")
        .expect("there");

    let copy = crashed(&log);
    let mut changed = whole.clone();
    changed[at] = b'T';
    fs::write(copy.path().join(SEGMENT), changed).expect("writes");
    refused(&copy, 1, Tampering::Changed);

    // The same with the record's check made right.
    let entries: Vec<_> = query(log.dir(), Filter::default())
        .map(|stored| stored.expect("entry").json)
        .collect();
    let old = record(b'E', &entries[1]);
    let start = whole
        .windows(old.len())
        .position(|bytes| bytes == old)
        .expect("there");
    let forged = record(
        b'E',
        &String::from_utf8_lossy(&entries[1])
            .replace("two", "2")
            .into_bytes(),
    );
    let copy = crashed(&log);
    fs::write(
        copy.path().join(SEGMENT),
        [&whole[..start], &forged, &whole[start + old.len()..]].concat(),
    )
    .expect("writes");
    refused(&copy, 1, Tampering::Changed);

    // The whole record taken out.
    let copy = crashed(&log);
    fs::write(
        copy.path().join(SEGMENT),
        [&whole[..start], &whole[start + old.len()..]].concat(),
    )
    .expect("writes");
    refused(&copy, 1, Tampering::Removed);

    // A seal of another key.
    let copy = crashed(&log);
    let forged = record(
        b'S',
        b"log\n3\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\xe2\x80\x94 log AAAAAAAA\n",
    );
    fs::write(copy.path().join(SEGMENT), [&whole, &forged[..]].concat()).expect("writes");
    refused(&copy, 3, Tampering::ForeignKey);
}

/// Writes until the disk is full, and sees that nothing is written any more after that.
fn write_until_full(dir: &Path) {
    let log = Log::open(dir, Options::default()).expect("opens");
    let mut acknowledged = 0_u64;
    let error = loop {
        match log.append_durable(&Subject::default(), &event(&"x".repeat(2000))) {
            Ok(leaf) => acknowledged = leaf.index + 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, AuditError::Io { .. } | AuditError::Poisoned { .. }),
        "{error}"
    );
    for _ in 0..3 {
        assert!(matches!(
            log.append(&Subject::default(), &event("x")),
            Err(AuditError::Poisoned { .. })
        ));
        assert!(matches!(
            log.append_durable(&Subject::default(), &event("x")),
            Err(AuditError::Poisoned { .. })
        ));
    }
    assert!(log.close().is_err(), "closing says so");
    let verified = verify(dir, log.verifier_key(), None).expect("what is there holds");
    assert!(
        acknowledged > 0 && verified.sealed >= acknowledged,
        "{acknowledged} {verified:?}"
    );
    let said = format!("full after {acknowledged}: {error}\n");
    std::io::stdout()
        .lock()
        .write_all(said.as_bytes())
        .expect("parent listens");
}

#[track_caller]
fn fills_up(wrapper: &[&str], dir: &Path) {
    let output = child(wrapper, "fill", dir).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("full after "),
        "{said}"
    );
}

#[test]
fn a_file_that_cannot_grow_stops_the_log() {
    let dir = tempfile::tempdir().expect("folder");
    fills_up(
        &["sh", "-c", "ulimit -f 128; trap '' XFSZ; exec \"$@\"", "sh"],
        dir.path(),
    );
    // With room again, the log goes on, and nothing acknowledged is lost.
    let log = Log::open(dir.path(), Options::default()).expect("opens");
    log.append_durable(&Subject::default(), &event("again"))
        .expect("appends");
    log.close().expect("closes");
    verify(
        dir.path(),
        &read_verifier_key(dir.path()).expect("key"),
        None,
    )
    .expect("holds");
}

#[test]
fn a_full_disk_stops_the_log() {
    let dir = tempfile::tempdir().expect("folder");
    let mount = format!(
        "mount -t tmpfs -o size=300k none '{}' && exec \"$@\"",
        dir.path().display()
    );
    fills_up(&["unshare", "-rm", "sh", "-c", &mount, "sh"], dir.path());
}

#[test]
fn files_that_a_crash_left_half_written_are_removed() {
    let dir = tempfile::tempdir().expect("folder");
    let log = Log::open(dir.path(), Options::default()).expect("opens");
    log.append(&Subject::default(), &event("x"))
        .expect("appends");
    log.close().expect("closes");
    drop(log);
    let left = dir.path().join("tile/entries/000.p/2.tmp");
    fs::write(&left, b"half").expect("writes");
    let key = read_verifier_key(dir.path()).expect("key");
    verify(dir.path(), &key, None).expect("they are not the log");
    Log::open(dir.path(), Options::default()).expect("opens");
    assert!(!left.exists());
    verify(dir.path(), &key, None).expect("holds");
}

//! What a witness decides: every answer of the specification, and that it never cosigns two histories.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bailiwick_tlog::{SignedNote, Submission, VerifierKey, verify_consistency};
use bailiwick_witness::{Answer, RealDisk, Store, StoreError, keygen, read_key};
use proptest::prelude::*;

use crate::support::{House, Log, NOW, files};

fn log() -> Log {
    Log::new("log.example/a", 300, 1)
}

fn status(house: &House, log: &Log, body: &str) -> u16 {
    let witness = house.witness(log);
    witness.add_checkpoint(body.as_bytes()).status()
}

#[test]
fn a_growing_log_is_cosigned_step_by_step() {
    let (house, log) = (House::new(), log());
    let witness = house.witness(&log);
    for (old, new) in [
        (0, 0),
        (0, 1),
        (1, 1),
        (1, 2),
        (2, 64),
        (64, 65),
        (65, 300),
        (300, 300),
    ] {
        let answer = witness.add_checkpoint(log.submission(old, new).as_bytes());
        let Answer::Cosigned(line) = answer else {
            panic!("{old} to {new}: {answer:?}");
        };
        assert!(house.holds(&log.note(new), &line), "{old} to {new}");
    }
}

#[test]
fn a_rolled_back_log_is_told_the_size_that_was_cosigned() {
    let (house, log) = (House::new(), log());
    let witness = house.witness(&log);
    assert_eq!(
        witness
            .add_checkpoint(log.submission(0, 200).as_bytes())
            .status(),
        200
    );
    for (old, new) in [(0, 100), (0, 200), (100, 150), (150, 300), (199, 200)] {
        let answer = witness.add_checkpoint(log.submission(old, new).as_bytes());
        assert_eq!(answer, Answer::Conflict(200), "{old} to {new}");
    }
    // Not even with the right old size: a tree cannot shrink.
    let smaller = log.submission(100, 100).replace("old 100", "old 200");
    assert_eq!(witness.add_checkpoint(smaller.as_bytes()).status(), 400);
}

#[test]
fn a_forked_log_is_refused_and_its_request_kept_as_evidence() {
    let (house, log) = (House::new(), log());
    let fork = log.forked(150);
    assert_eq!(status(&house, &log, &log.submission(0, 200)), 200);
    let evidence = house.state().join("evidence");
    assert_eq!(files(&evidence), 0);
    // From a size that both have in common to one where they differ: the proof is the fork's own.
    for (old, new) in [(200, 200), (200, 201), (200, 300)] {
        assert_eq!(
            status(&house, &log, &fork.submission(old, new)),
            422,
            "{old} to {new}"
        );
    }
    assert_eq!(files(&evidence), 3);
    // Two roots of one size contradict each other, whatever the old size is.
    assert_eq!(status(&house, &log, &fork.submission(100, 200)), 409);
    assert_eq!(files(&evidence), 4);
    assert_eq!(
        status(&house, &log, &log.submission(200, 300)),
        200,
        "the honest one goes on"
    );
}

#[test]
fn each_wrong_request_has_the_status_that_the_specification_names() {
    let (house, log) = (House::new(), log());
    let other = Log::new("log.example/b", 300, 1);
    let good = log.submission(0, 200);
    assert_eq!(status(&house, &log, &other.submission(0, 200)), 404);
    let mut unsigned = log.note(200).with_only(&[]).to_string();
    unsigned.push_str("— log.example/a AAAAAAAA\n");
    assert_eq!(status(&house, &log, &format!("old 0\n\n{unsigned}")), 403);
    let forged = good.replace("\n200\n", "\n201\n");
    assert_eq!(status(&house, &log, &forged), 403);
    let above = log.submission(0, 200).replace("old 0", "old 201");
    assert_eq!(status(&house, &log, &above), 400);
    assert_eq!(status(&house, &log, &log.submission(5, 200)), 409);
    let proof = log.proof(5, 200)[0];
    let with_proof = good.replace("old 0\n", &format!("old 0\n{proof}\n"));
    assert_eq!(status(&house, &log, &with_proof), 422);
    let mut empty = log.checkpoint(0);
    empty.root = log.leaves[0];
    let empty = empty.sign(&log.key).unwrap();
    assert_eq!(status(&house, &log, &format!("old 0\n\n{empty}")), 422);
    assert_eq!(status(&house, &log, &good), 200);
    let wrong = log.submission(200, 300).replacen(
        &log.proof(200, 300)[0].to_string(),
        &proof.to_string(),
        1,
    );
    assert_eq!(status(&house, &log, &wrong), 422);
    for malformed in [
        "",
        "old 0\n",
        "old 0\n\n",
        "\n\n\n",
        &good.replace("old 0", "old 00"),
        &good[1..],
    ] {
        assert_eq!(status(&house, &log, malformed), 400, "{malformed:.40}");
    }
    assert_eq!(
        house
            .witness(&log)
            .add_checkpoint(b"old 0\n\n\xff")
            .status(),
        400
    );
}

#[test]
fn extension_lines_and_foreign_signatures_do_not_disturb() {
    let (house, log) = (House::new(), log());
    let text = format!("{}an extension\n", log.checkpoint(200).text());
    let mut note: SignedNote = log.key.sign(&text).unwrap().parse().unwrap();
    note.add_lines("— somebody.example AAAAAAAA\n").unwrap();
    let body = Submission {
        old: 0,
        proof: vec![],
        checkpoint: note.clone(),
    };
    let witness = house.witness(&log);
    let Answer::Cosigned(line) = witness.add_checkpoint(body.to_string().as_bytes()) else {
        panic!("an extension line is no reason to refuse");
    };
    assert!(house.holds(&note, &line));
}

#[test]
fn the_clock_never_goes_back_between_two_cosignatures() {
    let (house, log) = (House::new(), log());
    let witness = house.witness(&log);
    assert_eq!(
        witness
            .add_checkpoint(log.submission(0, 10).as_bytes())
            .status(),
        200
    );
    house.clock.store(NOW - 1, Ordering::Relaxed);
    assert_eq!(
        witness
            .add_checkpoint(log.submission(10, 20).as_bytes())
            .status(),
        503
    );
    house.clock.store(NOW, Ordering::Relaxed);
    assert_eq!(
        witness
            .add_checkpoint(log.submission(10, 20).as_bytes())
            .status(),
        200
    );
}

#[test]
fn a_memory_that_is_lost_damaged_foreign_or_in_use_cosigns_nothing() {
    let (house, log) = (House::new(), log());
    assert_eq!(status(&house, &log, &log.submission(0, 200)), 200);
    let open = || Store::open(&house.state(), &house.key, Arc::new(RealDisk));
    let held = open().unwrap();
    assert!(matches!(open(), Err(StoreError::Locked(_))));
    drop(held);
    let another = keygen(&house.dir.path().join("x.key"), "witness.example/x").unwrap();
    assert!(matches!(
        Store::open(&house.state(), &another, Arc::new(RealDisk)),
        Err(StoreError::Foreign { .. })
    ));
    assert!(matches!(
        Store::open(house.dir.path(), &house.key, Arc::new(RealDisk)),
        Err(StoreError::Missing(_))
    ));
    let state = std::fs::read_dir(house.state())
        .unwrap()
        .map(|file| file.unwrap().path());
    let state: Vec<_> = state
        .filter(|path| path.file_name().unwrap().len() == 64)
        .collect();
    let [state] = state.as_slice() else {
        panic!("{state:?}")
    };
    let good = std::fs::read_to_string(state).unwrap();
    // What only the log signed could be an older one that somebody put there.
    let older = log.note(100).to_string();
    for damaged in [
        older.as_str(),
        "",
        &good.replace("\n200\n", "\n100\n"),
        &good[..40],
    ] {
        std::fs::write(state, damaged).unwrap();
        assert_eq!(
            status(&house, &log, &log.submission(200, 300)),
            503,
            "{damaged:.30}"
        );
        assert_eq!(
            status(&house, &log, &log.submission(0, 300)),
            503,
            "{damaged:.30}"
        );
    }
    std::fs::write(state, good).unwrap();
    assert_eq!(status(&house, &log, &log.submission(200, 300)), 200);
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_or_that_is_a_link_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::new();
    let link = house.dir.path().join("link.key");
    std::os::unix::fs::symlink(house.file(), &link).unwrap();
    assert!(matches!(read_key(&link), Err(StoreError::Key { .. })));
    std::fs::set_permissions(house.file(), PermissionsExt::from_mode(0o640)).unwrap();
    let error = read_key(&house.file()).err().unwrap().to_string();
    assert!(
        error.contains("chmod 600") && !error.contains("PRIVATE"),
        "{error}"
    );
    assert!(
        keygen(&house.file(), "witness.example/w").is_err(),
        "never over a key"
    );
}

#[test]
fn a_key_has_to_be_known_for_the_log_that_it_signs_for() {
    let (house, log) = (House::new(), log());
    let stranger = Log {
        key: Arc::new(bailiwick_tlog::SigningKey::from_seed("log.example/a", &[8; 32]).unwrap()),
        ..log.clone()
    };
    let key: &VerifierKey = stranger.verifier();
    assert_eq!(key.name(), log.verifier().name());
    assert_eq!(status(&house, &log, &stranger.submission(0, 200)), 403);
}

#[test]
fn histories_that_race_are_never_both_cosigned() {
    let (house, log) = (House::new(), log());
    let forks = [log.clone(), log.forked(20), log.forked(60), log.forked(0)];
    let witness = house.witness(&log);
    let cosigned = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (number, fork) in forks.iter().enumerate() {
            for step in 1..3_u64 {
                let (witness, cosigned) = (&witness, &cosigned);
                scope.spawn(move || {
                    let mut size = 0;
                    while size + step <= 90 {
                        let next = size + step;
                        match witness.add_checkpoint(fork.submission(size, next).as_bytes()) {
                            Answer::Cosigned(_) => {
                                cosigned.lock().unwrap().push((number, next));
                                size = next;
                            }
                            Answer::Conflict(seen) if seen > size && seen <= 90 => size = seen,
                            _ => return,
                        }
                    }
                });
            }
        }
    });
    let mut cosigned = cosigned.into_inner().unwrap();
    cosigned.sort_by_key(|(_, size)| *size);
    assert!(cosigned.len() >= 45, "{}", cosigned.len());
    for pair in cosigned.windows(2) {
        let [(a, old), (b, new)] = pair else { continue };
        let (old_root, new_root) = (
            forks[*a].checkpoint(*old).root,
            forks[*b].checkpoint(*new).root,
        );
        let proof = forks[*b].proof(*old, *new);
        let consistent = verify_consistency(*old, *new, &old_root, &new_root, &proof);
        assert_eq!(consistent, Ok(()), "{a} at {old}, then {b} at {new}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_request_makes_it_panic_or_cosign_unsigned(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let (house, log) = (House::new(), Log::new("log.example/a", 30, 1));
        let witness = house.witness(&log);
        let good = log.submission(0, 20).into_bytes();
        let mut changed = good.clone();
        changed[at.index(good.len())] = with;
        // The old size and proof lines are not signed; all else is.
        let answer = witness.add_checkpoint(&changed);
        prop_assert!(changed == good || answer.status() != 200 , "{answer:?}");
        let cut = cut.index(good.len());
        prop_assert!(witness.add_checkpoint(&good[..cut]).status() != 200);
    }
}

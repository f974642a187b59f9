//! Cosignatures, self-contained proofs and what witnesses are sent: round trips, and that every change is noticed.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test helpers stop the test"
)]

use bailiwick_tlog::{
    Checkpoint, CheckpointError, Hash, KeyError, NoteError, SignedNote, SigningKey, Submission,
    TlogProof, TlogProofError, VerifierKey, WitnessKey, WitnessSigningKey, consistency_proof,
    inclusion_proof, leaf_hash, tree_root,
};
use proptest::prelude::*;

/// A time in 2026.
const NOW: u64 = 1_795_000_000;

fn log_key() -> SigningKey {
    SigningKey::from_seed("log.example/a", &[1; 32]).expect("valid name")
}

fn witness(seed: u8) -> WitnessSigningKey {
    WitnessSigningKey::from_seed("witness.example/w", &[seed; 32]).expect("valid name")
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

fn nodes(leaves: &[Hash]) -> impl FnMut(u32, u64) -> Result<Hash, TlogProofError> + '_ {
    |height, index| {
        let start = usize::try_from(index << height).expect("small");
        Ok(tree_root(&leaves[start..start + (1 << height)]))
    }
}

fn signed(size: u64) -> SignedNote {
    let checkpoint = Checkpoint {
        origin: "log.example/a".into(),
        size,
        root: tree_root(&leaves(size)),
    };
    let note = checkpoint.sign(&log_key()).expect("signs");
    note.parse().expect("a note")
}

fn cosigned(size: u64, by: &WitnessSigningKey, time: u64) -> SignedNote {
    let mut note = signed(size);
    let line = by.cosign(note.unverified_text(), time).expect("cosigns");
    note.add_lines(&line).expect("a signature line");
    note
}

fn proof(index: u64, size: u64) -> TlogProof {
    let leaves = leaves(size);
    TlogProof {
        extra: Some(b"anything".to_vec()),
        index,
        hashes: inclusion_proof(index, size, &mut nodes(&leaves)).expect("in the tree"),
        checkpoint: cosigned(size, &witness(7), NOW),
    }
}

#[test]
fn a_cosignature_holds_with_its_time_and_beside_the_logs_signature() {
    let note = cosigned(5, &witness(7), NOW);
    let key: WitnessKey = witness(7).verifier().to_string().parse().expect("a key");
    assert_eq!(note.verify_cosignature(&key), Ok(NOW));
    assert!(Checkpoint::open(&note.to_string(), log_key().verifier()).is_ok());
    assert_eq!(note.to_string().parse(), Ok(note.clone()));
    let newer = witness(7).cosign(note.unverified_text(), NOW + 9);
    let mut both = note;
    both.add_lines(&newer.expect("cosigns")).expect("a line");
    assert_eq!(both.verify_cosignature(&key), Ok(NOW + 9));
    assert_eq!(
        both.to_string().lines().count(),
        6,
        "one line for one witness"
    );
}

#[test]
fn a_cosignature_of_another_witness_time_or_checkpoint_is_refused() {
    let note = cosigned(5, &witness(7), NOW);
    assert!(matches!(
        note.verify_cosignature(witness(8).verifier()),
        Err(NoteError::NotSigned { .. })
    ));
    let text = note.to_string();
    let line = text.lines().last().expect("the cosignature");
    let other = format!("{}{line}\n", signed(6));
    let moved: SignedNote = other.parse().expect("a note");
    assert!(matches!(
        moved.verify_cosignature(witness(7).verifier()),
        Err(NoteError::BadSignature { .. })
    ));
    // Base64 of the eight bytes of time stands after that of the key's id: one later character is one later second.
    let (head, encoded) = line.rsplit_once(' ').expect("a signature line");
    let mut characters: Vec<char> = encoded.chars().collect();
    characters[14] = if characters[14] == 'A' { 'B' } else { 'A' };
    let later = format!(
        "{}{head} {}\n",
        signed(5),
        characters.iter().collect::<String>()
    );
    let later: SignedNote = later.parse().expect("a note");
    assert!(matches!(
        later.verify_cosignature(witness(7).verifier()),
        Err(NoteError::BadSignature { .. })
    ));
}

#[test]
fn a_logs_signature_is_no_cosignature_and_keys_keep_their_types() {
    let same_seed = SigningKey::from_seed("witness.example/w", &[7; 32]).expect("valid");
    assert_ne!(same_seed.verifier().id(), witness(7).verifier().id());
    let text = witness(7).verifier().to_string();
    assert_eq!(
        text.parse::<VerifierKey>(),
        Err(KeyError::Algorithm {
            expected: 1,
            found: 4
        })
    );
    assert_eq!(
        same_seed.verifier().to_string().parse::<WitnessKey>(),
        Err(KeyError::Algorithm {
            expected: 4,
            found: 1
        })
    );
    let secret = witness(7).to_secret_text();
    assert!(WitnessSigningKey::from_secret_text(&secret).is_ok());
    assert!(SigningKey::from_secret_text(&secret).is_err());
    // A plain signature over a cosignature's message, put under the witness's id: no time, so no cosignature.
    let body = signed(5).unverified_text().to_owned();
    let forged = same_seed.sign(&body).expect("signs");
    let forged: SignedNote = forged.parse().expect("a note");
    assert!(forged.verify_cosignature(witness(7).verifier()).is_err());
}

#[test]
fn what_is_no_checkpoint_or_no_time_is_not_cosigned() {
    let text = signed(5).unverified_text().to_owned();
    for time in [0, u64::MAX, 1 << 63] {
        assert!(witness(7).cosign(&text, time).is_err(), "{time}");
    }
    for bad in ["", "x\n", "a\n1\n", "a\n1\nAAAA\n", "a\r\n", &text[..9]] {
        assert!(witness(7).cosign(bad, NOW).is_err(), "{bad:?}");
    }
}

#[test]
fn extension_lines_are_read_of_others_cosigned_whole_and_refused_of_ours() {
    let body = format!("{}extension one\nand two\n", signed(5).unverified_text());
    let (checkpoint, extensions) = Checkpoint::parse(&body).expect("a checkpoint");
    assert_eq!(
        (checkpoint.size, extensions),
        (5, vec!["extension one", "and two"])
    );
    let note = log_key().sign(&body).expect("signs");
    assert!(matches!(
        Checkpoint::open(&note, log_key().verifier()),
        Err(CheckpointError::Form(_))
    ));
    let mut note: SignedNote = note.parse().expect("a note");
    let line = witness(7).cosign(&body, NOW).expect("cosigns");
    note.add_lines(&line).expect("a line");
    assert_eq!(note.verify_cosignature(witness(7).verifier()), Ok(NOW));
    let shorter = note.to_string().replace("and two\n", "");
    let shorter: SignedNote = shorter.parse().expect("a note");
    assert!(shorter.verify_cosignature(witness(7).verifier()).is_err());
    assert!(
        Checkpoint::parse(&format!("{body}\n")).is_err(),
        "an empty line"
    );
}

#[test]
fn lines_of_unknown_keys_and_types_are_ignored_as_the_specification_says() {
    let note = signed(5).to_string();
    let long = "A".repeat(4 * 1200);
    // A post-quantum signature, an id without a meaning, a name that no configuration of ours would take.
    let foreign =
        format!("— other.example AAAA{long}\n— log.example/a AAAAAAAA\n— odd\u{9b}name AAAAAAAA\n");
    let with = format!("{note}{foreign}");
    assert!(Checkpoint::open(&with, log_key().verifier()).is_ok());
    let only = with.parse::<SignedNote>().expect("a note");
    let key = log_key();
    let known = [(key.verifier().name(), key.verifier().id())];
    assert_eq!(only.with_only(&known).to_string(), note);
}

#[test]
fn a_proof_round_trips_and_holds_for_its_leaf_alone() {
    for (index, size) in [(0, 1), (0, 2), (6, 7), (255, 256), (256, 257), (300, 1000)] {
        let proof = proof(index, size);
        let parsed: TlogProof = proof.to_string().parse().expect("a proof");
        assert_eq!(parsed, proof);
        let leaf = leaf_hash(&index.to_be_bytes());
        let found = parsed.verify(&leaf, log_key().verifier());
        assert_eq!(found.expect("holds").size, size);
        assert!(
            parsed
                .verify(&leaf_hash(b"other"), log_key().verifier())
                .is_err()
        );
        let moved = TlogProof {
            index: index + 1,
            ..parsed
        };
        assert!(moved.verify(&leaf, log_key().verifier()).is_err());
    }
}

#[test]
fn malformed_proofs_are_refused() {
    let good = proof(6, 7).to_string();
    let hash = tree_root(&[]).to_string();
    for bad in [
        String::new(),
        good.replace("@v1", "@v2"),
        good.replace("index 6", "index 06"),
        good.replace("index 6", "index +6"),
        good.replace("index 6\n", ""),
        good.replace("extra ", "extra"),
        good.replace("extra ", "extra !"),
        good.replacen("\n\n", "\n", 1),
        good.replacen(
            "\n\n",
            &format!("\n{}\n", format!("{hash}\n").repeat(70)),
            1,
        ),
        good.replacen("\n\n", "\nAAAA\n\n", 1),
        good.trim_end().to_owned(),
        format!(" {good}"),
        good.replace('\n', "\r\n"),
        "x".repeat(1 << 22),
    ] {
        assert!(bad.parse::<TlogProof>().is_err(), "{bad:.200}");
    }
}

#[test]
fn a_submission_round_trips_and_malformed_ones_are_refused() {
    let all = leaves(1000);
    let proof = consistency_proof(300, 1000, &mut nodes(&all)).expect("in the tree");
    let submission = Submission {
        old: 300,
        proof,
        checkpoint: signed(1000),
    };
    let text = submission.to_string();
    assert_eq!(text.parse(), Ok(submission));
    let first = format!("old 0\n\n{}", signed(1000));
    assert_eq!(first.parse::<Submission>().expect("a first one").proof, []);
    let hash = format!("{}\n", tree_root(&[]));
    for bad in [
        String::new(),
        text.replace("old 300", "old 0300"),
        text.replace("old 300", "old -1"),
        text.replace("old 300", "old 99999999999999999999"),
        text.replace("old 300", "old  300"),
        text.replace("old 300", "new 300"),
        text.replacen("\n\n", "\n", 1),
        format!("\n{text}"),
        format!("old 5\n{}\n{}", hash.repeat(64), signed(1000)),
        format!("old 5\n{}\n{}", hash.replace('=', ""), signed(1000)),
        text.trim_end().to_owned(),
        text.replace('\n', "\r\n"),
        "old 1\n\n".to_owned(),
    ] {
        assert!(bad.parse::<Submission>().is_err(), "{bad:.200}");
    }
}

proptest! {
    #[test]
    fn any_changed_character_of_a_proof_is_noticed(at in any::<prop::sample::Index>(), with in any::<char>()) {
        let good = proof(300, 1000);
        let text = good.to_string();
        // Extra data is the application's, and outside of the signature.
        let fixed = text.find("index ").expect("an index");
        let mut changed: Vec<char> = text.chars().collect();
        let at = fixed + at.index(changed.len() - fixed);
        prop_assume!(changed[at] != with);
        changed[at] = with;
        let changed: String = changed.into_iter().collect();
        let leaf = leaf_hash(&300_u64.to_be_bytes());
        let held = changed.parse::<TlogProof>().is_ok_and(|proof| {
            proof.verify(&leaf, log_key().verifier()).is_ok()
                && proof.checkpoint.verify_cosignature(witness(7).verifier()).is_ok()
        });
        prop_assert!(!held);
    }

    #[test]
    fn parsers_never_panic_and_print_what_they_parsed(text in "(old [0-9]{1,3}|c2sp.org/tlog-proof@v1)\n\\PC{0,60}\n{0,3}\\PC{0,60}") {
        if let Ok(proof) = text.parse::<TlogProof>() {
            prop_assert_eq!(proof.to_string(), text.clone());
        }
        if let Ok(submission) = text.parse::<Submission>() {
            prop_assert_eq!(submission.to_string(), text);
        }
    }
}

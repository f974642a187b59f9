//! Signed notes and checkpoints: published vectors, round trips, and that every change is noticed.
#![expect(clippy::expect_used, reason = "test helpers stop the test")]

use bailiwick_tlog::{
    Checkpoint, CheckpointError, KeyError, NoteError, SignedNote, SigningKey, VerifierKey,
    leaf_hash,
};
use proptest::prelude::*;

/// The key pair and note of the documentation of Go's `golang.org/x/mod/sumdb/note`.
const GO_SECRET: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const GO_SIGNATURE: &str =
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, &[seed; 32]).expect("valid name")
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: "log.example/a".into(),
        size: 42,
        root: leaf_hash(b"x"),
    }
}

#[test]
fn go_vector_signs_and_verifies() {
    let secret = SigningKey::from_secret_text(GO_SECRET).expect("Go's key");
    assert_eq!(secret.to_secret_text(), GO_SECRET);
    assert_eq!(secret.verifier().to_string(), GO_VERIFIER);
    let note = secret.sign(GO_TEXT).expect("signs");
    assert_eq!(note, format!("{GO_TEXT}\n— PeterNeumann {GO_SIGNATURE}\n"));
    let verifier: VerifierKey = GO_VERIFIER.parse().expect("Go's key");
    let parsed: SignedNote = note.parse().expect("a note");
    assert_eq!(parsed.verify(&verifier), Ok(GO_TEXT));
}

#[test]
fn published_checkpoint_has_the_form_that_is_parsed() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    assert!(note.parse::<SignedNote>().is_ok());
    let other = key("example.com/behind-the-sofa", 1);
    assert!(matches!(
        Checkpoint::open(note, other.verifier()),
        Err(CheckpointError::Note(NoteError::NotSigned { .. }))
    ));
}

#[test]
fn checkpoint_round_trips() {
    let key = key("log.example/a", 1);
    let note = checkpoint().sign(&key).expect("signs");
    assert_eq!(Checkpoint::open(&note, key.verifier()), Ok(checkpoint()));
}

#[test]
fn foreign_keys_names_and_origins_are_refused() {
    let mine = key("log.example/a", 1);
    let note = checkpoint().sign(&mine).expect("signs");
    assert!(
        Checkpoint::open(&note, key("log.example/a", 2).verifier()).is_err(),
        "other key, same name"
    );
    assert!(
        Checkpoint::open(&note, key("log.example/b", 1).verifier()).is_err(),
        "same key, other name"
    );
    assert!(matches!(
        checkpoint().sign(&key("log.example/b", 1)),
        Err(CheckpointError::Origin { .. })
    ));
    let foreign = mine
        .sign("log.example/b\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
        .expect("signs");
    assert!(matches!(
        Checkpoint::open(&foreign, mine.verifier()),
        Err(CheckpointError::Origin { .. })
    ));
}

#[test]
fn a_second_signature_is_ignored_when_unknown_and_refused_when_false() {
    let (mine, witness) = (key("log.example/a", 1), key("witness.example", 2));
    let note = checkpoint().sign(&mine).expect("signs");
    let text = note.split("\n\n").next().expect("text").to_owned() + "\n";
    let cosigned = witness.sign(&text).expect("signs");
    let line = cosigned.lines().last().expect("signature");
    assert!(Checkpoint::open(&format!("{note}{line}\n"), mine.verifier()).is_ok());
    let false_line = key("log.example/a", 1).sign("other\n").expect("signs");
    let false_line = false_line.lines().last().expect("signature");
    assert!(matches!(
        Checkpoint::open(&format!("{note}{false_line}\n"), mine.verifier()),
        Err(CheckpointError::Note(NoteError::BadSignature { .. }))
    ));
}

#[test]
fn signed_texts_that_are_no_checkpoints_are_refused() {
    let key = key("log.example/a", 1);
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for body in [
        "log.example/a\n1\n".to_owned(),
        format!("log.example/a\n01\n{root}\n"),
        format!("log.example/a\n+1\n{root}\n"),
        format!("log.example/a\n-1\n{root}\n"),
        format!("log.example/a\n18446744073709551616\n{root}\n"),
        format!("log.example/a\n1\n{root}\nextension\n"),
        format!("log.example/a\n1\n{root}x\n"),
        "log.example/a\n1\nAAAA\n".to_owned(),
        format!("\n1\n{root}\n"),
    ] {
        let note = key.sign(&body).expect("signs");
        assert!(
            matches!(
                Checkpoint::open(&note, key.verifier()),
                Err(CheckpointError::Form(_))
            ),
            "{body:?}"
        );
    }
}

#[test]
fn malformed_notes_are_refused() {
    let note = checkpoint().sign(&key("log.example/a", 1)).expect("signs");
    let without_signature = note.split("—").next().expect("text").to_owned();
    for bad in [
        String::new(),
        "\n\n".into(),
        "\n\n\n".into(),
        without_signature,
        note.trim_end().to_owned(),
        format!("{note}\n"),
        note.replace('—', "-"),
        note.replace("— ", "—"),
        note.replace("\n\n", "\n"),
        note.replace('4', "\t"),
        note.replace('\n', "\r\n"),
        format!("{note}— a b\n"),
        format!("{}{note}", "x".repeat(1 << 18)),
    ] {
        assert!(bad.parse::<SignedNote>().is_err(), "{bad:?}");
    }
}

#[test]
fn malformed_keys_are_refused_and_never_shown() {
    let secret = key("log.example/a", 1).to_secret_text();
    let public = key("log.example/a", 1).verifier().to_string();
    assert_eq!(secret.parse::<VerifierKey>(), Err(KeyError::WrongSide));
    assert_eq!(
        SigningKey::from_secret_text(&public).err(),
        Some(KeyError::WrongSide)
    );
    assert_eq!(
        public.replace("/a+", "/b+").parse::<VerifierKey>(),
        Err(KeyError::Id)
    );
    for bad in [
        "",
        "a",
        "a+b",
        "a+00000000+AAAA",
        "a+0000000+AQ==",
        "a+0000000g+AQ==",
        &public.to_uppercase(),
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
    assert!(format!("{public}\n").parse::<VerifierKey>().is_err());
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
        assert_eq!(
            SigningKey::from_seed(name, &[1; 32]).err(),
            Some(KeyError::Name),
            "{name:?}"
        );
    }
    let error = SigningKey::from_secret_text(&secret.replace("/a+", "/b+"))
        .err()
        .expect("altered");
    assert!(!error.to_string().contains("PRIVATE") && !format!("{error:?}").contains("AQEB"));
}

#[test]
fn control_characters_cannot_be_signed() {
    for text in ["", "no newline", "a\tb\n", "a\rb\n", "a\0b\n"] {
        assert!(key("log.example/a", 1).sign(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_changed_character_of_a_checkpoint_is_noticed(at in any::<prop::sample::Index>(), with in any::<char>()) {
        let key = key("log.example/a", 1);
        let note = checkpoint().sign(&key).expect("signs");
        let mut changed: Vec<char> = note.chars().collect();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != with);
        changed[at] = with;
        let changed: String = changed.into_iter().collect();
        prop_assert!(Checkpoint::open(&changed, key.verifier()).is_err());
    }

    #[test]
    fn parsers_never_panic(text in "\\PC{0,60}\n{0,3}\\PC{0,60}") {
        let _ = text.parse::<SignedNote>();
        let _ = text.parse::<VerifierKey>();
        let _ = SigningKey::from_secret_text(&text);
    }
}

//! Signed notes, checkpoints and keys: what parses prints as it was, a signature holds only for what was signed.
#![no_main]

use bailiwick_tlog::{
    Checkpoint, SignedNote, SigningKey, VerifierKey, WitnessKey, WitnessSigningKey,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = text.parse::<WitnessKey>() {
        assert_eq!(key.to_string(), text);
    }
    let log = SigningKey::from_seed("log.example/a", &[1; 32]).expect("a name");
    let witness = WitnessSigningKey::from_seed("witness.example/w", &[2; 32]).expect("a name");
    if let Ok(note) = text.parse::<SignedNote>() {
        assert_eq!(note.to_string(), text);
        // No corpus holds a signature of these keys.
        assert!(note.verify(log.verifier()).is_err());
        assert!(note.verify_cosignature(witness.verifier()).is_err());
    }
    if let Ok((checkpoint, extensions)) = Checkpoint::parse(text) {
        let lines: String = extensions.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(format!("{}{lines}", checkpoint.text()), text);
        if let Ok(note) = log.sign(text) {
            let mut note: SignedNote = note.parse().expect("it was just signed");
            assert_eq!(note.verify(log.verifier()), Ok(text));
            let line = witness.cosign(text, 7).expect("a checkpoint");
            note.add_lines(&line).expect("a signature line");
            assert_eq!(note.verify_cosignature(witness.verifier()), Ok(7));
        }
    }
});

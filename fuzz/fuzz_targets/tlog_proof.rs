//! Self-contained proofs: what parses prints as it was, and none holds for a log that nobody signed.
#![no_main]

use bailiwick_audit::ProvenEntry;
use bailiwick_tlog::{SigningKey, TlogProof, leaf_hash, verify_consistency, verify_inclusion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let log = SigningKey::from_seed("log.example/a", &[1; 32]).expect("a name");
    let Ok(proof) = text.parse::<TlogProof>() else {
        return;
    };
    assert_eq!(proof.to_string(), text);
    assert!(proof.verify(&leaf_hash(b"x"), log.verifier()).is_err());
    if let Ok(proven) = ProvenEntry::parse(text) {
        assert!(proven.verify(log.verifier()).is_err());
        let again = ProvenEntry::parse(&proven.to_text().expect("it was text")).expect("ours");
        assert_eq!(again, proven);
    }
    // Whatever the sizes: no panic, and no proof of one root is one of another.
    let (leaf, root) = (leaf_hash(b"x"), leaf_hash(b"y"));
    for size in [proof.index, proof.index.saturating_add(1), u64::MAX] {
        assert!(verify_inclusion(proof.index, size, &leaf, &proof.hashes, &root).is_err());
        let _ = verify_consistency(proof.index, size, &leaf, &root, &proof.hashes);
    }
});

//! Openings and private files have one spelling: what reads prints to the same bytes; and what a commitment is over
//! cannot be taken for another.
#![no_main]

use bailiwick_audit::{
    Commitment, decode_bundle_openings, decode_openings, encode_bundle_openings, encode_openings,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(openings) = decode_openings(bytes) {
        assert_eq!(encode_openings(&openings), bytes);
        for opening in &openings {
            let text = opening.commitment().to_string();
            assert_eq!(text.parse::<Commitment>(), Ok(opening.commitment()));
        }
        let entries = vec![(0, openings.clone()), (255, openings)];
        let file = encode_bundle_openings(&entries);
        if !bytes.is_empty() {
            assert_eq!(decode_bundle_openings(&file).as_ref(), Ok(&entries));
        }
    }
    for file in [bytes.to_vec(), [b"bailiwick openings 1\n", bytes].concat()] {
        if let Ok(entries) = decode_bundle_openings(&file) {
            assert_eq!(encode_bundle_openings(&entries), file);
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(commitment) = text.parse::<Commitment>()
    {
        assert_eq!(commitment.to_string(), text);
    }
});

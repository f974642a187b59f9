//! Tiles, bundles and their paths: what parses prints as it was, and nothing panics.
#![no_main]

use bailiwick_tlog::{TilePath, decode_bundle, decode_tile, encode_entry, encode_tile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((width, bytes)) = input.split_first_chunk::<2>() else {
        return;
    };
    if let Ok(hashes) = decode_tile(bytes, u16::from_be_bytes(*width)) {
        assert_eq!(encode_tile(&hashes), bytes);
    }
    if let Ok(entries) = decode_bundle(bytes) {
        let mut again = Vec::new();
        for entry in entries {
            encode_entry(entry, &mut again).expect("it came out of a bundle");
        }
        assert_eq!(again, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(path) = text.parse::<TilePath>()
    {
        assert_eq!(path.to_string(), text);
    }
});

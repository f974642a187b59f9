//! No bytes make the reader panic; every problem points into the text; what parses has a digest that stays.
#![no_main]

use bailiwick_manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["a.yaml", "a.json"] {
        match Manifest::parse(name, bytes) {
            Ok(manifest) => assert_eq!(manifest.digest(), manifest.digest()),
            Err(errors) => {
                assert!(!errors.problems().is_empty());
                for problem in errors.problems() {
                    assert!(problem.span().end() <= problem.source().text().len());
                }
            }
        }
    }
    let _ = Manifest::from_component("a.wasm", bytes);
});

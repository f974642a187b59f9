//! No bytes make the journal's reader panic; what it reads is written to the same bytes, and found behind any damage.
#![no_main]

use bailiwick_audit::fuzzing::{journal, record, seals};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (whole, rest, entries) = journal(bytes);
    assert!(whole + rest.len() <= bytes.len());
    assert!(bytes[whole..].starts_with(&rest));
    assert!(bytes[whole + rest.len()..].iter().all(|byte| *byte == 0));
    for seal in seals(bytes) {
        assert!(bytes.windows(seal.len()).any(|window| window == seal.as_bytes()));
    }
    for (entry, openings) in &entries {
        let again = record(entry, openings);
        assert_eq!(journal(&again), (again.len(), Vec::new(), vec![(entry.clone(), openings.clone())]));
    }
    // The fuzzer cannot guess the checks: its bytes as an entry, and as what opens one.
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    if head.len() <= 65_535 {
        let mut made = record(head, tail);
        let end = made.len();
        assert_eq!(journal(&made).2, [(head.to_vec(), tail.to_vec())]);
        made.extend([0; 16]);
        assert_eq!(journal(&made).0, end);
        made.truncate(end - 1);
        assert!(journal(&made).2.is_empty());
    }
});

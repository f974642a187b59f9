//! What verification takes for an entry, the strict reader reads; it prints to JSON that reads the same; and what
//! people see of it obeys nothing.
#![no_main]

use bailiwick_audit::{Entry, fuzzing, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (taken, entry) = fuzzing::entry(bytes);
    let Some(entry) = entry else {
        assert!(!taken, "verification is content with what nobody can read");
        return;
    };
    let json = serde_json::to_vec(&entry).expect("prints");
    assert_eq!(serde_json::from_slice::<Entry>(&json).expect("reads"), entry);
    assert_eq!(fuzzing::entry(&json).0, taken);
    let shown = render(0, &entry);
    assert!(!shown.chars().any(|c| c.is_control()), "{shown:?}");
});

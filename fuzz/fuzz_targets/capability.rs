//! Whatever parses prints as something that parses to the same.
#![no_main]

use bailiwick_capability::{Capability, Granted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(capability) = text.parse::<Capability>() {
        assert_eq!(capability.to_string().parse().as_ref(), Ok(&capability));
        assert!(capability.contains(&capability));
        assert_eq!(capability.meet(&capability).as_ref(), Some(&capability));
    }
    if let Ok(granted) = text.parse::<Granted>() {
        assert_eq!(granted.to_string().parse().as_ref(), Ok(&granted));
    }
});

//! No bytes make a token's reader, inspector or verifier panic; none that we did not sign are taken.
#![no_main]

use std::sync::OnceLock;

use bailiwick_token::{Expectation, Keys, Token, inspect, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let keys = KEYS.get_or_init(Keys::generate);
    let Ok(token) = Token::from_base64(text) else {
        return;
    };
    assert!(Token::from_base64(&token.to_base64()).is_ok());
    let _ = inspect(&token, 1_790_000_000);
    let expectation = Expectation { session: "s", plugin_digest: &[0; 32], now: 1_790_000_000 };
    assert!(verify(&keys.public(), &token, &expectation).is_err(), "a key that nobody else has");
});

//! No bytes make a token's reader, inspector or verifier panic, and none but those that we signed are taken: neither
//! bytes from nowhere nor a token of ours in which some bytes were changed.
#![no_main]

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bailiwick_capability::Grant;
use bailiwick_token::{Asks, Claims, Expectation, Keys, Token, inspect, mint, verify};
use libfuzzer_sys::fuzz_target;

const NOW: i64 = 1_790_000_000;

fn ours() -> &'static (Keys, Token) {
    static OURS: OnceLock<(Keys, Token)> = OnceLock::new();
    OURS.get_or_init(|| {
        let keys = Keys::generate();
        let claims = Claims {
            session: "s".into(),
            plugin: "p".into(),
            plugin_version: "1.0.0".into(),
            plugin_digest: [0; 32],
            user: "u".into(),
            agent: "a".into(),
            grant: Grant::new(["read_files:/data/ except /data/hr/".parse().unwrap()]),
            asks: Asks::default(),
            issued: NOW,
            expires: NOW + 60,
        };
        let token = mint(&keys, &claims).unwrap();
        (keys, token)
    })
}

/// A token of ours with bytes changed: two of place and one of value each.
fn changed(changes: &[u8]) -> String {
    let mut bytes = URL_SAFE.decode(ours().1.to_base64()).unwrap();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    URL_SAFE.encode(bytes)
}

fuzz_target!(|data: &[u8]| {
    let text = match data.split_first() {
        Some((0, changes)) => changed(changes),
        Some((_, text)) => String::from_utf8_lossy(text).into_owned(),
        None => return,
    };
    let (keys, token) = ours();
    let expectation = Expectation { session: "s", plugin_digest: &[0; 32], now: NOW };
    let unchanged = verify(&keys.public(), token, &expectation).unwrap();
    let Ok(read) = Token::from_base64(&text) else {
        return;
    };
    let _ = inspect(&read, NOW);
    if let Ok(verified) = verify(&keys.public(), &read, &expectation) {
        assert_eq!(verified.claims(), unchanged.claims(), "nothing that we did not sign");
        assert!(unchanged.grant().contains(verified.grant()));
    }
});

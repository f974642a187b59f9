//! What a witness is sent: what parses prints as it was, and nothing unsigned is ever cosigned.
#![no_main]

use std::sync::{Arc, OnceLock};

use bailiwick_tlog::{SigningKey, Submission};
use bailiwick_witness::{RealDisk, Store, Witness, keygen, read_key, state_dir};
use libfuzzer_sys::fuzz_target;

/// One witness for all inputs: nothing that is sent may change what it remembers.
fn witness() -> &'static Witness {
    static WITNESS: OnceLock<Witness> = OnceLock::new();
    WITNESS.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("witness-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("w.key");
        let key = keygen(&file, "witness.example/w").expect("a key");
        let store = Store::open(&state_dir(&file), &key, Arc::new(RealDisk)).expect("a memory");
        let log = SigningKey::from_seed("log.example/a", &[1; 32]).expect("a name");
        let key = read_key(&file).expect("the key");
        Witness::new(key, store, [log.verifier().clone().into()], || 7)
    })
}

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(submission) = text.parse::<Submission>()
    {
        assert_eq!(submission.to_string(), text);
    }
    let status = witness().add_checkpoint(input).status();
    assert!(matches!(status, 400 | 403 | 404), "{status}");
});

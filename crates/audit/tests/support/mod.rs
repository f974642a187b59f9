//! Reading and rewriting a log's files as an attacker would.

use std::fs;
use std::path::Path;

use bailiwick_audit::{Event, Log, Options};

/// The entries of a bundle.
pub(crate) type Entries = Vec<Vec<u8>>;

pub(crate) fn open(dir: &Path) -> Log {
    Log::open(dir, Options::default()).expect("opens")
}

pub(crate) fn event(number: usize) -> Event {
    Event::GateStop {
        reason: format!("event {number}"),
    }
}

pub(crate) fn bundle(path: &Path) -> Entries {
    let bytes = fs::read(path).expect("a bundle");
    bailiwick_tlog::decode_bundle(&bytes)
        .expect("well formed")
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect()
}

pub(crate) fn write_bundle(path: &Path, entries: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for entry in entries {
        bailiwick_tlog::encode_entry(entry, &mut bytes).expect("fits");
    }
    fs::write(path, bytes).expect("writes");
}

pub(crate) fn hashes(path: &Path) -> Vec<[u8; 32]> {
    fs::read(path).expect("a tile").as_chunks::<32>().0.to_vec()
}

pub(crate) fn write_hashes(path: &Path, hashes: &[[u8; 32]]) {
    fs::write(path, hashes.concat()).expect("writes");
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for item in fs::read_dir(from).expect("lists") {
        let item = item.expect("lists");
        let target = to.join(item.file_name());
        if item.file_type().expect("type").is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), &target).expect("copies");
        }
    }
}

//! What the targets in `fuzz/` look at from inside.

use crate::event::Entry;
use crate::journal::{Record, Records, seals_after_damage};
use crate::verify::entries::EntryCheck;

/// The bytes of an entry, and of what opens it.
pub type Opened = (Vec<u8>, Vec<u8>);

/// Reads a journal segment: how many bytes its whole records have, what follows them, and of each entry its bytes and
/// what opens it.
#[must_use]
pub fn journal(segment: &[u8]) -> (usize, Vec<u8>, Vec<Opened>) {
    let mut records = Records::new(segment);
    let mut entries = Vec::new();
    while let Some(record) = records.next() {
        if let Record::Entry(entry, _) = record {
            entries.push((entry.to_vec(), records.openings().to_vec()));
        }
    }
    (records.whole(), records.rest().to_vec(), entries)
}

/// The whole seals behind damage.
#[must_use]
pub fn seals(bytes: &[u8]) -> Vec<String> {
    seals_after_damage(bytes).map(str::to_owned).collect()
}

/// The journal's bytes of one entry with what opens it.
#[must_use]
pub fn record(entry: &[u8], openings: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::journal::put_openings(openings, &mut out);
    crate::journal::put_entry(entry, &bailiwick_tlog::leaf_hash(entry), &mut out);
    out
}

/// Whether verification takes these bytes for an entry, alone and after others of every kind; and the entry, where
/// they are one.
#[must_use]
pub fn entry(bytes: &[u8]) -> (bool, Option<Entry>) {
    let mut check = EntryCheck::default();
    check.entry(0, bytes);
    (
        check.malformed.is_empty(),
        serde_json::from_slice(bytes).ok(),
    )
}

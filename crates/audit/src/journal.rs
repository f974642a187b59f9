//! The journal's records: entries as they come, and seals (signed checkpoints) between them.
//!
//! A segment holds the records of one bundle of 256 entries. A record is: one byte kind (`E` or `S`), two bytes length,
//! the first eight bytes of the payload's leaf hash, the payload. The check finds what a crash left unfinished;
//! against people there are the seals.

use bailiwick_tlog::{Hash, leaf_hash};

const ENTRY: u8 = b'E';
const SEAL: u8 = b'S';
const CHECK_BYTES: usize = 8;
/// Our own seals have about 200 bytes.
const MAX_SEAL_BYTES: usize = 1024;
const HEADER_BYTES: usize = 1 + 2 + CHECK_BYTES;

/// One whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// An entry and its leaf hash.
    Entry(&'a [u8], Hash),
    /// A signed checkpoint, not yet verified.
    Seal(&'a str),
}

/// Appends an entry's record to `out`.
pub(crate) fn put_entry(entry: &[u8], leaf: &Hash, out: &mut Vec<u8>) {
    put(ENTRY, entry, leaf, out);
}

/// Appends a seal's record to `out`.
pub(crate) fn put_seal(note: &str, out: &mut Vec<u8>) {
    put(SEAL, note.as_bytes(), &leaf_hash(note.as_bytes()), out);
}

fn put(kind: u8, payload: &[u8], hash: &Hash, out: &mut Vec<u8>) {
    // Entries are held to the bundle limit and seals are short: the length always fits.
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(
        hash.0
            .first_chunk::<CHECK_BYTES>()
            .unwrap_or(&[0; CHECK_BYTES]),
    );
    out.extend_from_slice(payload);
}

/// Reads whole records from the front of a segment until its end or until something that is none.
#[derive(Debug, Clone)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(segment: &'a [u8]) -> Self {
        Self { rest: segment }
    }

    /// What follows the last whole record: empty, or an unfinished or damaged one.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, rest) = parse(self.rest)?;
        self.rest = rest;
        Some(record)
    }
}

fn parse(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let (kind, header) = header.split_first()?;
    let (length, check) = header.split_first_chunk::<2>()?;
    let (payload, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let leaf = leaf_hash(payload);
    if !leaf.0.starts_with(check) {
        return None;
    }
    let record = match *kind {
        ENTRY => Record::Entry(payload, leaf),
        SEAL => Record::Seal(std::str::from_utf8(payload).ok()?),
        _ => return None,
    };
    Some((record, rest))
}

/// Whether a whole seal lies anywhere in `rest`, what follows damage: then the damage is no crash's, since a seal is
/// written after all that it covers.
pub(crate) fn seals_after_damage(rest: &[u8]) -> impl Iterator<Item = &str> {
    (0..rest.len()).filter_map(|start| {
        let bytes = rest.get(start..)?;
        // Looked at before it is hashed, so that a journal full of lures costs no more than one pass.
        let (header, _) = bytes.split_first_chunk::<3>()?;
        let [kind, high, low] = *header;
        if kind != SEAL || usize::from(u16::from_be_bytes([high, low])) > MAX_SEAL_BYTES {
            return None;
        }
        match parse(bytes)? {
            (Record::Seal(note), _) => Some(note),
            (Record::Entry(..), _) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in entries {
            put_entry(entry, &leaf_hash(entry), &mut out);
        }
        put_seal("note", &mut out);
        out
    }

    #[test]
    fn a_seal_is_found_behind_damage() {
        let mut bytes = segment(&[b"one".to_vec(), b"two".to_vec()]);
        bytes[HEADER_BYTES] ^= 1;
        let mut records = Records::new(&bytes);
        assert_eq!(records.next(), None);
        assert_eq!(
            seals_after_damage(records.rest()).collect::<Vec<_>>(),
            ["note"]
        );
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(seals_after_damage(cut).count(), 0);
    }

    proptest! {
        #[test]
        fn records_round_trip_and_a_cut_keeps_what_is_whole(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8),
            cut: prop::sample::Index,
        ) {
            let bytes = segment(&entries);
            let mut records = Records::new(&bytes);
            for entry in &entries {
                prop_assert_eq!(records.next(), Some(Record::Entry(entry, leaf_hash(entry))));
            }
            prop_assert_eq!(records.next(), Some(Record::Seal("note")));
            prop_assert!(records.next().is_none() && records.rest().is_empty());

            let cut = cut.index(bytes.len());
            let mut records = Records::new(&bytes[..cut]);
            let whole: usize = records.by_ref().map(|record| HEADER_BYTES + match record {
                Record::Entry(payload, _) => payload.len(),
                Record::Seal(note) => note.len(),
            }).sum();
            prop_assert_eq!(whole + records.rest().len(), cut);
        }

        #[test]
        fn any_changed_byte_ends_the_reading_there(at: prop::sample::Index, bit in 0_u8..8) {
            let mut bytes = segment(&[b"one".to_vec()]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let read: Vec<_> = Records::new(&bytes).collect();
            prop_assert!(read.len() < 2 || read[0] != Record::Entry(b"one", leaf_hash(b"one"))
                || read[1] != Record::Seal("note"));
        }
    }
}

//! The journal's records: entries as they come, what opens their sealed strings, and seals (signed checkpoints) between
//! them.
//!
//! A segment holds the records of one bundle of 256 entries. A record is: one byte kind (`E`, `O`, `S` or `P`), two
//! bytes length, the first eight bytes of the payload's leaf hash, the payload. The check finds what a crash left unfinished;
//! against people there are the seals. Records of kind `O` stand before the entry that they belong to, so that a whole
//! entry has whole openings; no signature covers them, so that they can be erased. Records of kind `P` are checkpoints that were published: whoever puts an older one
//! back in the place of the log's is contradicted by them. What follows the last record is zero:
//! room that was written ahead, so that a flush has no new length to write.

use bailiwick_tlog::{Hash, leaf_hash};

const ENTRY: u8 = b'E';
const OPENINGS: u8 = b'O';
const SEAL: u8 = b'S';
const PUBLISHED: u8 = b'P';
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

/// Appends the records of what opens an entry's sealed strings to `out`; the entry's own record must follow.
pub(crate) fn put_openings(openings: &[u8], out: &mut Vec<u8>) {
    for piece in openings.chunks(usize::from(u16::MAX)) {
        put(OPENINGS, piece, &leaf_hash(piece), out);
    }
}

/// Appends a seal's record to `out`.
pub(crate) fn put_seal(note: &str, out: &mut Vec<u8>) {
    put(SEAL, note.as_bytes(), &leaf_hash(note.as_bytes()), out);
}

/// Appends the record of a checkpoint that was published to `out`.
pub(crate) fn put_published(note: &str, out: &mut Vec<u8>) {
    put(PUBLISHED, note.as_bytes(), &leaf_hash(note.as_bytes()), out);
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
    segment: &'a [u8],
    rest: &'a [u8],
    openings: Vec<u8>,
    published: Option<&'a str>,
}

impl<'a> Records<'a> {
    pub(crate) fn new(segment: &'a [u8]) -> Self {
        Self {
            segment,
            rest: segment,
            openings: Vec::new(),
            published: None,
        }
    }

    /// The last checkpoint seen so far that was published, unverified.
    pub(crate) fn published(&self) -> Option<&'a str> {
        self.published
    }

    /// What follows the last whole record and is not room written ahead: empty, or an unfinished or damaged one.
    pub(crate) fn rest(&self) -> &'a [u8] {
        let end = self.rest.iter().rposition(|byte| *byte != 0);
        self.rest
            .get(..end.map_or(0, |last| last + 1))
            .unwrap_or_default()
    }

    /// Where the last whole record ends, in bytes from the segment's start.
    pub(crate) fn whole(&self) -> usize {
        self.segment.len() - self.rest.len()
    }

    /// What opens the entry that was read last; empty when nothing of it is sealed.
    pub(crate) fn openings(&self) -> &[u8] {
        &self.openings
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let mut rest = self.rest;
        let mut openings = Vec::new();
        loop {
            let (kind, payload, hash, after) = parse(rest)?;
            let record = match kind {
                OPENINGS => {
                    openings.extend_from_slice(payload);
                    rest = after;
                    continue;
                }
                PUBLISHED if openings.is_empty() => {
                    self.published = std::str::from_utf8(payload).ok().or(self.published);
                    self.rest = after;
                    rest = after;
                    continue;
                }
                ENTRY => Record::Entry(payload, hash),
                // Openings belong to an entry.
                SEAL if openings.is_empty() => Record::Seal(std::str::from_utf8(payload).ok()?),
                _ => return None,
            };
            self.rest = after;
            self.openings = openings;
            return Some(record);
        }
    }
}

/// The kind, payload, leaf hash and rest of the record that `bytes` begins with.
fn parse(bytes: &[u8]) -> Option<(u8, &[u8], Hash, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let (kind, header) = header.split_first()?;
    if ![ENTRY, OPENINGS, SEAL, PUBLISHED].contains(kind) {
        return None;
    }
    let (length, check) = header.split_first_chunk::<2>()?;
    let (payload, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let leaf = leaf_hash(payload);
    leaf.0
        .starts_with(check)
        .then_some((*kind, payload, leaf, rest))
}

/// The whole seals anywhere in `rest`, what follows damage, unverified.
///
/// A seal is written after all that it covers, but is flushed with it: power loss may keep the seal and lose what stands
/// before it. The next seal is written only after that flush, so [`SEALS_OF_NO_CRASH`] of them behind damage show that
/// what was damaged had been on the disk.
pub(crate) fn seals_after_damage(rest: &[u8]) -> impl Iterator<Item = &str> {
    (0..rest.len()).filter_map(|start| {
        let bytes = rest.get(start..)?;
        // Looked at before it is hashed, so that a journal full of lures costs no more than one pass.
        let (header, _) = bytes.split_first_chunk::<3>()?;
        let [kind, high, low] = *header;
        if kind != SEAL || usize::from(u16::from_be_bytes([high, low])) > MAX_SEAL_BYTES {
            return None;
        }
        let (_, note, _, _) = parse(bytes)?;
        std::str::from_utf8(note).ok()
    })
}

/// As many different seals that hold, behind damage, and no crash made it.
pub(crate) const SEALS_OF_NO_CRASH: usize = 2;

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

    #[test]
    fn openings_go_with_their_entry_or_not_at_all() {
        let openings = vec![7_u8; 100_000];
        let mut bytes = Vec::new();
        put_openings(&openings, &mut bytes);
        put_entry(b"one", &leaf_hash(b"one"), &mut bytes);
        let end = bytes.len();
        put_entry(b"two", &leaf_hash(b"two"), &mut bytes);
        let mut records = Records::new(&bytes);
        assert!(records.next().is_some());
        assert_eq!(records.openings(), openings);
        assert!(records.next().is_some() && records.openings().is_empty());

        let mut torn = Records::new(&bytes[..end - 1]);
        assert!(torn.next().is_none() && torn.openings().is_empty());
        assert_eq!((torn.whole(), torn.rest().len()), (0, end - 1));

        let mut orphan = Vec::new();
        put_openings(b"x", &mut orphan);
        put_seal("note", &mut orphan);
        assert_eq!(Records::new(&orphan).next(), None, "of no entry");
    }

    #[test]
    fn what_was_published_is_told_and_is_no_record_of_the_tree() {
        let mut bytes = segment(&[b"one".to_vec()]);
        put_published("first", &mut bytes);
        put_published("second", &mut bytes);
        let mut records = Records::new(&bytes);
        assert_eq!(records.by_ref().count(), 2);
        assert_eq!(records.published(), Some("second"));
        assert_eq!(records.whole(), bytes.len());
    }

    #[test]
    fn room_written_ahead_is_no_damage() {
        let mut bytes = segment(&[b"one".to_vec()]);
        let whole = bytes.len();
        bytes.extend([0; 99]);
        let mut records = Records::new(&bytes);
        assert_eq!(records.by_ref().count(), 2);
        assert_eq!((records.whole(), records.rest()), (whole, &[][..]));
        bytes.extend([1, 0]);
        let mut records = Records::new(&bytes);
        assert_eq!(records.by_ref().count(), 2);
        assert_eq!(records.rest().len(), 100);
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
            prop_assert_eq!(whole, records.whole());
            let zeros = bytes[..cut].iter().rev().take_while(|byte| **byte == 0).count();
            prop_assert_eq!(records.rest().len(), (cut - whole).saturating_sub(zeros));
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

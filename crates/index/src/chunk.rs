//! One row of the index: what 64 bundles hold.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use bailiwick_audit::{Filter, Follow};

use crate::error::IndexError;
use crate::key::IndexKey;
use crate::terms::{Field, of_entry, of_filter};

/// Bundles of a chunk: as many as a word has bits.
pub const CHUNK_BUNDLES: u64 = 64;
/// Entries of a bundle.
const BUNDLE_ENTRIES: u64 = 256;
/// Entries of a chunk.
pub const CHUNK_ENTRIES: u64 = CHUNK_BUNDLES * BUNDLE_ENTRIES;
/// Bytes of a time as entries have it, `2026-11-23T15:04:05.678Z`.
const TIME_BYTES: usize = 24;

type Time = [u8; TIME_BYTES];

/// The bundles of a chunk.
pub(crate) fn bundles(chunk: u64) -> Range<u64> {
    chunk * CHUNK_BUNDLES..(chunk + 1) * CHUNK_BUNDLES
}

/// What is in the bundles of a chunk, a bit for each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Those with entries that cannot be read.
    odd: u64,
    /// The earliest and the latest time in each. A clock may step back, so these are not those of its ends.
    times: Vec<(Time, Time)>,
    /// Fingerprints of values, ascending, each with the bundles that hold the value.
    terms: Vec<(u64, u64)>,
}

impl Chunk {
    /// Reads a chunk from the log; `None` when it is not there in full.
    pub(crate) fn read(dir: &Path, chunk: u64, key: &IndexKey) -> Result<Option<Self>, IndexError> {
        let mut seen: HashMap<Vec<u8>, u64> = HashMap::new();
        let mut scratch = Vec::new();
        let mut odd = 0;
        let mut times = Vec::new();
        for (bit, bundle) in bundles(chunk).enumerate() {
            let bit = 1_u64 << bit;
            let first = bundle * BUNDLE_ENTRIES;
            let entries = Follow::from(dir, first).bundle()?;
            let whole = entries.len() as u64 == BUNDLE_ENTRIES;
            if !whole || entries.first().is_none_or(|entry| entry.index != first) {
                return Ok(None);
            }
            let mut span = ([u8::MAX; TIME_BYTES], [0; TIME_BYTES]);
            for stored in entries {
                let Ok(entry) = stored.entry() else {
                    odd |= bit;
                    continue;
                };
                widen(&mut span, &entry.time);
                of_entry(&entry, &mut |field: Field, value: &[u8]| {
                    scratch.clear();
                    scratch.push(field as u8);
                    scratch.extend_from_slice(value);
                    match seen.get_mut(&scratch) {
                        Some(bits) => *bits |= bit,
                        None => {
                            seen.insert(scratch.clone(), bit);
                        }
                    }
                });
            }
            times.push(span);
        }
        Ok(Some(Self {
            odd,
            times,
            terms: fingerprinted(&seen, key),
        }))
    }

    /// The bundles in which something may match, or cannot be read.
    pub(crate) fn candidates(&self, asked: &Asked) -> u64 {
        let mut bits = u64::MAX;
        for group in &asked.groups {
            let any = group.iter().fold(0, |any, term| any | self.of(*term));
            bits &= any;
        }
        for (bit, (earliest, latest)) in self.times.iter().enumerate() {
            let before = asked
                .since
                .as_deref()
                .is_some_and(|since| latest.as_slice() < since);
            let after = asked
                .until
                .as_deref()
                .is_some_and(|until| earliest.as_slice() >= until);
            if before || after {
                bits &= !(1 << bit);
            }
        }
        bits | self.odd
    }

    fn of(&self, term: u64) -> u64 {
        let place = self.terms.binary_search_by_key(&term, |(term, _)| *term);
        place
            .ok()
            .and_then(|place| self.terms.get(place))
            .map_or(0, |(_, bits)| *bits)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.odd.to_be_bytes().to_vec();
        for (earliest, latest) in &self.times {
            out.extend_from_slice(earliest);
            out.extend_from_slice(latest);
        }
        for (term, bits) in &self.terms {
            out.extend_from_slice(&term.to_be_bytes());
            out.extend_from_slice(&bits.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (odd, rest) = bytes.split_first_chunk()?;
        let count = usize::try_from(CHUNK_BUNDLES).ok()?;
        let (times, terms) = rest.split_at_checked(count * 2 * TIME_BYTES)?;
        let (times, []) = times.as_chunks::<TIME_BYTES>() else {
            return None;
        };
        let (terms, []) = terms.as_chunks::<16>() else {
            return None;
        };
        let times = times.as_chunks::<2>().0.iter();
        Some(Self {
            odd: u64::from_be_bytes(*odd),
            times: times
                .map(|[earliest, latest]| (*earliest, *latest))
                .collect(),
            terms: terms.iter().map(word_pair).collect::<Option<_>>()?,
        })
    }
}

fn word_pair(bytes: &[u8; 16]) -> Option<(u64, u64)> {
    let (first, rest) = bytes.split_first_chunk()?;
    let second = rest.first_chunk()?;
    Some((u64::from_be_bytes(*first), u64::from_be_bytes(*second)))
}

/// Takes a time into a span. One that is not written as our writer writes it may compare with anything.
fn widen(span: &mut (Time, Time), time: &str) {
    let all = ([0; TIME_BYTES], [u8::MAX; TIME_BYTES]);
    let (earliest, latest) = match <Time>::try_from(time.as_bytes()) {
        Ok(time) => (time, time),
        Err(_) => all,
    };
    *span = (span.0.min(earliest), span.1.max(latest));
}

fn fingerprinted(seen: &HashMap<Vec<u8>, u64>, key: &IndexKey) -> Vec<(u64, u64)> {
    let mut terms: Vec<(u64, u64)> = seen
        .iter()
        .filter_map(|(term, bits)| {
            let (field, value) = term.split_first()?;
            Some((key.fingerprint(*field, value), *bits))
        })
        .collect();
    terms.sort_unstable();
    // Two values with one fingerprint are as one.
    terms.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 |= next.1;
        }
        same
    });
    terms
}

/// What a filter asks of a chunk.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Of each group one must be there.
    groups: Vec<Vec<u64>>,
    since: Option<Vec<u8>>,
    until: Option<Vec<u8>>,
}

impl Asked {
    pub(crate) fn of(filter: &Filter, key: &IndexKey) -> Self {
        let groups = of_filter(filter).into_iter().map(|group| {
            let terms = group.into_iter();
            terms
                .map(|(field, value)| key.fingerprint(field as u8, &value))
                .collect()
        });
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
        Self {
            groups: groups.collect(),
            since: bytes(&filter.since),
            until: bytes(&filter.until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Chunk {
        let time = |text: &str| <Time>::try_from(text.as_bytes()).unwrap();
        let mut times = vec![
            (
                time("2026-11-23T00:00:00.000Z"),
                time("2026-11-23T01:00:00.000Z")
            );
            64
        ];
        times[1] = ([0; 24], [u8::MAX; 24]);
        Chunk {
            odd: 1 << 63,
            times,
            terms: vec![(5, 0b0111), (9, 0b1100)],
        }
    }

    fn asked(groups: Vec<Vec<u64>>, since: Option<&str>, until: Option<&str>) -> Asked {
        let bytes = |text: &str| text.as_bytes().to_vec();
        Asked {
            groups,
            since: since.map(bytes),
            until: until.map(bytes),
        }
    }

    #[test]
    fn a_row_reads_as_it_was_written_and_nothing_else_is_one() {
        let chunk = chunk();
        let bytes = chunk.encode();
        assert_eq!(Chunk::decode(&bytes), Some(chunk));
        for cut in [0, 7, 8, 100, bytes.len() - 1] {
            assert_eq!(Chunk::decode(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn all_groups_must_be_there_and_odd_bundles_always_are() {
        let odd = 1 << 63;
        let of = |asked: Asked| chunk().candidates(&asked);
        assert_eq!(of(asked(vec![], None, None)), u64::MAX);
        assert_eq!(of(asked(vec![vec![5], vec![9]], None, None)), 0b0100 | odd);
        assert_eq!(of(asked(vec![vec![5, 9]], None, None)), 0b1111 | odd);
        assert_eq!(of(asked(vec![vec![7]], None, None)), odd);
        // A bundle with a time that is none is in every span.
        assert_eq!(of(asked(vec![], Some("2026-11-24"), None)), 0b10 | odd);
        assert_eq!(of(asked(vec![], None, Some("2026-11-23"))), 0b10 | odd);
        assert_eq!(
            of(asked(
                vec![],
                Some("2026-11-23T01:00:00.000Z"),
                Some("2026-11-23T00:00:00.001Z")
            )),
            u64::MAX
        );
    }
}

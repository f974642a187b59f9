//! The entries after the published checkpoint: the journal, with its seals.

use std::collections::VecDeque;
use std::path::Path;

use bailiwick_tlog::{Checkpoint, CompactRange, Hash, TILE_WIDTH, VerifierKey};

use crate::journal::{Record, Records, seals_after_damage};
use crate::layout::{JOURNAL_DIR, read_if_there, segment_path, segments};
use crate::leaves::Leaves;
use crate::report::{Report, Tampering};

/// Follows the journal from the published checkpoint on.
pub(crate) struct Tail<'a> {
    dir: &'a Path,
    key: &'a VerifierKey,
    published: u64,
    last: Vec<Hash>,
    range: CompactRange,
    /// The tree at the latest signature, and the leaves since.
    sealed: CompactRange,
    since_seal: VecDeque<Hash>,
    known: Option<u64>,
    root_at_known: Option<Hash>,
    unfinished_bytes: u64,
}

impl<'a> Tail<'a> {
    pub(crate) fn new(
        dir: &'a Path,
        key: &'a VerifierKey,
        checkpoint: &Checkpoint,
        leaves: Leaves,
        known: Option<u64>,
    ) -> Self {
        Self {
            dir,
            key,
            published: checkpoint.size,
            sealed: leaves.full,
            since_seal: leaves.last.iter().copied().collect(),
            last: leaves.last,
            range: leaves.range,
            known,
            root_at_known: leaves.root_at_known,
            unfinished_bytes: 0,
        }
    }

    /// Number of whole entries.
    pub(crate) fn size(&self) -> u64 {
        self.range.size()
    }

    /// The tree at the latest signature.
    pub(crate) fn sealed(&self) -> &CompactRange {
        &self.sealed
    }

    pub(crate) fn unfinished_bytes(&self) -> u64 {
        self.unfinished_bytes
    }

    /// The root at the known size, if the log has that many sealed entries.
    pub(crate) fn root_at_known(&self) -> Option<Hash> {
        self.root_at_known
            .filter(|_| self.known.is_some_and(|known| known <= self.sealed.size()))
    }

    pub(crate) fn read(&mut self) -> Result<(), Report> {
        let first = self.published / TILE_WIDTH;
        let found = segments(self.dir).map_err(|error| {
            Report::of(None, JOURNAL_DIR, Tampering::Unreadable, error.to_string())
        })?;
        // Earlier segments were published whole; a crash may have kept the writer from removing them.
        let found: Vec<u64> = found
            .into_iter()
            .filter(|segment| *segment >= first)
            .collect();
        let last = found.last().copied();
        for (expected, segment) in (first..).zip(found) {
            if segment != expected {
                let at = (expected * TILE_WIDTH).max(self.size());
                return Err(self.report(
                    expected,
                    at,
                    Tampering::Removed,
                    "the journal's segment is missing",
                ));
            }
            self.segment(segment, Some(segment) == last)?;
        }
        self.seal_up_to(self.published);
        Ok(())
    }

    fn segment(&mut self, segment: u64, last: bool) -> Result<(), Report> {
        let first = segment * TILE_WIDTH;
        let bytes = read_if_there(&segment_path(self.dir, segment));
        let bytes = bytes.map_err(|error| {
            self.report(segment, first, Tampering::Unreadable, &error.to_string())
        })?;
        let Some(bytes) = bytes else {
            return Err(self.report(
                segment,
                first,
                Tampering::Removed,
                "the journal's segment is missing",
            ));
        };
        let mut records = Records::new(&bytes);
        let mut index = first;
        for record in records.by_ref() {
            match record {
                Record::Entry(_, hash) => {
                    self.entry(segment, index, hash)?;
                    index += 1;
                }
                Record::Seal(note) => self.seal(segment, index, note)?,
            }
        }
        let rest = records.rest();
        let sealed = seals_after_damage(rest).any(|note| Checkpoint::open(note, self.key).is_ok());
        if !rest.is_empty() && (sealed || !last || index < self.published) {
            let what = "damaged after it was written: signed entries follow it";
            return Err(self.report(segment, index, Tampering::Changed, what));
        }
        if index < self.published {
            return Err(self.report(
                segment,
                index,
                Tampering::Truncated,
                "the journal ends before what was published",
            ));
        }
        if !last && index != first + TILE_WIDTH {
            return Err(self.report(
                segment,
                index,
                Tampering::Removed,
                "the journal goes on in another segment",
            ));
        }
        self.unfinished_bytes = rest.len() as u64;
        Ok(())
    }

    fn entry(&mut self, segment: u64, index: u64, hash: Hash) -> Result<(), Report> {
        if index >= (segment + 1) * TILE_WIDTH {
            return Err(self.report(
                segment,
                index,
                Tampering::Inserted,
                "a segment holds 256 entries",
            ));
        }
        if index < self.published {
            let at = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
            if self.last.get(at) == Some(&hash) {
                return Ok(());
            }
            let to = self.last.iter().position(|signed| *signed == hash);
            let detail = match to {
                Some(to) => format!(
                    "entry {} of the published ones stands in its place",
                    segment * TILE_WIDTH + to as u64
                ),
                None => "the journal has another entry than was published".to_owned(),
            };
            return Err(self.report(segment, index, Tampering::Changed, &detail));
        }
        self.range.push(hash);
        self.since_seal.push_back(hash);
        if self.known == Some(self.range.size()) {
            self.root_at_known = Some(self.range.root());
        }
        Ok(())
    }

    fn seal(&mut self, segment: u64, index: u64, note: &str) -> Result<(), Report> {
        let seal = Checkpoint::open(note, self.key).map_err(|error| {
            self.report(
                segment,
                index,
                Tampering::CheckpointChanged,
                &format!("a seal: {error}"),
            )
        })?;
        if seal.size > index {
            let detail = format!("a seal covers {} entries", seal.size);
            return Err(self.report(segment, index, Tampering::Removed, &detail));
        }
        let from = self.sealed.size();
        self.seal_up_to(seal.size);
        if self.sealed.size() == seal.size && self.sealed.root() != seal.root {
            let until = seal.size.saturating_sub(1);
            let detail =
                format!("of the entries {from} to {until} that a seal covers, at least one");
            return Err(self.report(segment, from, Tampering::Changed, &detail));
        }
        Ok(())
    }

    fn seal_up_to(&mut self, size: u64) {
        while self.sealed.size() < size {
            let Some(hash) = self.since_seal.pop_front() else {
                break;
            };
            self.sealed.push(hash);
        }
    }

    fn report(&self, segment: u64, index: u64, tampering: Tampering, detail: &str) -> Report {
        Report::of(
            Some(index),
            &format!("{JOURNAL_DIR}/{segment:012}"),
            tampering,
            detail,
        )
    }
}

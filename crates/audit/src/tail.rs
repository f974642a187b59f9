//! The entries after the published checkpoint: the journal, with its seals.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_tlog::{Checkpoint, CompactRange, Hash, TILE_WIDTH, TileKind, VerifierKey};

use crate::journal::{Record, Records, SEALS_OF_NO_CRASH, seals_after_damage};
use crate::layout::{JOURNAL_DIR, segment_path};
use crate::report::{Report, Tampering};
use crate::verify::entries::EntryCheck;
use crate::verify::files::{
    Fetched, MAX_BUNDLE_BYTES, MAX_SEGMENT_BYTES, MAX_TILE_BYTES, fetch, hashes_of, split_bundle,
    tile_name,
};
use crate::verify::kept::Sweep;
use crate::verify::sealed::SealedCheck;

/// What a writer that takes up a torn journal calls the parts that it cuts as a whole, until that is recorded.
const CUT: &str = "cut";

/// Follows the journal from the published checkpoint on. What is kept grows with the entries since the latest seal, not
/// with the log.
pub(crate) struct Tail<'a> {
    dir: &'a Path,
    key: &'a VerifierKey,
    published: u64,
    /// Leaf hashes of the partial last bundle that is published.
    last: Vec<Hash>,
    range: CompactRange,
    /// The tree at the latest signature, and the leaves since.
    sealed: CompactRange,
    since_seal: VecDeque<Hash>,
    /// Leaves of the bundle whose segment is being read.
    bundle: Vec<Hash>,
    sweep: Sweep<'a>,
    /// What a crash left: bytes, the seals that hold in them, and where it begins.
    torn: u64,
    torn_seals: Vec<Checkpoint>,
    torn_at: Option<(u64, u64)>,
    /// A whole segment is missing there.
    gap: bool,
}

impl<'a> Tail<'a> {
    /// From the tree over the full published bundles, `full`, and the leaves of the partial one after them.
    pub(crate) fn new(
        dir: &'a Path,
        key: &'a VerifierKey,
        full: CompactRange,
        last: Vec<Hash>,
        kept: &'a [crate::verify::Kept],
    ) -> Self {
        let mut range = full.clone();
        last.iter().for_each(|leaf| range.push(*leaf));
        Self {
            dir,
            key,
            published: range.size(),
            sweep: Sweep::after(kept, range.size()),
            sealed: full,
            since_seal: last.iter().copied().collect(),
            last,
            range,
            bundle: Vec::new(),
            torn: 0,
            torn_seals: Vec::new(),
            torn_at: None,
            gap: false,
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
        self.torn
    }

    /// The roots at the sizes of the kept checkpoints, as far as the log is signed there.
    pub(crate) fn roots(&self, kept: &[crate::verify::Kept]) -> Vec<Option<Hash>> {
        let signed = |at: usize| {
            kept.get(at)
                .is_some_and(|kept| kept.checkpoint.size <= self.sealed.size())
        };
        let roots = self.sweep.roots.iter().enumerate();
        roots
            .map(|(at, root)| root.filter(|_| signed(at)))
            .collect()
    }

    /// Counts what the checkpoint covers as signed, also where no seal is left.
    pub(crate) fn settle(&mut self) {
        self.seal_up_to(self.published);
    }

    pub(crate) fn read(
        &mut self,
        check: &mut EntryCheck,
        sealed: &mut SealedCheck,
    ) -> Result<(), Report> {
        let first = self.published / TILE_WIDTH;
        let (found, cut) = self.list(first).map_err(|error| {
            Report::of(None, JOURNAL_DIR, Tampering::Unreadable, error.to_string())
        })?;
        let mut expected = first;
        for segment in found {
            let follows = segment == expected && self.size() >= segment * TILE_WIDTH;
            if follows && self.torn_at.is_none() {
                self.segment(segment, check, sealed)?;
                expected += 1;
            } else {
                self.tear_file(expected, segment_path(self.dir, segment))?;
            }
        }
        for path in cut {
            self.tear_file(expected, path)?;
        }
        if let Some((segment, at)) = self.torn_at
            && self.torn_seals.len() >= SEALS_OF_NO_CRASH
        {
            let (tampering, what) = if self.gap {
                (
                    Tampering::Removed,
                    "the journal's segment is missing: signed entries follow it",
                )
            } else {
                (
                    Tampering::Changed,
                    "damaged after it was written: signed entries follow it",
                )
            };
            return Err(self.report(segment, at, tampering, what));
        }
        self.seal_up_to(self.published);
        Ok(())
    }

    /// The segments that hold what is not published, and what is being cut of them. Earlier ones were published whole;
    /// a crash may have kept the writer from removing them.
    fn list(&self, first: u64) -> std::io::Result<(Vec<u64>, Vec<PathBuf>)> {
        let listing = match fs::read_dir(self.dir.join(JOURNAL_DIR)) {
            Ok(listing) => listing,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((Vec::new(), Vec::new()));
            }
            Err(error) => return Err(error),
        };
        let (mut found, mut cut) = (Vec::new(), Vec::new());
        for item in listing {
            let path = item?.path();
            if path.extension().is_some_and(|extension| extension == CUT) {
                cut.push(path);
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(segment) = name.and_then(|name| name.parse::<u64>().ok()) else {
                continue;
            };
            if segment >= first && segment_path(self.dir, segment) == path {
                found.push(segment);
            }
        }
        found.sort_unstable();
        cut.sort();
        Ok((found, cut))
    }

    fn fetch(&self, segment: u64, path: &Path, into: &mut Vec<u8>) -> Result<(), Report> {
        let first = segment * TILE_WIDTH;
        match fetch(path, MAX_SEGMENT_BYTES, into) {
            Fetched::Whole => Ok(()),
            Fetched::Missing => {
                let what = "the journal's segment is missing";
                Err(self.report(segment, first, Tampering::Removed, what))
            }
            Fetched::Bad(why) => Err(self.report(segment, first, Tampering::Unreadable, &why)),
        }
    }

    /// Power loss undoes any part of what no finished flush wrote; what comes after it is no entry of the log.
    fn tear_file(&mut self, segment: u64, path: PathBuf) -> Result<(), Report> {
        let mut bytes = Vec::new();
        self.fetch(segment, &path, &mut bytes)?;
        let at = self.size();
        self.gap |= self.torn_at.is_none();
        self.tear(segment, at, &bytes);
        Ok(())
    }

    fn tear(&mut self, segment: u64, at: u64, bytes: &[u8]) {
        self.torn += bytes.len() as u64;
        self.torn_at.get_or_insert((segment, at));
        for note in seals_after_damage(bytes) {
            if self.torn_seals.len() < SEALS_OF_NO_CRASH
                && let Ok(seal) = Checkpoint::open(note, self.key)
                && !self.torn_seals.contains(&seal)
            {
                self.torn_seals.push(seal);
            }
        }
    }

    fn segment(
        &mut self,
        segment: u64,
        check: &mut EntryCheck,
        sealed: &mut SealedCheck,
    ) -> Result<(), Report> {
        let first = segment * TILE_WIDTH;
        let mut bytes = Vec::new();
        self.fetch(segment, &segment_path(self.dir, segment), &mut bytes)?;
        let mut records = Records::new(&bytes);
        let mut index = first;
        self.bundle.clear();
        let file = format!("{JOURNAL_DIR}/{segment:012}");
        while let Some(record) = records.next() {
            match record {
                Record::Entry(entry, hash) => {
                    self.entry(segment, index, hash)?;
                    if index >= self.published {
                        check.entry(index, entry);
                    }
                    sealed.record(index, entry, records.openings(), &file);
                    index += 1;
                }
                Record::Seal(note) => self.seal(segment, index, note)?,
            }
        }
        let rest = records.rest();
        if index < self.published {
            let (tampering, what) = if rest.is_empty() {
                (
                    Tampering::Truncated,
                    "the journal ends before what was published",
                )
            } else {
                (
                    Tampering::Changed,
                    "it was published, and cannot be read in the journal",
                )
            };
            return Err(self.report(segment, index, tampering, what));
        }
        if !rest.is_empty() {
            self.tear(segment, index, rest);
        }
        self.waiting(segment)
    }

    /// Bundles that were written, and not yet published: readers look there before they look into the journal.
    fn waiting(&self, segment: u64) -> Result<(), Report> {
        let mut bytes = Vec::new();
        let mut found = Vec::new();
        let first = segment * TILE_WIDTH;
        for kind in [TileKind::Entries, TileKind::Hashes(0)] {
            let name = tile_name(kind, segment, TILE_WIDTH);
            let path = self.dir.join(&name);
            let limit = match kind {
                TileKind::Entries => MAX_BUNDLE_BYTES,
                TileKind::Hashes(_) => MAX_TILE_BYTES,
            };
            match fetch(&path, limit, &mut bytes) {
                Fetched::Missing => continue,
                Fetched::Bad(why) => {
                    return Err(Report::of(Some(first), &name, Tampering::Unreadable, why));
                }
                Fetched::Whole if kind == TileKind::Entries => {
                    split_bundle(&bytes, &mut found, |_, _| {});
                }
                Fetched::Whole => found = hashes_of(&bytes),
            }
            // More than the journal has is found by who looks at the tiles' names.
            let differing = found.iter().zip(&self.bundle).position(|(a, b)| a != b);
            if let Some(at) = differing {
                let (tampering, what) = match kind {
                    TileKind::Entries => (Tampering::Changed, "it is not what the journal has"),
                    TileKind::Hashes(_) => (Tampering::HashChanged, "the hash of this entry"),
                };
                return Err(Report::of(Some(first + at as u64), &name, tampering, what));
            }
        }
        Ok(())
    }

    fn entry(&mut self, segment: u64, index: u64, hash: Hash) -> Result<(), Report> {
        if index >= (segment + 1) * TILE_WIDTH {
            let what = "a segment holds 256 entries";
            return Err(self.report(segment, index, Tampering::Inserted, what));
        }
        self.bundle.push(hash);
        if index < self.published {
            let at = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
            if self.last.get(at) == Some(&hash) {
                return Ok(());
            }
            let to = self.last.iter().position(|signed| *signed == hash);
            let (tampering, detail) = match to {
                Some(to) => (
                    Tampering::Removed,
                    format!(
                        "entry {} of the published ones stands in its place",
                        segment * TILE_WIDTH + to as u64
                    ),
                ),
                None => (
                    Tampering::Changed,
                    "the journal has another entry than was published".to_owned(),
                ),
            };
            return Err(self.report(segment, index, tampering, &detail));
        }
        self.range.push(hash);
        self.since_seal.push_back(hash);
        if self.sweep.wanted() == Some(self.range.size()) {
            self.sweep.take(self.range.root());
        }
        Ok(())
    }

    fn seal(&mut self, segment: u64, index: u64, note: &str) -> Result<(), Report> {
        let seal = Checkpoint::open(note, self.key).map_err(|error| {
            let detail = format!("a seal: {error}");
            let tampering = Tampering::of_checkpoint(&error);
            self.report(segment, index, tampering, &detail)
        })?;
        if seal.size > index {
            let detail = format!("a seal covers {} entries", seal.size);
            return Err(self.report(segment, index, Tampering::Removed, &detail));
        }
        let from = self.sealed.size();
        self.seal_up_to(seal.size);
        if self.sealed.size() != seal.size || self.sealed.root() == seal.root {
            return Ok(());
        }
        let file = format!("{JOURNAL_DIR}/{segment:012}");
        let until = seal.size.saturating_sub(1);
        let mut report = Report::new();
        if seal.size <= self.published {
            let detail = "a seal and the checkpoint, both signed, are over different entries";
            report.add_range(0, until, &file, Tampering::Forked, detail);
        } else {
            let detail = "at least one of the entries that a seal covers";
            report.add_range(from.min(until), until, &file, Tampering::Changed, detail);
        }
        Err(report)
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
        let file = format!("{JOURNAL_DIR}/{segment:012}");
        Report::of(Some(index), &file, tampering, detail)
    }
}

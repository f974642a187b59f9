//! Taking up what the journal holds beyond the published checkpoint, after a writer that did not close the log.
//!
//! What is taken up is written anew, in files that take the place of the old ones at once: after a flush that failed,
//! what can be read of a file need not be on the disk. The last of them ends with the entry that says what was done, so
//! that nothing is cut without its record.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_tlog::{
    Checkpoint, CompactRange, Hash, SigningKey, TILE_WIDTH, decode_bundle, leaf_hash,
};
use sha2::{Digest as _, Sha256};

use crate::argument::hex;
use crate::bundle::Bundle;
use crate::clock::{entry_time, format_time};
use crate::disk::Disk;
use crate::encode::encode;
use crate::error::AuditError;
use crate::event::{ENTRY_VERSION, Entry, Event};
use crate::folders::Folders;
use crate::journal::{Record, Records, SEALS_OF_NO_CRASH, put_entry, put_seal, seals_after_damage};
use crate::layout::{JOURNAL_DIR, list, remove_if_there, segment_path, segments_on};
use crate::openings::decode_openings;
use crate::subject::Subject;

/// What a segment that is cut as a whole is called after its name until its cut is recorded.
const CUT: &str = "cut";

/// The log as it goes on.
pub(crate) struct Replayed {
    pub(crate) range: CompactRange,
    pub(crate) bundle: Bundle,
    pub(crate) full: VecDeque<Arc<Bundle>>,
    pub(crate) last_time: Duration,
    /// Where the records of the bundle's own segment end, if it has one.
    pub(crate) segment_end: Option<u64>,
}

pub(crate) struct Replay<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    key: &'a SigningKey,
    published: u64,
    /// The tree at the last signature, and the leaves since.
    sealed: CompactRange,
    since_seal: VecDeque<Hash>,
    range: CompactRange,
    bundle: Bundle,
    full: VecDeque<Arc<Bundle>>,
    last_time: Duration,
    /// The whole records of each segment.
    whole: Vec<(u64, Vec<u8>)>,
    torn: Option<Torn>,
}

/// What a crash left unfinished: everything from some place in the journal on.
#[derive(Default)]
struct Torn {
    bytes: u64,
    digest: Sha256,
    seals: Vec<Checkpoint>,
}

impl Torn {
    fn take(&mut self, bytes: &[u8], key: &SigningKey) {
        self.bytes += bytes.len() as u64;
        self.digest.update(bytes);
        for note in seals_after_damage(bytes) {
            if let Ok(seal) = Checkpoint::open(note, key.verifier())
                && !self.seals.contains(&seal)
            {
                self.seals.push(seal);
            }
        }
    }
}

impl<'a> Replay<'a> {
    /// From the published tree and its partial bundle, whose last entry is of `last_time`.
    pub(crate) fn new(
        disk: &'a dyn Disk,
        dir: &'a Path,
        key: &'a SigningKey,
        range: CompactRange,
        bundle: Bundle,
        last_time: Duration,
    ) -> Self {
        Self {
            disk,
            dir,
            key,
            published: range.size(),
            sealed: range.clone(),
            since_seal: VecDeque::new(),
            range,
            bundle,
            full: VecDeque::new(),
            last_time,
            whole: Vec::new(),
            torn: None,
        }
    }

    /// Reads the journal, and writes anew what is taken up. `check` is given the number of entries, the last one's
    /// time, and whether there is something to record, before anything is changed, and says what time it is.
    pub(crate) fn run(
        mut self,
        check: impl FnOnce(u64, Duration, bool) -> Result<Duration, AuditError>,
    ) -> Result<Replayed, AuditError> {
        let first = self.published / TILE_WIDTH;
        let found = segments_on(self.disk, self.dir)?;
        let (stale, found): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|segment| *segment < first);
        let cut = self.read(first, &found)?;
        self.check_torn()?;
        let unclosed = self.range.size() > self.published || self.torn.is_some();
        let now = check(self.range.size(), self.last_time, unclosed)?;
        for segment in stale {
            remove_if_there(self.disk, &segment_path(self.dir, segment))?;
        }
        let segment_end = if unclosed {
            self.recover(&cut, now)?
        } else if found.is_empty() {
            self.rebuild()?
        } else {
            self.whole.last().map(|(_, bytes)| bytes.len() as u64)
        };
        Ok(Replayed {
            range: self.range,
            bundle: self.bundle,
            full: self.full,
            last_time: self.last_time,
            segment_end,
        })
    }

    /// Takes up the segments as far as they are whole, and gives the files that are to be cut as a whole.
    fn read(&mut self, first: u64, found: &[u64]) -> Result<Vec<PathBuf>, AuditError> {
        let journal = self.dir.join(JOURNAL_DIR);
        let mut cut: Vec<PathBuf> = list(self.disk, &journal)?
            .into_iter()
            .map(|(name, _)| journal.join(name))
            .filter(|path| path.extension().is_some_and(|extension| extension == CUT))
            .collect();
        cut.sort();
        let mut expected = first;
        for segment in found {
            let path = segment_path(self.dir, *segment);
            let whole = *segment == expected && self.range.size() >= segment * TILE_WIDTH;
            if whole && self.torn.is_none() {
                self.segment(*segment, &path)?;
                expected += 1;
            } else {
                cut.push(path);
            }
        }
        for path in &cut {
            let bytes = self.disk.read(path).map_err(AuditError::io("read", path))?;
            let torn = self.torn.get_or_insert_default();
            torn.take(&bytes, self.key);
        }
        Ok(cut)
    }

    fn segment(&mut self, segment: u64, path: &Path) -> Result<(), AuditError> {
        let bytes = self.disk.read(path).map_err(AuditError::io("read", path))?;
        let mut records = Records::new(&bytes);
        let mut index = segment * TILE_WIDTH;
        while let Some(record) = records.next() {
            match record {
                Record::Entry(entry, hash) => {
                    self.entry(index, entry, hash, records.openings())?;
                    index += 1;
                }
                Record::Seal(note) => self.seal(note, index)?,
            }
        }
        self.check_newest(records.published())?;
        if index < self.published {
            return Err(self.damaged(format!(
                "the journal ends at entry {index}, before what was published"
            )));
        }
        let rest = records.rest();
        if !rest.is_empty() {
            let torn = self.torn.get_or_insert_default();
            torn.take(rest, self.key);
        }
        let whole = bytes.get(..records.whole()).unwrap_or_default();
        self.whole.push((segment, whole.to_vec()));
        Ok(())
    }

    fn entry(
        &mut self,
        index: u64,
        entry: &[u8],
        hash: Hash,
        openings: &[u8],
    ) -> Result<(), AuditError> {
        // No signature covers them, so what does not read is as good as erased.
        let openings = decode_openings(openings).unwrap_or_default();
        if index < self.published {
            let place = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
            if self.bundle.hashes.get(place) != Some(&hash) {
                return Err(self.damaged(format!(
                    "entry {index} in the journal is not the one that was published"
                )));
            }
            self.bundle.open(place, openings);
            return Ok(());
        }
        if index / TILE_WIDTH != self.bundle.index {
            return Err(self.damaged(format!(
                "a journal segment goes on beyond its last entry, {index}"
            )));
        }
        self.last_time = entry_time(entry).unwrap_or(self.last_time);
        self.push(entry, hash, openings)
    }

    fn push(
        &mut self,
        entry: &[u8],
        hash: Hash,
        openings: Vec<crate::openings::Opening>,
    ) -> Result<(), AuditError> {
        self.range.push(hash);
        self.since_seal.push_back(hash);
        self.bundle.push(entry, hash, openings)?;
        if self.bundle.is_full() {
            self.full.push_back(self.bundle.turn_over());
        }
        Ok(())
    }

    fn seal(&mut self, note: &str, index: u64) -> Result<(), AuditError> {
        let seal = Checkpoint::open(note, self.key.verifier()).map_err(|error| {
            self.damaged(format!(
                "a seal before entry {index} does not hold: {error}"
            ))
        })?;
        if seal.size > index {
            let why = format!(
                "the journal lacks entries before {}, which a seal covers",
                seal.size
            );
            return Err(self.damaged(why));
        }
        while self.sealed.size() < seal.size {
            let Some(hash) = self.since_seal.pop_front() else {
                break;
            };
            self.sealed.push(hash);
        }
        if self.sealed.size() == seal.size && self.sealed.root() != seal.root {
            return Err(self.damaged(format!(
                "entries before {} are not those that a seal covers",
                seal.size
            )));
        }
        Ok(())
    }

    /// The journal notes a checkpoint only once it is in its place for good.
    fn check_newest(&self, note: Option<&str>) -> Result<(), AuditError> {
        let newest = note.and_then(|note| Checkpoint::open(note, self.key.verifier()).ok());
        match newest {
            Some(newest) if newest.size > self.published => Err(self.damaged(format!(
                "its checkpoint was put back: it signs {} entries, and one over {} was published",
                self.published, newest.size
            ))),
            _ => Ok(()),
        }
    }

    /// Whether a crash can have done this: power loss undoes only what no finished flush wrote.
    fn check_torn(&self) -> Result<(), AuditError> {
        match &self.torn {
            Some(torn) if torn.seals.len() >= SEALS_OF_NO_CRASH => Err(self.damaged(format!(
                "entry {} in the journal was damaged after it was written",
                self.range.size()
            ))),
            _ => Ok(()),
        }
    }

    /// Records the recovery at the end of what is whole, and has all of it on the disk. In this order: what is cut as a
    /// whole gets out of the way, is recorded, is removed.
    fn recover(&mut self, cut: &[PathBuf], now: Duration) -> Result<Option<u64>, AuditError> {
        let mut folders = Folders::default();
        let aside: Vec<PathBuf> = cut.iter().map(|path| path.with_extension(CUT)).collect();
        folders.make(self.disk, self.dir, &self.dir.join(JOURNAL_DIR))?;
        for (from, to) in cut.iter().zip(&aside).filter(|(from, to)| from != to) {
            self.disk
                .rename(from, to)
                .map_err(AuditError::io("move away", from))?;
        }
        folders.sync(self.disk)?;

        let entry = self.recovery(now)?;
        let hash = leaf_hash(&entry);
        let segment = self.range.size() / TILE_WIDTH;
        if self.whole.last().is_none_or(|(last, _)| *last != segment) {
            let published = if segment == self.published / TILE_WIDTH {
                self.published_records()?
            } else {
                Vec::new()
            };
            self.whole.push((segment, published));
        }
        self.push(&entry, hash, Vec::new())?;
        self.last_time = now;
        let checkpoint = Checkpoint {
            origin: self.key.verifier().name().to_owned(),
            size: self.range.size(),
            root: self.range.root(),
        };
        let seal = checkpoint
            .sign(self.key)
            .map_err(|error| AuditError::Encode(error.to_string()))?;
        let mut end = 0;
        if let Some((_, bytes)) = self.whole.last_mut() {
            put_entry(&entry, &hash, bytes);
            put_seal(&seal, bytes);
            end = bytes.len() as u64;
        }
        for (segment, bytes) in &self.whole {
            let path = segment_path(self.dir, *segment);
            folders.replace(self.disk, self.dir, &path, bytes)?;
        }
        folders.sync(self.disk)?;
        for path in aside {
            remove_if_there(self.disk, &path)?;
        }
        Ok((segment == self.bundle.index).then_some(end))
    }

    fn recovery(&mut self, now: Duration) -> Result<Vec<u8>, AuditError> {
        let torn = self.torn.take();
        let event = Event::Recovery {
            kept: self.range.size() - self.published,
            unsealed: self.range.size() - self.sealed.size(),
            cut_bytes: torn.as_ref().map_or(0, |torn| torn.bytes),
            cut_sha256: torn.map(|torn| hex(&torn.digest.finalize())),
        };
        // Nothing in it is personal, so nothing opens it.
        let entry = Entry {
            v: ENTRY_VERSION,
            time: format_time(now),
            subject: Subject::default(),
            event,
        };
        Ok(encode(&entry, &[])?.json)
    }

    /// A journal that is gone is made again from the published bundle: nothing that was published is lost with it.
    fn rebuild(&self) -> Result<Option<u64>, AuditError> {
        let bytes = self.published_records()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let path = segment_path(self.dir, self.bundle.index);
        let mut folders = Folders::default();
        folders.replace(self.disk, self.dir, &path, &bytes)?;
        folders.sync(self.disk)?;
        Ok(Some(bytes.len() as u64))
    }

    /// The published bundle as records. What opens it was in the journal alone.
    fn published_records(&self) -> Result<Vec<u8>, AuditError> {
        let mut bytes = Vec::new();
        let entries = decode_bundle(&self.bundle.bytes)
            .map_err(|error| AuditError::Encode(error.to_string()))?;
        for (entry, hash) in entries.into_iter().zip(&self.bundle.hashes) {
            put_entry(entry, hash, &mut bytes);
        }
        Ok(bytes)
    }

    fn damaged(&self, why: impl Into<String>) -> AuditError {
        AuditError::damaged(self.dir, why)
    }
}

//! What writers and committer share: the tree's edge, the bundle being filled, and who flushes for whom.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_tlog::{Checkpoint, CompactRange, Hash, SigningKey};

use crate::bundle::{Bundle, Segment};
use crate::clock::Clock;
use crate::disk::{Disk, DiskFile, Held, OpenAs};
use crate::error::AuditError;
use crate::folders::sync_folder;
use crate::journal::{put_entry, put_openings, put_published, put_seal};
use crate::layout::{JOURNAL_DIR, segment_path};
use crate::openings::{Opening, encode_openings};
use crate::turn::{Turn, Word};

/// How many full bundles may wait to be published before writers wait for the disk: bounds memory when plugins make
/// entries faster than the disk takes them.
const MAX_WAITING_BUNDLES: usize = 256;
/// Full bundles that are worth waking the committer for before its time.
pub(crate) const WAKE_BUNDLES: usize = 16;
/// An open log's inside.
pub(crate) struct Inner {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) publish_within: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    /// Names and home folders of people.
    pub(crate) persons: Vec<String>,
    pub(crate) state: Mutex<State>,
    /// Wakes the committer.
    pub(crate) work: Condvar,
    /// Wakes writers that wait for bundles to be published.
    pub(crate) room: Condvar,
    /// Held while the published checkpoint is replaced.
    pub(crate) checkpoint_file: Mutex<()>,
    /// Held for as long as the log is open.
    pub(crate) _lock: Box<dyn Held>,
}

/// The mutable part; everything that enters the journal does so in the order in which this lock was held.
pub(crate) struct State {
    pub(crate) range: CompactRange,
    pub(crate) bundle: Bundle,
    pub(crate) segment: Option<Segment>,
    /// Records of durable appends that their flush will write; whatever is written first writes them first.
    unwritten: Vec<u8>,
    /// Full bundles, not yet published.
    pub(crate) full: VecDeque<Arc<Bundle>>,
    /// Segments written to since the last flush, the current one excluded.
    unflushed: Vec<Arc<dyn DiskFile>>,
    /// Whether a segment was created since its folder was flushed.
    new_segment: bool,
    /// Time of the last entry since 1970; none is earlier.
    pub(crate) last_time: Duration,
    /// Entries on the disk and sealed.
    durable: u64,
    /// Entries behind the published checkpoint.
    pub(crate) published: u64,
    /// A thread is flushing, or has been told to.
    flushing: bool,
    waiters: Vec<(u64, Arc<Turn>)>,
    /// The committer sleeps until there is something to do.
    pub(crate) idle: bool,
    pub(crate) closing: bool,
    poisoned: Option<Arc<str>>,
}

impl State {
    /// A state in which everything is durable, and the first `published` entries are published.
    pub(crate) fn new(range: CompactRange, bundle: Bundle, published: u64) -> Self {
        Self {
            durable: range.size(),
            range,
            bundle,
            segment: None,
            unwritten: Vec::new(),
            full: VecDeque::new(),
            unflushed: Vec::new(),
            new_segment: false,
            last_time: Duration::ZERO,
            published,
            flushing: false,
            waiters: Vec::new(),
            idle: false,
            closing: false,
            poisoned: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), AuditError> {
        match &self.poisoned {
            Some(why) => Err(AuditError::Poisoned {
                why: Arc::clone(why),
            }),
            None => Ok(()),
        }
    }
}

/// Stops the writers should a thread that flushes or signs ever panic: entries that nobody seals must not pile up.
pub(crate) struct PoisonOnPanic<'a>(pub(crate) &'a Inner);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison("a thread panicked while it signed the log");
        }
    }
}

impl Inner {
    /// A panic while the lock was held leaves the log unusable, but not the gate's other threads.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| {
            let mut state = broken.into_inner();
            state
                .poisoned
                .get_or_insert_with(|| Arc::from("a thread panicked while it wrote the log"));
            state
        })
    }

    /// Lets nothing more be written, for `why`.
    pub(crate) fn poison(&self, why: &str) {
        let mut state = self.lock();
        state.poisoned.get_or_insert_with(|| Arc::from(why));
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        for (_, turn) in waiters {
            turn.tell(Word::Stopped);
        }
        self.room.notify_all();
        self.work.notify_all();
    }

    /// The state, once there is room for another entry.
    pub(crate) fn lock_with_room(&self) -> Result<MutexGuard<'_, State>, AuditError> {
        let mut state = self.lock();
        loop {
            state.check()?;
            if state.closing {
                return Err(AuditError::Closed);
            }
            if state.full.len() < MAX_WAITING_BUNDLES {
                return Ok(state);
            }
            self.work.notify_one();
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Adds an entry to the tree, and to the journal: at once, or with the flush that its writer is about to wait for.
    pub(crate) fn push(
        &self,
        mut state: MutexGuard<'_, State>,
        entry: &[u8],
        hash: Hash,
        openings: Vec<Opening>,
        at_once: bool,
    ) -> Result<u64, AuditError> {
        let index = state.range.size();
        if let Err(error) = self.add(&mut state, entry, hash, openings, at_once) {
            drop(state);
            self.poison(&error.to_string());
            return Err(error);
        }
        if std::mem::take(&mut state.idle) || state.full.len() == WAKE_BUNDLES {
            self.work.notify_one();
        }
        Ok(index)
    }

    fn add(
        &self,
        state: &mut State,
        entry: &[u8],
        hash: Hash,
        openings: Vec<Opening>,
        at_once: bool,
    ) -> Result<(), AuditError> {
        if !openings.is_empty() {
            put_openings(&encode_openings(&openings), &mut state.unwritten);
        }
        put_entry(entry, &hash, &mut state.unwritten);
        state.range.push(hash);
        state.bundle.push(entry, hash, openings)?;
        let full = state.bundle.is_full();
        if at_once || full {
            self.write(state)?;
        }
        if full {
            let full = state.bundle.turn_over();
            state.full.push_back(full);
            let segment = state.segment.take();
            state.unflushed.extend(segment.map(|segment| segment.file));
        }
        Ok(())
    }

    /// Hands what is unwritten to the operating system.
    fn write(&self, state: &mut State) -> Result<(), AuditError> {
        let path = segment_path(&self.dir, state.bundle.index);
        let segment = match &mut state.segment {
            Some(segment) => segment,
            none => {
                let file = self.disk.open(&path, OpenAs::Empty);
                let file = Arc::from(file.map_err(AuditError::io("open", &path))?);
                state.new_segment = true;
                none.insert(Segment {
                    file,
                    at: 0,
                    length: 0,
                })
            }
        };
        segment
            .write(&mut state.unwritten)
            .map_err(AuditError::io("write", &path))?;
        state.unwritten.clear();
        Ok(())
    }

    /// Returns when the first `size` entries are sealed and on the disk. One thread flushes for all that wait, and then
    /// tells the first of those that came meanwhile to flush for the rest.
    pub(crate) fn make_durable(&self, size: u64) -> Result<(), AuditError> {
        let mut state = self.lock();
        loop {
            if state.durable >= size {
                return Ok(());
            }
            state.check()?;
            if !state.flushing {
                state.flushing = true;
                break;
            }
            let turn = Turn::new();
            state.waiters.push((size, Arc::clone(&turn)));
            drop(state);
            match turn.wait() {
                Word::Durable => return Ok(()),
                Word::Flush => {
                    state = self.lock();
                    break;
                }
                Word::Wait | Word::Stopped => state = self.lock(),
            }
        }
        let _on_panic = PoisonOnPanic(self);
        match self.flush_once(state) {
            Ok(durable) => {
                self.hand_over(durable);
                Ok(())
            }
            Err(error) => {
                self.poison(&error.to_string());
                Err(error)
            }
        }
    }

    /// Notes that the first `durable` entries are, and wakes whom it concerns: the next to flush first.
    fn hand_over(&self, durable: u64) {
        let mut state = self.lock();
        state.durable = state.durable.max(durable);
        let (done, mut rest): (Vec<_>, Vec<_>) = std::mem::take(&mut state.waiters)
            .into_iter()
            .partition(|(size, _)| *size <= durable);
        let next = (!rest.is_empty()).then(|| rest.remove(0));
        state.flushing = next.is_some();
        state.waiters = rest;
        drop(state);
        if let Some((_, turn)) = next {
            turn.tell(Word::Flush);
        }
        for (_, turn) in done {
            turn.tell(Word::Durable);
        }
    }

    /// Seals and flushes what is there now. The signature is made while others append; entry and seal are one write.
    fn flush_once(&self, state: MutexGuard<'_, State>) -> Result<u64, AuditError> {
        state.check()?;
        let checkpoint = self.checkpoint(&state.range);
        drop(state);
        let seal = self.sign(&checkpoint)?;

        let mut state = self.lock();
        state.check()?;
        put_seal(&seal, &mut state.unwritten);
        self.write(&mut state)?;
        let mut files = std::mem::take(&mut state.unflushed);
        files.extend(
            state
                .segment
                .as_ref()
                .map(|segment| Arc::clone(&segment.file)),
        );
        let new_segment = std::mem::take(&mut state.new_segment);
        drop(state);

        let journal = self.dir.join(JOURNAL_DIR);
        for file in &files {
            file.sync_data()
                .map_err(AuditError::io("flush", &journal))?;
        }
        if new_segment {
            sync_folder(&*self.disk, &journal)?;
        }
        Ok(checkpoint.size)
    }

    /// Notes in the journal, with what is written to it next, that a checkpoint was published.
    pub(crate) fn note_published(&self, state: &mut State, note: &str) {
        if state.segment.is_some() {
            put_published(note, &mut state.unwritten);
        }
    }

    /// Leaves a journal without room written ahead, unless an error stopped it.
    pub(crate) fn end(&self) -> Result<(), AuditError> {
        let mut state = self.lock();
        if state.poisoned.is_some() || state.segment.is_none() {
            return Ok(());
        }
        self.write(&mut state)?;
        let path = segment_path(&self.dir, state.bundle.index);
        match state.segment.take() {
            Some(segment) => segment
                .file
                .set_len(segment.at)
                .map_err(AuditError::io("cut", &path)),
            None => Ok(()),
        }
    }

    pub(crate) fn checkpoint(&self, range: &CompactRange) -> Checkpoint {
        Checkpoint {
            origin: self.key.verifier().name().to_owned(),
            size: range.size(),
            root: range.root(),
        }
    }

    pub(crate) fn sign(&self, checkpoint: &Checkpoint) -> Result<String, AuditError> {
        checkpoint
            .sign(&self.key)
            .map_err(|error| AuditError::Encode(error.to_string()))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

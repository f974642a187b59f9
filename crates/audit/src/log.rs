//! The log as its writers see it: append, and append durably.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bailiwick_tlog::{
    Checkpoint, CompactRange, Hash, SigningKey, TILE_WIDTH, VerifierKey, encode_entry, leaf_hash,
};

use crate::clock::{Clock, SystemClock, format_time};
use crate::encode::encode;
use crate::error::AuditError;
use crate::event::{ENTRY_VERSION, Entry, Event, Subject};
use crate::journal::{put_entry, put_seal};
use crate::layout::{open_segment, segment_path};
use crate::{publish, recover};

/// How many full bundles may wait to be published before writers wait for the disk: bounds memory when plugins make
/// entries faster than the disk takes them.
const MAX_WAITING_BUNDLES: usize = 256;
/// Full bundles that are worth waking the committer for before its time.
pub(crate) const WAKE_BUNDLES: usize = 16;

/// How a log is opened.
#[derive(Clone)]
pub struct Options {
    /// The signing key's file; `None` is [`crate::SIGNING_KEY_FILE`] in the log's folder.
    pub key_file: Option<PathBuf>,
    /// Within what time a published checkpoint covers an entry, plus what the disk takes.
    pub publish_within: Duration,
    /// What stamps the entries.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key_file: None,
            publish_within: Duration::from_millis(100),
            clock: Arc::new(SystemClock),
        }
    }
}

/// An entry's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// Its index, from 0.
    pub index: u64,
    /// Its RFC 6962 leaf hash.
    pub hash: Hash,
}

/// An open log. Clones share it; the last one to go closes it, signed and published to its end.
#[derive(Clone)]
pub struct Log {
    handle: Arc<Handle>,
}

struct Handle {
    inner: Arc<Inner>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

/// What writers and committer share.
pub(crate) struct Inner {
    pub(crate) dir: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) publish_within: Duration,
    clock: Arc<dyn Clock>,
    pub(crate) state: Mutex<State>,
    /// Wakes the committer.
    pub(crate) work: Condvar,
    /// Wakes writers that wait for durability or for room.
    pub(crate) done: Condvar,
    /// Held locked for as long as the log is open.
    _lock: File,
}

/// A bundle in memory: what is not yet published of it is written from here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bundle {
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) hashes: Vec<Hash>,
}

/// The mutable part; everything on disk happens in the order in which this lock was held.
pub(crate) struct State {
    pub(crate) range: CompactRange,
    /// The bundle being filled, and its journal segment.
    pub(crate) bundle: Bundle,
    pub(crate) segment: Option<Arc<File>>,
    /// Full bundles, not yet published.
    pub(crate) full: VecDeque<Arc<Bundle>>,
    /// Segments written to since the last flush, the current one excluded.
    pub(crate) unflushed: Vec<Arc<File>>,
    /// Whether a segment was created since its folder was flushed.
    pub(crate) new_segment: bool,
    /// Entries on the disk and sealed.
    pub(crate) durable: u64,
    /// Entries behind the published checkpoint.
    pub(crate) published: u64,
    /// A thread is flushing.
    flushing: bool,
    /// The committer sleeps until there is something to do.
    pub(crate) idle: bool,
    pub(crate) closing: bool,
    poisoned: Option<Arc<str>>,
    buffer: Vec<u8>,
}

impl State {
    pub(crate) fn new(
        range: CompactRange,
        bundle: Bundle,
        full: VecDeque<Arc<Bundle>>,
        published: u64,
    ) -> Self {
        Self {
            range,
            bundle,
            segment: None,
            full,
            unflushed: Vec::new(),
            new_segment: false,
            durable: published,
            published,
            flushing: false,
            idle: false,
            closing: false,
            poisoned: None,
            buffer: Vec::new(),
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

impl Log {
    /// Opens the log in `dir`, or makes one there, with a new key. After a writer that did not close it, what it had
    /// written is kept, an unfinished entry at the end is cut, and a [`Event::Recovery`] entry says so.
    ///
    /// # Errors
    /// [`AuditError::Locked`] when another writer has it, [`AuditError::LooseKey`] and [`AuditError::Key`] for the
    /// key, [`AuditError::Damaged`] when what is there is not what was signed.
    pub fn open(dir: &Path, options: Options) -> Result<Self, AuditError> {
        let key_file = options
            .key_file
            .clone()
            .unwrap_or_else(|| dir.join(crate::SIGNING_KEY_FILE));
        let opened = recover::open(dir, &key_file)?;
        let inner = Arc::new(Inner {
            dir: dir.to_owned(),
            key: opened.key,
            publish_within: options.publish_within,
            clock: options.clock,
            state: Mutex::new(opened.state),
            work: Condvar::new(),
            done: Condvar::new(),
            _lock: opened.lock,
        });
        let committer = publish::Committer::new(Arc::clone(&inner), opened.edges);
        let thread = std::thread::Builder::new()
            .name("audit-committer".to_owned())
            .spawn(move || committer.run())
            .map_err(AuditError::io("start a thread for", dir))?;
        let log = Self {
            handle: Arc::new(Handle {
                inner,
                committer: Mutex::new(Some(thread)),
            }),
        };
        if let Some(event) = opened.recovery {
            log.append_durable(&Subject::default(), &event)?;
        }
        Ok(log)
    }

    /// Appends an event, stamped with the time. It is in the operating system's hands on return: it survives the
    /// death of this process, and power loss once a checkpoint covers it ([`Options::publish_within`]).
    ///
    /// # Errors
    /// Whatever is returned, the event is not in the log and what it records must not happen. After an I/O error
    /// every later append fails as well.
    pub fn append(&self, subject: &Subject, event: &Event) -> Result<Leaf, AuditError> {
        let entry = self.entry(subject, event)?;
        self.inner().append(&entry)
    }

    /// Appends an event and returns when it is on the disk and a signature of the log's key there covers it. Calls
    /// that arrive together share one flush.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_durable(&self, subject: &Subject, event: &Event) -> Result<Leaf, AuditError> {
        let leaf = self.append(subject, event)?;
        self.inner().make_durable(leaf.index.saturating_add(1))?;
        Ok(leaf)
    }

    /// Makes every entry so far durable and sealed.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn flush(&self) -> Result<(), AuditError> {
        let size = self.inner().lock().range.size();
        self.inner().make_durable(size)
    }

    /// Number of entries so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.inner().lock().range.size()
    }

    /// The public key that verifies this log.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        self.inner().key.verifier()
    }

    /// The log's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner().dir
    }

    /// Publishes everything and closes the log for all clones; later appends fail. Dropping the last clone does the
    /// same, but cannot say whether it worked.
    ///
    /// # Errors
    /// When the last entries could not be written or signed.
    pub fn close(&self) -> Result<(), AuditError> {
        self.handle.close();
        let state = self.inner().lock();
        state.check()
    }

    fn inner(&self) -> &Inner {
        &self.handle.inner
    }

    fn entry(&self, subject: &Subject, event: &Event) -> Result<Vec<u8>, AuditError> {
        let time = format_time(self.inner().clock.now());
        encode(&Entry {
            v: ENTRY_VERSION,
            time,
            subject: subject.clone(),
            event: event.clone(),
        })
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("dir", &self.inner().dir)
            .finish_non_exhaustive()
    }
}

impl Handle {
    fn close(&self) {
        self.inner.lock().closing = true;
        self.inner.work.notify_all();
        let thread = self
            .committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            self.inner.poison("the committer thread panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
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
        self.lock().poisoned.get_or_insert_with(|| Arc::from(why));
        self.done.notify_all();
        self.work.notify_all();
    }

    fn append(&self, entry: &[u8]) -> Result<Leaf, AuditError> {
        let hash = leaf_hash(entry);
        let mut state = self.lock();
        loop {
            state.check()?;
            if state.closing {
                return Err(AuditError::Closed);
            }
            if state.full.len() < MAX_WAITING_BUNDLES {
                break;
            }
            self.work.notify_one();
            state = self
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let index = state.range.size();
        if let Err(error) = self.write(&mut state, entry, &hash) {
            let why: Arc<str> = Arc::from(error.to_string());
            state.poisoned = Some(Arc::clone(&why));
            drop(state);
            self.poison(&why);
            return Err(error);
        }
        if std::mem::take(&mut state.idle) || state.full.len() == WAKE_BUNDLES {
            self.work.notify_one();
        }
        Ok(Leaf { index, hash })
    }

    fn write(&self, state: &mut State, entry: &[u8], hash: &Hash) -> Result<(), AuditError> {
        let path = segment_path(&self.dir, state.bundle.index);
        let segment = match &state.segment {
            Some(segment) => Arc::clone(segment),
            None => {
                let segment = Arc::new(open_segment(&path)?);
                state.segment = Some(Arc::clone(&segment));
                state.new_segment = true;
                segment
            }
        };
        state.buffer.clear();
        put_entry(entry, hash, &mut state.buffer);
        (&*segment)
            .write_all(&state.buffer)
            .map_err(AuditError::io("write", &path))?;
        state.range.push(*hash);
        encode_entry(entry, &mut state.bundle.bytes)
            .map_err(|error| AuditError::Encode(error.to_string()))?;
        state.bundle.hashes.push(*hash);
        if state.bundle.hashes.len() as u64 == TILE_WIDTH {
            let next = Bundle {
                index: state.bundle.index + 1,
                ..Bundle::default()
            };
            let full = std::mem::replace(&mut state.bundle, next);
            state.full.push_back(Arc::new(full));
            state.unflushed.extend(state.segment.take());
        }
        Ok(())
    }

    /// Returns when the first `size` entries are sealed and on the disk. One thread flushes for all that wait.
    pub(crate) fn make_durable(&self, size: u64) -> Result<(), AuditError> {
        let mut state = self.lock();
        loop {
            if state.durable >= size {
                return Ok(());
            }
            state.check()?;
            if state.flushing {
                state = self
                    .done
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.flushing = true;
            let result = self.flush_once(state);
            state = self.lock();
            state.flushing = false;
            match result {
                Ok(durable) => state.durable = state.durable.max(durable),
                Err(error) => {
                    drop(state);
                    self.poison(&error.to_string());
                    return Err(error);
                }
            }
            self.done.notify_all();
        }
    }

    /// Seals and flushes what is there now. The signature is made while others append.
    fn flush_once(&self, mut state: MutexGuard<'_, State>) -> Result<u64, AuditError> {
        let checkpoint = self.checkpoint(&state.range);
        let mut files = std::mem::take(&mut state.unflushed);
        files.extend(state.segment.clone());
        let new_segment = std::mem::take(&mut state.new_segment);
        drop(state);

        let journal = self.dir.join(crate::layout::JOURNAL_DIR);
        let mut seal = Vec::new();
        put_seal(&self.sign(&checkpoint)?, &mut seal);
        if let Some(last) = files.last() {
            // Under the lock, so that no entry's record is torn apart; into the segment of the last entry sealed.
            let _in_order = self.lock();
            (&**last)
                .write_all(&seal)
                .map_err(AuditError::io("write", &journal))?;
        }
        for file in &files {
            file.sync_data()
                .map_err(AuditError::io("flush", &journal))?;
        }
        if new_segment {
            crate::layout::sync_folder(&journal)?;
        }
        Ok(checkpoint.size)
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
}

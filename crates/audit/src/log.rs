//! The log as its writers see it: append, and append durably.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bailiwick_tlog::{Checkpoint, Hash, VerifierKey, leaf_hash};

use crate::clock::{Clock, SystemClock, format_time, stamp, whole_millis};
use crate::commit::Inner;
use crate::disk::{Disk, SystemDisk};
use crate::encode::encode;
use crate::error::AuditError;
use crate::event::{ENTRY_VERSION, Entry, Event};
use crate::subject::Subject;
use crate::{publish, recover};

/// How a log is opened.
#[derive(Clone)]
pub struct Options {
    /// The signing key's file; `None` is [`crate::SIGNING_KEY_FILE`] in the log's folder.
    pub key_file: Option<PathBuf>,
    /// Within what time a published checkpoint covers an entry, plus what the disk takes.
    pub publish_within: Duration,
    /// What stamps the entries.
    pub clock: Arc<dyn Clock>,
    /// What the log is written to.
    pub disk: Arc<dyn Disk>,
    /// Names and home folders of people: what holds one of them is sealed, besides what always is, so that it can be
    /// erased ([`crate::erase`]).
    pub persons: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key_file: None,
            publish_within: Duration::from_millis(100),
            clock: Arc::new(SystemClock),
            disk: Arc::new(SystemDisk),
            persons: Vec::new(),
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

impl Log {
    /// Opens the log in `dir`, or makes one there, with a new key. After a writer that did not close it, what it had
    /// written is kept, an unfinished entry at the end is cut, and a [`Event::Recovery`] entry says so.
    ///
    /// # Errors
    /// [`AuditError::Locked`] when another writer has it, [`AuditError::LooseKey`] and [`AuditError::Key`] for the
    /// key, [`AuditError::Damaged`] when what is there is not what was signed, [`AuditError::ClockWentBack`] when its
    /// last entry is of a later time than now.
    pub fn open(dir: &Path, options: Options) -> Result<Self, AuditError> {
        let key_file = options
            .key_file
            .clone()
            .unwrap_or_else(|| dir.join(crate::SIGNING_KEY_FILE));
        let opened = recover::open(&options, dir, &key_file)?;
        let inner = Arc::new(Inner {
            disk: options.disk,
            dir: dir.to_owned(),
            key: opened.key,
            publish_within: options.publish_within,
            clock: options.clock,
            persons: options.persons,
            state: Mutex::new(opened.state),
            work: Condvar::new(),
            room: Condvar::new(),
            checkpoint_file: Mutex::new(()),
            _lock: opened.lock,
        });
        let committer =
            publish::Committer::new(Arc::clone(&inner), opened.edges, opened.checkpoint);
        let thread = std::thread::Builder::new()
            .name("audit-committer".to_owned())
            .spawn(move || committer.run())
            .map_err(AuditError::io("start a thread for", dir))?;
        Ok(Self {
            handle: Arc::new(Handle {
                inner,
                committer: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Appends an event, stamped with the time. It is in the operating system's hands on return: it survives the
    /// death of this process, and power loss once a checkpoint covers it ([`Options::publish_within`]).
    ///
    /// # Errors
    /// Whatever is returned, the event counts as not recorded and must not happen. After an I/O error every later
    /// append fails as well; [`AuditError::ClockWentBack`] lasts until the clock has caught up.
    pub fn append(&self, subject: &Subject, event: &Event) -> Result<Leaf, AuditError> {
        self.push(subject, event, true)
    }

    /// Appends an event and returns when it is on the disk and a signature of the log's key there covers it. Calls
    /// that arrive together share one flush.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_durable(&self, subject: &Subject, event: &Event) -> Result<Leaf, AuditError> {
        let leaf = self.push(subject, event, false)?;
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

    /// A checkpoint of this log as it was when it had `size` entries, signed.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> Result<String, AuditError> {
        let origin = self.verifier_key().name().to_owned();
        self.inner().sign(&Checkpoint { origin, size, root })
    }

    fn inner(&self) -> &Inner {
        &self.handle.inner
    }

    pub(crate) fn shared(&self) -> &Arc<Inner> {
        &self.handle.inner
    }

    fn push(&self, subject: &Subject, event: &Event, at_once: bool) -> Result<Leaf, AuditError> {
        let inner = self.inner();
        let now = whole_millis(inner.clock.now());
        let entry = Entry {
            v: ENTRY_VERSION,
            time: format_time(now),
            subject: subject.clone(),
            event: event.clone(),
        };
        let mut encoded = encode(&entry, &inner.persons)?;
        let mut hash = leaf_hash(&encoded.json);
        let mut state = inner.lock_with_room()?;
        let time = stamp(now, state.last_time).ok_or_else(|| AuditError::ClockWentBack {
            dir: inner.dir.clone(),
            last: format_time(state.last_time),
            now: format_time(now),
        })?;
        if time != now {
            // The clock stepped back a little, or another thread was quicker.
            encoded = encoded.at(format_time(time))?;
            hash = leaf_hash(&encoded.json);
        }
        state.last_time = time;
        let index = inner.push(state, &encoded.json, hash, encoded.openings, at_once)?;
        Ok(Leaf { index, hash })
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

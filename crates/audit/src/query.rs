//! Reading entries: by filter, from the end, and as they come. Nothing here verifies; [`crate::verify`] does.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use bailiwick_tlog::TILE_WIDTH;

use crate::error::AuditError;
use crate::event::{Entry, Outcome};
use crate::layout::{CHECKPOINT_FILE, read_text_if_there};
use crate::store::bundle_entries;

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its index in the log.
    pub index: u64,
    /// Its bytes: the JSON that the leaf hash covers.
    pub json: Vec<u8>,
}

impl Stored {
    /// The entry itself.
    ///
    /// # Errors
    /// [`AuditError::Encode`] when the bytes are not an entry of a version that we know: the log was tampered with, or written by
    /// a newer Bailiwick.
    pub fn entry(&self) -> Result<Entry, AuditError> {
        let entry: Result<Entry, _> = serde_json::from_slice(&self.json);
        match entry {
            Ok(entry) if (1..=crate::ENTRY_VERSION).contains(&entry.v) => Ok(entry),
            Ok(entry) => Err(AuditError::Encode(format!(
                "entry {} has version {}",
                self.index, entry.v
            ))),
            Err(error) => Err(AuditError::Encode(format!("entry {}: {error}", self.index))),
        }
    }
}

/// What to look for; what is `None` is not asked. All that is asked must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly this plugin id.
    pub plugin: Option<String>,
    /// Exactly this user.
    pub user: Option<String>,
    /// Exactly this session.
    pub session: Option<String>,
    /// Events that record this outcome; refusals of any kind count as `deny`.
    pub decision: Option<Outcome>,
    /// Exactly this kind of event: `tool_call`.
    pub kind: Option<String>,
    /// At or after this time, RFC 3339 in UTC; a date alone will do.
    pub since: Option<String>,
    /// Before this time, RFC 3339 in UTC; a date alone will do.
    pub until: Option<String>,
    /// The JSON of the entry holds this text.
    pub text: Option<String>,
    /// At most this many.
    pub limit: Option<usize>,
}

impl Filter {
    /// Whether an entry is looked for. `limit` is not considered.
    #[must_use]
    pub fn matches(&self, entry: &Entry, json: &[u8]) -> bool {
        let is =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        is(&self.plugin, &entry.subject.plugin)
            && is(&self.user, &entry.subject.user)
            && is(&self.session, &entry.subject.session)
            && self
                .decision
                .is_none_or(|outcome| entry.event.outcome() == Some(outcome))
            && self
                .kind
                .as_deref()
                .is_none_or(|kind| entry.event.kind() == kind)
            && self
                .since
                .as_deref()
                .is_none_or(|since| entry.time.as_str() >= since)
            && self
                .until
                .as_deref()
                .is_none_or(|until| entry.time.as_str() < until)
            && self
                .text
                .as_deref()
                .is_none_or(|text| String::from_utf8_lossy(json).contains(text))
    }
}

/// Finds entries, oldest first. A stored entry that is none comes as an error, whatever the filter: it must not be
/// overlooked.
#[must_use]
pub fn query(dir: &Path, filter: Filter) -> Query {
    let left = filter.limit.unwrap_or(usize::MAX);
    Query {
        follow: Follow::from(dir, 0),
        waiting: VecDeque::new(),
        filter,
        left,
    }
}

/// The entries that a [`query`] finds.
#[derive(Debug)]
pub struct Query {
    follow: Follow,
    waiting: VecDeque<Stored>,
    filter: Filter,
    left: usize,
}

impl Iterator for Query {
    type Item = Result<Stored, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            let Some(stored) = self.waiting.pop_front() else {
                match self.follow.bundle() {
                    Ok(found) if found.is_empty() => return None,
                    Ok(found) => self.waiting.extend(found),
                    Err(error) => {
                        self.left = 0;
                        return Some(Err(error));
                    }
                }
                continue;
            };
            match stored.entry() {
                Ok(entry) if !self.filter.matches(&entry, &stored.json) => {}
                Ok(_) => {
                    self.left -= 1;
                    return Some(Ok(stored));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// The last `count` entries, oldest first.
///
/// # Errors
/// When the log cannot be read.
pub fn tail(dir: &Path, count: usize) -> Result<Vec<Stored>, AuditError> {
    let published = published_size(dir)?;
    let mut follow = Follow::from(dir, published / TILE_WIDTH * TILE_WIDTH);
    let mut found = follow.poll()?;
    let mut first = published / TILE_WIDTH;
    while found.len() < count && first > 0 {
        first -= 1;
        let mut earlier = Follow::from(dir, first * TILE_WIDTH).bundle()?;
        earlier.append(&mut found);
        found = earlier;
    }
    let surplus = found.len().saturating_sub(count);
    found.drain(..surplus);
    Ok(found)
}

/// Gives entries as they come, by being asked now and then.
#[derive(Debug, Clone)]
pub struct Follow {
    dir: PathBuf,
    next: u64,
}

impl Follow {
    /// Follows the log in `dir` from this index on.
    #[must_use]
    pub fn from(dir: &Path, index: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            next: index,
        }
    }

    /// Index of the next entry that [`Follow::poll`] will give.
    #[must_use]
    pub fn next_index(&self) -> u64 {
        self.next
    }

    /// The entries that were written since the last time; empty when there are none.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn poll(&mut self) -> Result<Vec<Stored>, AuditError> {
        let mut all = Vec::new();
        loop {
            let found = self.bundle()?;
            if found.is_empty() {
                return Ok(all);
            }
            all.extend(found);
        }
    }

    /// What is there from the next index to the end of its bundle: at most 256 entries, so that a long log is read
    /// without being held; empty when there is nothing new.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn bundle(&mut self) -> Result<Vec<Stored>, AuditError> {
        let index = self.next / TILE_WIDTH;
        let entries = bundle_entries(&self.dir, index, published_size(&self.dir)?)?;
        let skip = usize::try_from(self.next % TILE_WIDTH).unwrap_or(usize::MAX);
        let indexed = (self.next..).zip(entries.into_iter().skip(skip));
        let found: Vec<_> = indexed
            .map(|(index, json)| Stored { index, json })
            .collect();
        self.next += found.len() as u64;
        Ok(found)
    }
}

/// The size in the checkpoint, unverified; 0 when there is none that can be read.
fn published_size(dir: &Path) -> Result<u64, AuditError> {
    let note = read_text_if_there(&dir.join(CHECKPOINT_FILE))?.unwrap_or_default();
    Ok(note
        .lines()
        .nth(1)
        .and_then(|size| size.parse().ok())
        .unwrap_or(0))
}

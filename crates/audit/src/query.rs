//! Reading entries: by filter, from the end, and as they come. Nothing here verifies; [`crate::verify`] does.
//!
//! [`query`] is the reference: it parses every entry and shows each to the filter. [`search`] gives the same and parses
//! only what the bytes do not rule out; an index may spare it bundles ([`Narrow`]).

mod binding;
mod bundle;
mod concern;
mod filter;
mod follow;
mod merge;
mod needle;
mod scan;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::Path;

use bailiwick_tlog::TILE_WIDTH;

pub use binding::{binding, full_bundles};
pub use concern::{Claim, Concern, claims};
pub use filter::{EVENT_KINDS, Filter, SESSION_PREFIX, is_session, tools};
pub use follow::Follow;
pub use merge::{Merged, merge};
pub use scan::{Hits, Narrow, Search, Sight, search};

use crate::error::AuditError;
use crate::event::Entry;
use crate::layout::{CHECKPOINT_FILE, read_text_if_there};
use crate::openings::Opening;

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its index in the log.
    pub index: u64,
    /// Its bytes: the JSON that the leaf hash covers.
    pub json: Vec<u8>,
    /// What opens its sealed values, as far as that was not erased.
    pub openings: Vec<Opening>,
}

impl Stored {
    /// The entry itself, with the sealed values that can be opened.
    ///
    /// # Errors
    /// [`AuditError::Encode`] when the bytes are not an entry of a version that we know: the log was tampered with, or
    /// written by a newer Bailiwick.
    pub fn entry(&self) -> Result<Entry, AuditError> {
        let entry: Result<Entry, _> = serde_json::from_slice(&self.json);
        match entry {
            Ok(mut entry) if (1..=crate::ENTRY_VERSION).contains(&entry.v) => {
                crate::seal::open(&mut entry, &self.openings);
                Ok(entry)
            }
            Ok(entry) => Err(AuditError::Encode(format!(
                "entry {} has version {}",
                self.index, entry.v
            ))),
            Err(error) => Err(AuditError::Encode(format!("entry {}: {error}", self.index))),
        }
    }
}

/// The JSON of an entry as it is shown: as it is stored, where nothing of it is sealed.
fn shown<'a>(stored: &'a Stored, entry: &Entry) -> Cow<'a, [u8]> {
    if stored.openings.is_empty() {
        return Cow::Borrowed(&stored.json);
    }
    serde_json::to_vec(entry).map_or(Cow::Borrowed(stored.json.as_slice()), Cow::Owned)
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
                Ok(entry) if !self.filter.matches(&entry, &shown(&stored, &entry)) => {}
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
        if earlier
            .first()
            .is_none_or(|stored| stored.index != first * TILE_WIDTH)
        {
            // Archived and pruned: there is nothing before.
            break;
        }
        earlier.append(&mut found);
        found = earlier;
    }
    let surplus = found.len().saturating_sub(count);
    found.drain(..surplus);
    Ok(found)
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

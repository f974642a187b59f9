//! What the log has published, bundle by bundle.

use std::path::{Path, PathBuf};

use bailiwick_audit::{
    AuditError, Checkpoint, Filter, Follow, Stored, VerifierKey, read_verifier_key,
};
use bailiwick_tlog::{TILE_WIDTH, leaf_hash};

use crate::error::ExportError;
use crate::record::{Exported, Record};

/// A log as an export reads it.
#[derive(Debug)]
pub(crate) struct Source {
    dir: PathBuf,
    key: VerifierKey,
    filter: Filter,
}

/// What is at an index.
pub(crate) enum Found {
    /// The log has nothing there yet.
    Nothing,
    /// Entries that are next to each other, and the index after them. With a filter there may be fewer.
    Entries(Vec<Record>, u64),
    /// Entries that cannot be had, up to this index, and why.
    Missing(u64, String),
}

impl Source {
    /// A log, by its folder.
    pub(crate) fn open(dir: &Path, filter: Filter) -> Result<Self, ExportError> {
        let key = read_verifier_key(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
            filter,
        })
    }

    /// The log's origin.
    pub(crate) fn origin(&self) -> &str {
        self.key.name()
    }

    /// How many entries are signed and on the disk. What is newer may still be lost with the power, and is not
    /// exported: a receiver would know of entries that never were.
    pub(crate) fn published(&self) -> Result<u64, ExportError> {
        let path = self.dir.join("checkpoint");
        let note = match std::fs::read_to_string(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(ExportError::io("read", &path)(error)),
        };
        let checkpoint =
            Checkpoint::open(&note, &self.key).map_err(|error| AuditError::Damaged {
                dir: self.dir.clone(),
                why: format!("its checkpoint: {error}"),
            })?;
        Ok(checkpoint.size)
    }

    /// What is at `next`, up to `most` entries, of the `size` that are published.
    pub(crate) fn at(&self, next: u64, size: u64, most: usize) -> Result<Found, ExportError> {
        if next >= size {
            return Ok(Found::Nothing);
        }
        let stored = match Follow::from(&self.dir, next).bundle() {
            Ok(stored) => stored,
            Err(AuditError::Damaged { why, .. }) => return Ok(self.missing(next, size, why)),
            Err(error) => return Err(error.into()),
        };
        // Whoever follows a log is led over what was archived and pruned; an export says that it was.
        if let Some(first) = stored.first().filter(|first| first.index != next) {
            let why = "archived and pruned, or removed".to_owned();
            return Ok(Found::Missing(first.index.min(size), why));
        }
        let mut records = Vec::new();
        let mut end = next;
        for stored in stored
            .into_iter()
            .take_while(|stored| stored.index < size)
            .take(most)
        {
            match self.record(&stored) {
                Ok(record) => records.extend(record),
                Err(why) if end == next => return Ok(Found::Missing(next + 1, why)),
                // It comes first the next time.
                Err(_) => break,
            }
            end = stored.index + 1;
        }
        if end == next {
            let why = "the checkpoint covers it, and it is not there".to_owned();
            return Ok(self.missing(next, size, why));
        }
        Ok(Found::Entries(records, end))
    }

    /// The leaf hash of one entry, if it is there.
    pub(crate) fn leaf(&self, index: u64) -> Option<String> {
        let stored = Follow::from(&self.dir, index).bundle().ok()?;
        stored
            .first()
            .filter(|first| first.index == index)
            .map(leaf)
    }

    /// Up to where nothing can be had: the next bundle that can be read.
    fn missing(&self, next: u64, size: u64, why: String) -> Found {
        let mut bundle = (next / TILE_WIDTH + 1) * TILE_WIDTH;
        while bundle < size
            && !Follow::from(&self.dir, bundle)
                .bundle()
                .is_ok_and(|found| !found.is_empty())
        {
            bundle += TILE_WIDTH;
        }
        Found::Missing(bundle.min(size), why)
    }

    fn record(&self, stored: &Stored) -> Result<Option<Record>, String> {
        let entry = stored.entry().map_err(|error| error.to_string())?;
        let shown = serde_json::to_vec(&entry).map_err(|error| error.to_string())?;
        if !self.filter.matches(&entry, &shown) {
            return Ok(None);
        }
        Ok(Some(Record::Entry(Box::new(Exported {
            log: self.origin().to_owned(),
            index: stored.index,
            leaf: leaf(stored),
            entry,
        }))))
    }
}

fn leaf(stored: &Stored) -> String {
    leaf_hash(&stored.json).to_string()
}

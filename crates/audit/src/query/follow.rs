//! Entries as they come: only what is new is read.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bailiwick_tlog::TILE_WIDTH;

use super::bundle::{Bundle, present};
use super::{Stored, published_size};
use crate::error::AuditError;
use crate::journal::{Record, Records};
use crate::layout::segment_path;
use crate::openings::{Opening, decode_openings};

/// A record's header. Room that was written ahead is zero, so one look at it says whether there is anything new.
const LOOK_BYTES: usize = 16;

/// Gives entries as they come, by being asked now and then. A look without news reads a few bytes.
#[derive(Debug, Clone)]
pub struct Follow {
    dir: PathBuf,
    next: u64,
    place: Option<Place>,
}

/// Where in the journal the next record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    bundle: u64,
    inode: u64,
    offset: u64,
}

impl Follow {
    /// Follows the log in `dir` from this index on.
    #[must_use]
    pub fn from(dir: &Path, index: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            next: index,
            place: None,
        }
    }

    /// Index of the next entry that [`Follow::poll`] will give.
    #[must_use]
    pub fn next_index(&self) -> u64 {
        self.next
    }

    /// The entries that were written since the last time; empty when there are none. Where the next ones were archived
    /// and pruned meanwhile, it goes on behind them, as their indices show.
    ///
    /// # Errors
    /// When the log cannot be read, or is no longer the one that was followed.
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

    /// What is there from the next index to the end of its bundle; at most a bundle, so that memory is bounded.
    ///
    /// # Errors
    /// As [`Follow::poll`].
    pub fn bundle(&mut self) -> Result<Vec<Stored>, AuditError> {
        // Twice: a segment may become a bundle between two looks.
        for _ in 0..2 {
            if let Some(found) = self.journal()? {
                if !found.is_empty() || self.place.is_some_and(|place| self.is_at(place)) {
                    return Ok(found);
                }
                continue;
            }
            let mut bundle = Bundle::default();
            if bundle.read(&self.dir, self.next / TILE_WIDTH)? {
                return self.take(&bundle);
            }
        }
        self.pass_over_a_gap()
    }

    fn is_at(&self, place: Place) -> bool {
        place.bundle == self.next / TILE_WIDTH
    }

    /// New records of the journal's segment; `None` when there is no such segment.
    fn journal(&mut self) -> Result<Option<Vec<Stored>>, AuditError> {
        let bundle = self.next / TILE_WIDTH;
        let path = segment_path(&self.dir, bundle);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AuditError::io("open", &path)(error)),
        };
        let cannot = AuditError::io("read", &path);
        let inode = file.metadata().map_err(cannot)?.ino();
        let begin = Place {
            bundle,
            inode,
            offset: 0,
        };
        let known = self
            .place
            .filter(|place| (place.bundle, place.inode) == (bundle, inode));
        let mut place = known.unwrap_or(begin);
        let Some(bytes) =
            read_from(&mut file, place.offset).map_err(AuditError::io("read", &path))?
        else {
            self.place = Some(place);
            return Ok(Some(Vec::new()));
        };
        // Read from its beginning, the segment holds entries that were given already.
        let mut skip = if known.is_some() {
            0
        } else {
            self.next % TILE_WIDTH
        };
        let mut found = Vec::new();
        let mut records = Records::new(&bytes);
        while let Some(record) = records.next() {
            let Record::Entry(entry, _) = record else {
                continue;
            };
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let openings = decode_openings(records.openings());
            found.push(self.stored(entry.to_vec(), openings.unwrap_or_default()));
        }
        if skip > 0 {
            return Err(self.went_back());
        }
        place.offset = place.offset.saturating_add(records.whole() as u64);
        self.place = Some(place);
        Ok(Some(found))
    }

    fn take(&mut self, bundle: &Bundle) -> Result<Vec<Stored>, AuditError> {
        let contents = bundle.contents();
        if let Some(why) = contents.wrong {
            return Err(AuditError::damaged(&self.dir, why));
        }
        let skip = usize::try_from(self.next % TILE_WIDTH).unwrap_or(usize::MAX);
        if contents.leaves.len() < skip {
            return Err(self.went_back());
        }
        let openings = contents.sealed.decode().unwrap_or_default();
        let mut openings = openings.into_iter().skip(skip);
        let new = contents.leaves.into_iter().skip(skip);
        Ok(new
            .map(|leaf| self.stored(leaf.to_vec(), openings.next().unwrap_or_default()))
            .collect())
    }

    fn stored(&mut self, json: Vec<u8>, openings: Vec<Opening>) -> Stored {
        let index = self.next;
        self.next += 1;
        Stored {
            index,
            json,
            openings,
        }
    }

    /// The next bundle there is, where the one that was waited for is gone.
    fn pass_over_a_gap(&mut self) -> Result<Vec<Stored>, AuditError> {
        if published_size(&self.dir)? <= self.next {
            return Ok(Vec::new());
        }
        let present = present(&self.dir)?;
        let next = present
            .bundles
            .into_iter()
            .find(|bundle| *bundle > self.next / TILE_WIDTH);
        let Some(next) = next else {
            return Ok(Vec::new());
        };
        self.next = next.saturating_mul(TILE_WIDTH);
        let mut bundle = Bundle::default();
        if bundle.read(&self.dir, next)? {
            return self.take(&bundle);
        }
        Ok(Vec::new())
    }

    fn went_back(&self) -> AuditError {
        AuditError::damaged(
            &self.dir,
            format!(
                "it holds fewer entries than the {} that were read from it: an older one was put in its place",
                self.next
            ),
        )
    }
}

/// What follows `offset`; `None` where nothing does, or only room that was written ahead.
fn read_from(file: &mut File, offset: u64) -> std::io::Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(LOOK_BYTES as u64)
        .read_to_end(&mut bytes)?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

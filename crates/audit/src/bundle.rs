//! A bundle of entries in memory, and the journal segment that it is written to meanwhile.

use std::io::ErrorKind;
use std::sync::Arc;

use bailiwick_tlog::{Hash, TILE_WIDTH, encode_entry};

use crate::disk::{DiskFile, write_all_at};
use crate::error::AuditError;
use crate::openings::Opening;

/// A segment grows by this much at a time, written as zeros together with the record that needs it: a flush within it
/// has no length to write, which on a journaling file system halves its cost.
const ROOM_BYTES: u64 = 1 << 16;

/// A bundle in memory: what is not yet published of it is written from here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bundle {
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) hashes: Vec<Hash>,
    /// What opens sealed strings, by the entry's place in the bundle.
    pub(crate) openings: Vec<(u8, Vec<Opening>)>,
}

impl Bundle {
    /// Adds an entry. What opens nothing is left out.
    pub(crate) fn push(
        &mut self,
        entry: &[u8],
        hash: Hash,
        openings: Vec<Opening>,
    ) -> Result<(), AuditError> {
        encode_entry(entry, &mut self.bytes)
            .map_err(|error| AuditError::Encode(error.to_string()))?;
        self.open(self.hashes.len(), openings);
        self.hashes.push(hash);
        Ok(())
    }

    /// Notes what opens the entry at `place`.
    pub(crate) fn open(&mut self, place: usize, openings: Vec<Opening>) {
        if let Ok(place) = u8::try_from(place)
            && !openings.is_empty()
        {
            self.openings.push((place, openings));
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.hashes.len() as u64 == TILE_WIDTH
    }

    /// Takes a full bundle out and begins the next one.
    pub(crate) fn turn_over(&mut self) -> Arc<Self> {
        let next = Self {
            index: self.index + 1,
            ..Self::default()
        };
        Arc::new(std::mem::replace(self, next))
    }
}

/// The journal segment of the bundle being filled.
pub(crate) struct Segment {
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the next record goes.
    pub(crate) at: u64,
    /// The file's length; zeros from `at` on.
    pub(crate) length: u64,
}

impl Segment {
    /// Writes records where the last ones ended, with room behind them where there is none left.
    pub(crate) fn write(&mut self, records: &mut Vec<u8>) -> std::io::Result<()> {
        let needed = records.len();
        let end = self.at + needed as u64;
        if end > self.length {
            let room = end.next_multiple_of(ROOM_BYTES) - self.at;
            records.resize(usize::try_from(room).unwrap_or(needed), 0);
        }
        let written = match self.file.write_at(records, self.at) {
            Ok(written) => written,
            // The room is a convenience; only the records must fit.
            Err(error) if is_full(&error) && records.len() > needed => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        if let Some(rest) = records.get(written..needed).filter(|rest| !rest.is_empty()) {
            write_all_at(&*self.file, rest, self.at + written as u64)?;
        }
        self.length = self.length.max(self.at + written.max(needed) as u64);
        self.at = end;
        Ok(())
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

//! Bundles as they lie on the disk: which there are, the entries of one, and what opens their sealed strings.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use bailiwick_tlog::{TILE_WIDTH, TileKind, TilePath, decode_bundle};
use memchr::memmem::Finder;

use super::published_size;
use crate::error::AuditError;
use crate::journal::{Record, Records, SEALS_OF_NO_CRASH, seals_after_damage};
use crate::layout::{TILE_DIR, private_path, segment_path, segments, tile_path};
use crate::openings::{Opening, OpeningError, decode_bundle_openings, decode_openings};

/// The bundles of a log: which there are, and how many there should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Present {
    /// Ascending.
    pub(crate) bundles: Vec<u64>,
    /// How many bundles the checkpoint speaks of, unverified.
    pub(crate) published: u64,
}

/// Lists a log's bundles: those in tiles and those in the journal.
pub(crate) fn present(dir: &Path) -> Result<Present, AuditError> {
    let published = published_size(dir)?.div_ceil(TILE_WIDTH);
    // The journal first: what becomes a tile in between is then seen there, or in both.
    let mut bundles = segments(dir)?;
    let mut folders = vec![dir.join(TILE_DIR).join("entries")];
    while let Some(folder) = folders.pop() {
        for (path, is_folder) in listed(&folder)? {
            if is_folder {
                folders.push(path);
            } else {
                bundles.extend(bundle_of(dir, &path));
            }
        }
    }
    bundles.sort_unstable();
    bundles.dedup();
    Ok(Present { bundles, published })
}

fn listed(folder: &Path) -> Result<Vec<(PathBuf, bool)>, AuditError> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AuditError::io("list", folder)(error)),
    };
    listing
        .map(|item| {
            let item = item.map_err(AuditError::io("list", folder))?;
            Ok((
                item.path(),
                item.file_type().is_ok_and(|kind| kind.is_dir()),
            ))
        })
        .collect()
}

fn bundle_of(dir: &Path, file: &Path) -> Option<u64> {
    let name = file.strip_prefix(dir).ok()?.to_str()?;
    let tile: TilePath = name.parse().ok()?;
    (tile.kind() == TileKind::Entries).then(|| tile.index())
}

/// The bytes of one bundle.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    file: PathBuf,
    is_segment: bool,
    bytes: Vec<u8>,
    /// The file of openings beside a tile.
    private: Vec<u8>,
}

/// What a bundle holds.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    /// The entries, as the leaf hashes cover them.
    pub(crate) leaves: Vec<&'a [u8]>,
    /// What opens them.
    pub(crate) sealed: Sealed<'a>,
    /// What is wrong with what follows them, if anything is.
    pub(crate) wrong: Option<String>,
}

/// The openings of a bundle, not decoded yet.
#[derive(Debug)]
pub(crate) enum Sealed<'a> {
    /// A private file.
    File(&'a [u8]),
    /// Records of the journal, entry by entry.
    Each(Vec<Vec<u8>>),
}

impl Sealed<'_> {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::File(bytes) => bytes.is_empty(),
            Self::Each(records) => records.iter().all(Vec::is_empty),
        }
    }

    /// Whether a value may hold this, without decoding any.
    pub(crate) fn may_hold(&self, text: &Finder<'_>) -> bool {
        match self {
            Self::File(bytes) => text.find(bytes).is_some(),
            Self::Each(records) => records.iter().any(|record| text.find(record).is_some()),
        }
    }

    /// The openings of each entry.
    pub(crate) fn decode(&self) -> Result<Vec<Vec<Opening>>, OpeningError> {
        match self {
            Self::File([]) => Ok(Vec::new()),
            Self::File(bytes) => {
                let mut all = Vec::new();
                for (index, openings) in decode_bundle_openings(bytes)? {
                    all.resize_with(usize::from(index), Vec::new);
                    all.push(openings);
                }
                Ok(all)
            }
            Self::Each(records) => records
                .iter()
                .map(|record| decode_openings(record))
                .collect(),
        }
    }
}

impl Bundle {
    /// Reads a bundle in the place of this one: the full tile, else the journal's segment, else the widest partial tile
    /// of a log that was copied without its journal. False where there is none of them.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub(crate) fn read(&mut self, dir: &Path, index: u64) -> Result<bool, AuditError> {
        let full = tile_path(TileKind::Entries, index, 256)?;
        self.private.clear();
        // Twice: between two looks the segment may have become the bundle, or a partial bundle a wider one.
        for _ in 0..2 {
            self.is_segment = false;
            if take(&dir.join(full.to_string()), &mut self.bytes)? {
                self.file = dir.join(full.to_string());
                take(&private_path(dir, index), &mut self.private)?;
                return Ok(true);
            }
            self.file = segment_path(dir, index);
            if take(&self.file, &mut self.bytes)? {
                self.is_segment = true;
                return Ok(true);
            }
            if let Some(partial) = widest_partial(dir, full)? {
                self.file = dir.join(partial.to_string());
                if take(&self.file, &mut self.bytes)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    pub(crate) fn contents(&self) -> Contents<'_> {
        let wrong = |why: &dyn std::fmt::Display| Some(format!("{}: {why}", self.file.display()));
        if !self.is_segment {
            let (leaves, wrong) = match decode_bundle(&self.bytes) {
                Ok(leaves) => (leaves, None),
                Err(error) => (Vec::new(), wrong(&error)),
            };
            let sealed = Sealed::File(&self.private);
            return Contents {
                leaves,
                sealed,
                wrong,
            };
        }
        let mut records = Records::new(&self.bytes);
        let (mut leaves, mut openings) = (Vec::new(), Vec::new());
        while let Some(record) = records.next() {
            if let Record::Entry(entry, _) = record {
                leaves.push(entry);
                openings.push(records.openings().to_vec());
            }
        }
        // What is just being written, or was when its writer died, has no seals behind it.
        let seals = seals_after_damage(records.rest())
            .take(SEALS_OF_NO_CRASH)
            .count();
        Contents {
            leaves,
            sealed: Sealed::Each(openings),
            wrong: (seals == SEALS_OF_NO_CRASH)
                .then(|| wrong(&"entries in it are damaged"))
                .flatten(),
        }
    }
}

/// Reads a file into `buffer`, which is used again; false where there is none.
fn take(path: &Path, buffer: &mut Vec<u8>) -> Result<bool, AuditError> {
    buffer.clear();
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(AuditError::io("open", path)(error)),
    };
    file.read_to_end(buffer)
        .map_err(AuditError::io("read", path))?;
    Ok(true)
}

fn widest_partial(dir: &Path, full: TilePath) -> Result<Option<TilePath>, AuditError> {
    let mut folder = dir.join(full.to_string()).into_os_string();
    folder.push(".p");
    let widest = listed(Path::new(&folder))?
        .iter()
        .filter_map(|(path, _)| path.file_name()?.to_str()?.parse::<usize>().ok())
        .max();
    Ok(widest.and_then(|width| tile_path(TileKind::Entries, full.index(), width).ok()))
}

//! What an index over bundles is bound to: the tree over them, and the very files.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bailiwick_tlog::{Hash, TILE_WIDTH, TileKind};
use sha2::{Digest as _, Sha256};

use super::published_size;
use crate::error::AuditError;
use crate::layout::{private_path, tile_path};
use crate::store::read_hashes;

/// What tells the state of these bundles from every other: SHA-256 over the root of each (its hash in the tree's first
/// level), and over inode, length and times of its file and of its file of openings. It is made without reading a
/// bundle, and differs as soon as one of the files was written, replaced or removed. `None` unless all of them are full
/// and published.
///
/// # Errors
/// What the operating system refuses.
pub fn binding(dir: &Path, bundles: Range<u64>) -> Result<Option<[u8; 32]>, AuditError> {
    let published = published_size(dir)? / TILE_WIDTH;
    let (Some(roots), true) = (
        roots(dir, bundles.clone(), published)?,
        bundles.end <= published,
    ) else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    for (bundle, root) in bundles.zip(roots) {
        let tile = tile_path(TileKind::Entries, bundle, 256)?;
        let Some(file) = look(&dir.join(tile.to_string()))? else {
            return Ok(None);
        };
        hash.update(root.0);
        put(&file, &mut hash);
        match look(&private_path(dir, bundle))? {
            Some(file) => put(&file, &mut hash),
            None => hash.update([0]),
        }
    }
    Ok(Some(hash.finalize().into()))
}

/// How many bundles are full and published, as the checkpoint says, unverified.
///
/// # Errors
/// When the checkpoint cannot be read.
pub fn full_bundles(dir: &Path) -> Result<u64, AuditError> {
    Ok(published_size(dir)? / TILE_WIDTH)
}

fn look(path: &Path) -> Result<Option<Metadata>, AuditError> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AuditError::io("look at", path)(error)),
    }
}

fn put(file: &Metadata, hash: &mut Sha256) {
    hash.update([1]);
    for number in [file.dev(), file.ino(), file.len()] {
        hash.update(number.to_be_bytes());
    }
    for number in [
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ] {
        hash.update(number.to_be_bytes());
    }
}

/// The hashes of these bundles in the tree's first level.
fn roots(dir: &Path, bundles: Range<u64>, published: u64) -> Result<Option<Vec<Hash>>, AuditError> {
    let mut roots = Vec::new();
    let mut next = bundles.start;
    while next < bundles.end {
        let (tile, skip) = (next / TILE_WIDTH, next % TILE_WIDTH);
        let width = published.saturating_sub(tile * TILE_WIDTH).min(TILE_WIDTH);
        if width <= skip {
            return Ok(None);
        }
        let Ok(hashes) = read_hashes(dir, 1, tile, width)? else {
            return Ok(None);
        };
        let wanted = usize::try_from(bundles.end - next).unwrap_or(usize::MAX);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        roots.extend(hashes.into_iter().skip(skip).take(wanted));
        next = (tile + 1) * TILE_WIDTH;
    }
    Ok(Some(roots))
}

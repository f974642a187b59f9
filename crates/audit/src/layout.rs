//! Where things lie in a log's folder.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bailiwick_tlog::{TILE_WIDTH, TileKind, TilePath};

use crate::disk::{Disk, SystemDisk};
use crate::error::AuditError;

/// The published checkpoint.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
/// The newest checkpoint that witnesses cosigned: the published one may be newer.
pub(crate) const COSIGNED_FILE: &str = "checkpoint.cosigned";
/// Folder of journal segments.
pub(crate) const JOURNAL_DIR: &str = "journal";
/// Folder of tiles and bundles.
pub(crate) const TILE_DIR: &str = "tile";
/// Folder of what opens sealed strings, a file for each full bundle that has some.
pub(crate) const PRIVATE_DIR: &str = "private";
/// What a file that is being written is called after its name ([`crate::folders::Folders::replace`]).
pub(crate) const TEMPORARY: &str = "tmp";
/// Held locked by the one writer.
pub(crate) const LOCK_FILE: &str = "lock";
/// A checkpoint or key file is small; more is not read.
pub(crate) const MAX_SMALL_FILE: u64 = 1 << 18;

/// The journal segment that holds the entries of this bundle.
pub(crate) fn segment_path(dir: &Path, bundle: u64) -> PathBuf {
    dir.join(JOURNAL_DIR).join(format!("{bundle:012}"))
}

/// The file that holds what opens the sealed strings of a full bundle.
pub(crate) fn private_path(dir: &Path, bundle: u64) -> PathBuf {
    dir.join(PRIVATE_DIR).join(format!("{bundle:012}"))
}

/// The indices of all journal segments, ascending. Files with other names are ignored.
pub(crate) fn segments(dir: &Path) -> Result<Vec<u64>, AuditError> {
    segments_on(&SystemDisk, dir)
}

/// The same, on any disk.
pub(crate) fn segments_on(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, AuditError> {
    let names = list(disk, &dir.join(JOURNAL_DIR))?;
    let mut found: Vec<u64> = names
        .iter()
        .filter_map(|(name, _)| {
            let index = name.to_str()?.parse().ok()?;
            (segment_path(dir, index).file_name() == Some(name)).then_some(index)
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// A bundle or hash tile of this many entries or hashes.
pub(crate) fn tile_path(kind: TileKind, index: u64, width: usize) -> Result<TilePath, AuditError> {
    u16::try_from(width)
        .ok()
        .and_then(|width| TilePath::new(kind, index, width).ok())
        .ok_or_else(|| AuditError::Encode(format!("no tile is {width} wide")))
}

/// The number of entries that a log must have for this tile to be of it.
pub(crate) fn tile_end(tile: &TilePath) -> u64 {
    let level = match tile.kind() {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => u32::from(level),
    };
    let hashes = tile
        .index()
        .saturating_mul(TILE_WIDTH)
        .saturating_add(u64::from(tile.width()));
    hashes.saturating_mul(1_u64.checked_shl(8 * level).unwrap_or(u64::MAX))
}

/// Every file below `tile/` whose path is a tile's.
pub(crate) fn tiles_on_disk(dir: &Path) -> Result<Vec<TilePath>, AuditError> {
    let mut found = Vec::new();
    for_each_tile(&SystemDisk, dir, &mut |tile| {
        found.push(tile);
        Ok(())
    })?;
    Ok(found)
}

/// Hands over every tile there is, in no order, without keeping them all in memory.
pub(crate) fn for_each_tile(
    disk: &dyn Disk,
    dir: &Path,
    take: &mut dyn FnMut(TilePath) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    for_each_file(disk, dir.join(TILE_DIR), &mut |path| {
        let name = path.strip_prefix(dir).ok().and_then(Path::to_str);
        match name.and_then(|name| name.parse().ok()) {
            Some(tile) => take(tile),
            None => Ok(()),
        }
    })
}

/// Removes what a crash left of files that were being written ([`crate::folders::Folders::replace`]).
pub(crate) fn remove_unfinished(disk: &dyn Disk, dir: &Path) -> Result<(), AuditError> {
    let mut remove = |path: PathBuf| match path.extension() {
        Some(extension) if extension == TEMPORARY => remove_if_there(disk, &path),
        _ => Ok(()),
    };
    for folder in [TILE_DIR, JOURNAL_DIR, PRIVATE_DIR] {
        for_each_file(disk, dir.join(folder), &mut remove)?;
    }
    for (name, is_folder) in list(disk, dir)? {
        if !is_folder {
            remove(dir.join(name))?;
        }
    }
    Ok(())
}

fn for_each_file(
    disk: &dyn Disk,
    folder: PathBuf,
    take: &mut dyn FnMut(PathBuf) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for (name, is_folder) in list(disk, &folder)? {
            let path = folder.join(name);
            if is_folder {
                folders.push(path);
            } else {
                take(path)?;
            }
        }
    }
    Ok(())
}

/// The names in a folder; none when there is no such folder.
pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<(OsString, bool)>, AuditError> {
    match disk.list(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listing => listing.map_err(AuditError::io("list", folder)),
    }
}

/// Reads a file, or `None` when there is none.
pub(crate) fn read_on(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, AuditError> {
    match disk.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AuditError::io("read", path)(error)),
    }
}

/// Reads a small text file, or `None` when there is none.
pub(crate) fn read_text_if_there(path: &Path) -> Result<Option<String>, AuditError> {
    let length = match fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AuditError::io("read", path)(error)),
    };
    small(length).map_err(AuditError::io("read", path))?;
    fs::read_to_string(path)
        .map(Some)
        .map_err(AuditError::io("read", path))
}

/// The same, on any disk; what is there must be a plain file.
pub(crate) fn read_text_on(disk: &dyn Disk, path: &Path) -> Result<Option<String>, AuditError> {
    let found = match disk.look(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AuditError::io("read", path)(error)),
    };
    small(found.length).map_err(AuditError::io("read", path))?;
    let bytes = disk.read(path).map_err(AuditError::io("read", path))?;
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| AuditError::io("read", path)(ErrorKind::InvalidData.into()))
}

fn small(length: u64) -> std::io::Result<()> {
    if length <= MAX_SMALL_FILE {
        return Ok(());
    }
    Err(std::io::Error::new(
        ErrorKind::FileTooLarge,
        "far too long to be what it should be",
    ))
}

/// Removes a file, if it is there.
pub(crate) fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<(), AuditError> {
    match disk.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(AuditError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

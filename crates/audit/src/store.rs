//! Reading tiles and bundles, unverified.

use std::path::Path;

use bailiwick_tlog::{Hash, TileKind, decode_bundle, decode_tile};

use crate::disk::{Disk, SystemDisk};
use crate::error::AuditError;
use crate::layout::{read_on, tile_path};

/// The first `width` hashes of a tile, from the partial tile or from the full one that took its place. The inner error
/// says what is wrong with the file; `Missing` when there is neither.
pub(crate) fn read_hashes(
    dir: &Path,
    level: u8,
    index: u64,
    width: u64,
) -> Result<Result<Vec<Hash>, Flaw>, AuditError> {
    read_hashes_on(&SystemDisk, dir, level, index, width)
}

/// The same, on any disk.
pub(crate) fn read_hashes_on(
    disk: &dyn Disk,
    dir: &Path,
    level: u8,
    index: u64,
    width: u64,
) -> Result<Result<Vec<Hash>, Flaw>, AuditError> {
    if width == 0 {
        return Ok(Ok(Vec::new()));
    }
    let Some((name, bytes, whole)) =
        read_tile_on(disk, dir, TileKind::Hashes(level), index, width)?
    else {
        return Ok(Err(missing(TileKind::Hashes(level), index, width)?));
    };
    Ok(
        match decode_tile(&bytes, u16::try_from(whole).unwrap_or(u16::MAX)) {
            Ok(mut hashes) => {
                hashes.truncate(usize::try_from(width).unwrap_or(usize::MAX));
                Ok(hashes)
            }
            Err(error) => Err(Flaw {
                file: name,
                missing: false,
                why: error.to_string(),
            }),
        },
    )
}

/// The first `width` entries of a bundle, from the partial bundle or from the full one, on any disk.
pub(crate) fn read_entries_on(
    disk: &dyn Disk,
    dir: &Path,
    index: u64,
    width: u64,
) -> Result<Result<Vec<Vec<u8>>, Flaw>, AuditError> {
    let Some((name, bytes, whole)) = read_tile_on(disk, dir, TileKind::Entries, index, width)?
    else {
        return Ok(Err(missing(TileKind::Entries, index, width)?));
    };
    let bad = |why: String| Flaw {
        file: name.clone(),
        missing: false,
        why,
    };
    let entries = match decode_bundle(&bytes) {
        Ok(entries) if entries.len() as u64 == whole => entries,
        Ok(entries) => {
            return Ok(Err(bad(format!(
                "it has {} entries instead of {whole}",
                entries.len()
            ))));
        }
        Err(error) => return Ok(Err(bad(error.to_string()))),
    };
    let wanted = usize::try_from(width).unwrap_or(usize::MAX);
    Ok(Ok(entries
        .into_iter()
        .take(wanted)
        .map(<[u8]>::to_vec)
        .collect()))
}

/// What is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) file: String,
    pub(crate) missing: bool,
    pub(crate) why: String,
}

impl From<Flaw> for String {
    fn from(flaw: Flaw) -> Self {
        format!("{}: {}", flaw.file, flaw.why)
    }
}

/// A tile's or bundle's name, bytes and width.
pub(crate) type Tile = (String, Vec<u8>, u64);

/// The tile of this width, or the full one.
fn read_tile_on(
    disk: &dyn Disk,
    dir: &Path,
    kind: TileKind,
    index: u64,
    width: u64,
) -> Result<Option<Tile>, AuditError> {
    let partial = tile_path(kind, index, usize::try_from(width).unwrap_or(usize::MAX))?;
    for tile in [partial, partial.full()] {
        let name = tile.to_string();
        if let Some(bytes) = read_on(disk, &dir.join(&name))? {
            return Ok(Some((name, bytes, u64::from(tile.width()))));
        }
    }
    Ok(None)
}

fn missing(kind: TileKind, index: u64, width: u64) -> Result<Flaw, AuditError> {
    let tile = tile_path(kind, index, usize::try_from(width).unwrap_or(usize::MAX))?;
    Ok(Flaw {
        file: tile.to_string(),
        missing: true,
        why: "the file is missing".to_owned(),
    })
}

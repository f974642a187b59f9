//! Retention: the older part of a log is copied into an archive, and then removed from the log.
//!
//! An archive is a log's folder like any other, in C2SP tlog-tiles form, that ends earlier: full bundles, their openings,
//! the hash tiles of that size, a checkpoint of that size by the log's key, the verifier key. What is pruned from the log
//! are bundles and openings; hash tiles stay, so everything that remains, and everything in the archive, is still proven
//! against the log's own checkpoints.

use std::path::Path;

use bailiwick_tlog::{
    Checkpoint, CompactRange, Hash, TILE_WIDTH, TileKind, TilePath, VerifierKey, decode_bundle,
    encode_tile, leaf_hash, tiles_of_tree, tree_root,
};

use crate::disk::SystemDisk;
use crate::error::AuditError;
use crate::event::Event;
use crate::folders::{Folders, make_folders};
use crate::key::VERIFIER_KEY_FILE;
use crate::layout::{
    CHECKPOINT_FILE, private_path, read_on, read_text_on, remove_if_there, tile_path, tiles_on_disk,
};
use crate::log::Log;
use crate::openings::{Opening, decode_bundle_openings};
use crate::query::{Filter, query};
use crate::store::read_hashes_on;
use crate::subject::Subject;

/// The part of a log that an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Entries, from the first of the log.
    pub entries: u64,
    /// How many bundles of 256 entries were copied or removed just now.
    pub bundles: u64,
    /// Root of the tree over the entries.
    pub root: Hash,
}

/// How many entries, from the first, were all written before `time` (RFC 3339; a date alone will do).
///
/// # Errors
/// A log that cannot be read.
pub fn entries_before(dir: &Path, time: &str) -> Result<u64, AuditError> {
    let mut before = 0;
    for stored in query(dir, Filter::default()) {
        let stored = stored?;
        if stored.entry()?.time.as_str() >= time {
            break;
        }
        before = stored.index.saturating_add(1);
    }
    Ok(before)
}

/// Copies the first `entries`, rounded down to whole bundles of 256, into the archive in `to`, which is made or goes on
/// from what it holds. The log gains an [`Event::Archived`] entry, durable before, and loses nothing.
///
/// # Errors
/// [`AuditError::Archive`] where nothing is old enough, where the folder holds something else, or where an older part is
/// in another archive; [`AuditError::Damaged`] where the log is not what was signed: damage is not archived.
pub fn archive(log: &Log, subject: &Subject, entries: u64, to: &Path) -> Result<Part, AuditError> {
    let (dir, key) = (log.dir(), log.verifier_key());
    let bad = |why: &str| AuditError::Archive {
        dir: to.to_owned(),
        why: why.to_owned(),
    };
    if to.starts_with(dir) {
        return Err(bad("it lies in the log's own folder: name one elsewhere"));
    }
    let published = checkpoint(dir, key)?.map_or(0, |checkpoint| checkpoint.size);
    let size = entries.min(published) / TILE_WIDTH * TILE_WIDTH;
    let had = checkpoint(to, key)?;
    if let Some(had) = &had {
        check_same(dir, to, had, published)?;
    }
    let from = had.map_or(0, |had| had.size);
    if size <= from {
        if from == 0 {
            return Err(bad("no whole bundle of 256 entries is old enough yet"));
        }
        return Ok(Part {
            entries: from,
            bundles: 0,
            root: root_at(dir, from)?,
        });
    }
    let root = root_at(dir, size)?;
    let event = Event::Archived {
        entries: size,
        root: root.to_string(),
        to: to.display().to_string(),
    };
    log.append_durable(subject, &event)?;
    let note = log.sign(size, root)?;
    let bundles = from / TILE_WIDTH..size / TILE_WIDTH;
    Archive { dir, to }.copy(bundles.clone(), size, key, &note)?;
    Ok(Part {
        entries: size,
        bundles: bundles.end - bundles.start,
        root,
    })
}

/// Removes from the log what the archive in `from` holds of it, after a look at each entry and opening there. The log
/// gains an [`Event::Pruned`] entry, durable before.
///
/// # Errors
/// [`AuditError::Archive`] where the archive is none of this log or not whole; nothing was removed then.
pub fn prune(log: &Log, subject: &Subject, from: &Path) -> Result<Part, AuditError> {
    let (dir, key) = (log.dir(), log.verifier_key());
    let bad = |why: String| AuditError::Archive {
        dir: from.to_owned(),
        why,
    };
    let had = checkpoint(from, key)?.ok_or_else(|| {
        bad("there is no archive: make one with `bailiwick audit archive`".to_owned())
    })?;
    let published = checkpoint(dir, key)?.map_or(0, |checkpoint| checkpoint.size);
    check_same(dir, from, &had, published)?;
    let archive = Archive { dir, to: from };
    let mut here = Vec::new();
    for bundle in 0..had.size / TILE_WIDTH {
        archive.check(bundle).map_err(bad)?;
        let path = dir.join(tile_path(TileKind::Entries, bundle, 256)?.to_string());
        if path.exists() || private_path(dir, bundle).exists() {
            here.push((path, private_path(dir, bundle)));
        }
    }
    let part = Part {
        entries: had.size,
        bundles: here.len() as u64,
        root: had.root,
    };
    if here.is_empty() {
        return Ok(part);
    }
    let event = Event::Pruned {
        entries: part.entries,
        root: part.root.to_string(),
    };
    log.append_durable(subject, &event)?;
    let mut folders = Folders::default();
    for path in here.iter().flat_map(|(bundle, private)| [bundle, private]) {
        remove_if_there(&SystemDisk, path)?;
        if let Some(folder) = path.parent().filter(|folder| folder.exists()) {
            folders.make(&SystemDisk, dir, folder)?;
        }
    }
    folders.sync(&SystemDisk)?;
    Ok(part)
}

/// The checkpoint of a log or an archive; none where there is no such folder yet.
fn checkpoint(dir: &Path, key: &VerifierKey) -> Result<Option<Checkpoint>, AuditError> {
    let Some(note) = read_text_on(&SystemDisk, &dir.join(CHECKPOINT_FILE))? else {
        return Ok(None);
    };
    let opened = Checkpoint::open(&note, key);
    opened.map(Some).map_err(|error| AuditError::Archive {
        dir: dir.to_owned(),
        why: format!("it is no archive of this log: its checkpoint does not hold: {error}"),
    })
}

/// Whether the archive holds the first entries of this log.
fn check_same(
    dir: &Path,
    archive: &Path,
    had: &Checkpoint,
    published: u64,
) -> Result<(), AuditError> {
    let why = if had.size > published {
        "it holds more entries than the log has published"
    } else if !had.size.is_multiple_of(TILE_WIDTH) {
        "it ends within a bundle, as a log does and no archive"
    } else if root_at(dir, had.size)? != had.root {
        "its entries are not the first ones of this log"
    } else {
        return Ok(());
    };
    Err(AuditError::Archive {
        dir: archive.to_owned(),
        why: why.to_owned(),
    })
}

/// The first `width` hashes of a tile. What is narrower than it was ever published is made from the full tiles below.
fn hashes_of(dir: &Path, level: u8, index: u64, width: u64) -> Result<Vec<Hash>, AuditError> {
    let flaw = match read_hashes_on(&SystemDisk, dir, level, index, width)? {
        Ok(hashes) => return Ok(hashes),
        Err(flaw) => flaw,
    };
    let Some(below) = level.checked_sub(1).filter(|_| flaw.missing) else {
        return Err(AuditError::damaged(dir, flaw));
    };
    let first = index * TILE_WIDTH;
    (first..first + width)
        .map(|tile| {
            let hashes = read_hashes_on(&SystemDisk, dir, below, tile, TILE_WIDTH)?;
            let hashes = hashes.map_err(|flaw| AuditError::damaged(dir, flaw))?;
            Ok(tree_root(&hashes))
        })
        .collect()
}

/// Root of the tree over the first `size` entries, from the hash tiles.
fn root_at(dir: &Path, size: u64) -> Result<Hash, AuditError> {
    let mut edges = Vec::new();
    for level in 0..8_u8 {
        let count = size >> (8 * u32::from(level));
        if count == 0 {
            break;
        }
        edges.push(hashes_of(
            dir,
            level,
            count / TILE_WIDTH,
            count % TILE_WIDTH,
        )?);
    }
    Ok(CompactRange::from_edges(&edges).root())
}

struct Archive<'a> {
    dir: &'a Path,
    to: &'a Path,
}

impl Archive<'_> {
    /// Bundles and tiles first, then the checkpoint that needs them.
    fn copy(
        &self,
        bundles: std::ops::Range<u64>,
        size: u64,
        key: &VerifierKey,
        note: &str,
    ) -> Result<(), AuditError> {
        let disk = &SystemDisk;
        make_folders(disk, self.to)?;
        let mut folders = Folders::default();
        let mut put =
            |name: &Path, bytes: &[u8]| folders.replace(disk, self.to, &self.to.join(name), bytes);
        for bundle in bundles {
            let name = tile_path(TileKind::Entries, bundle, 256)?.to_string();
            let bytes = read_on(disk, &self.dir.join(&name))?.ok_or_else(|| AuditError::Archive {
                dir: self.to.to_owned(),
                why: format!("`{name}` is not in the log any more: name the archive that holds what was pruned"),
            })?;
            self.check_entries(bundle, &bytes)
                .map_err(|why| AuditError::damaged(self.dir, why))?;
            put(Path::new(&name), &bytes)?;
            if let Some(openings) = read_on(disk, &private_path(self.dir, bundle))? {
                put(&private_path(Path::new(""), bundle), &openings)?;
            }
        }
        let mut needed = Vec::new();
        for tile in tiles_of_tree(size) {
            let TileKind::Hashes(level) = tile.kind() else {
                continue;
            };
            let width = u64::from(tile.width());
            let hashes = hashes_of(self.dir, level, tile.index(), width)?;
            put(Path::new(&tile.to_string()), &encode_tile(&hashes))?;
            needed.push(tile);
        }
        put(Path::new(VERIFIER_KEY_FILE), format!("{key}\n").as_bytes())?;
        folders.make(disk, self.to, self.to)?;
        folders.sync(disk)?;
        folders.replace(
            disk,
            self.to,
            &self.to.join(CHECKPOINT_FILE),
            note.as_bytes(),
        )?;
        folders.make(disk, self.to, self.to)?;
        folders.sync(disk)?;
        // What the checkpoint before this one needed.
        let stale = |tile: &TilePath| !tile.is_full() && !needed.contains(tile);
        for tile in tiles_on_disk(self.to)?.into_iter().filter(stale) {
            remove_if_there(disk, &self.to.join(tile.to_string()))?;
        }
        Ok(())
    }

    /// Whether the archive has this bundle, all of it as the log's hashes say, and what the log has to open it.
    fn check(&self, bundle: u64) -> Result<(), String> {
        let told = |error: AuditError| error.to_string();
        let name = tile_path(TileKind::Entries, bundle, 256)
            .map_err(told)?
            .to_string();
        let bytes = read_on(&SystemDisk, &self.to.join(&name))
            .map_err(told)?
            .ok_or_else(|| format!("it lacks `{name}`"))?;
        self.check_entries(bundle, &bytes)?;
        let (ours, theirs) = (openings(self.dir, bundle)?, openings(self.to, bundle)?);
        if ours.iter().all(|opening| theirs.contains(opening)) {
            return Ok(());
        }
        let file = private_path(Path::new(""), bundle);
        Err(format!(
            "it lacks something that `{}` holds: archive once more",
            file.display()
        ))
    }

    fn check_entries(&self, bundle: u64, bytes: &[u8]) -> Result<(), String> {
        let hashes = read_hashes_on(&SystemDisk, self.dir, 0, bundle, TILE_WIDTH)
            .map_err(|error| error.to_string())?
            .map_err(String::from)?;
        let entries = decode_bundle(bytes).map_err(|error| format!("bundle {bundle}: {error}"))?;
        let first = bundle * TILE_WIDTH;
        if entries.len() != hashes.len() {
            return Err(format!("bundle {bundle} has {} entries", entries.len()));
        }
        let found = entries.iter().map(|entry| leaf_hash(entry));
        match found
            .zip(&hashes)
            .position(|(found, signed)| found != *signed)
        {
            None => Ok(()),
            Some(at) => Err(format!(
                "entry {} is not the one that was signed",
                first + at as u64
            )),
        }
    }
}

fn openings(dir: &Path, bundle: u64) -> Result<Vec<(u8, Opening)>, String> {
    let path = private_path(dir, bundle);
    let bytes = read_on(&SystemDisk, &path).map_err(|error| error.to_string())?;
    let Some(bytes) = bytes else {
        return Ok(Vec::new());
    };
    let entries =
        decode_bundle_openings(&bytes).map_err(|why| format!("{}: {why}", path.display()))?;
    let flat = entries
        .into_iter()
        .flat_map(|(index, openings)| openings.into_iter().map(move |opening| (index, opening)));
    Ok(flat.collect())
}

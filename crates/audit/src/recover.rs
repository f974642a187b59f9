//! Opening a log: what the last writer left is checked against its signatures, taken up, and continued.

use std::path::Path;
use std::time::Duration;

use bailiwick_tlog::{
    Checkpoint, CompactRange, SigningKey, TILE_WIDTH, TileKind, TilePath, decode_bundle, leaf_hash,
};

use crate::bundle::{Bundle, Segment};
use crate::clock::{entry_time, format_time, stamp, whole_millis};
use crate::commit::State;
use crate::disk::{Disk, Held, OpenAs};
use crate::erase;
use crate::error::AuditError;
use crate::folders::{Folders, make_folders};
use crate::key;
use crate::layout::{
    CHECKPOINT_FILE, JOURNAL_DIR, LOCK_FILE, TILE_DIR, for_each_tile, list, read_on, read_text_on,
    remove_unfinished, segment_path, segments_on, tile_end, tile_path,
};
use crate::log::Options;
use crate::publish::{Edge, publish_checkpoint, remove_partials};
use crate::replay::{Replay, Replayed};
use crate::store::{read_entries_on, read_hashes_on};

/// A log, ready to be continued.
pub(crate) struct Opened {
    pub(crate) key: SigningKey,
    pub(crate) state: State,
    pub(crate) edges: Vec<Edge>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) lock: Box<dyn Held>,
}

pub(crate) fn open(options: &Options, dir: &Path, key_file: &Path) -> Result<Opened, AuditError> {
    let disk = &*options.disk;
    make_folders(disk, dir)?;
    let lock = lock(disk, dir)?;
    remove_unfinished(disk, dir)?;
    erase::finish(disk, dir)?;
    let note = read_text_on(disk, &dir.join(CHECKPOINT_FILE))?;
    let empty = note.is_none()
        && segments_on(disk, dir)?.is_empty()
        && list(disk, &dir.join(TILE_DIR))?.is_empty();
    let key = key::load_or_create(disk, dir, key_file, empty)?;
    let mut folders = Folders::default();
    folders.make(disk, dir, &dir.join(JOURNAL_DIR))?;
    let checkpoint = match note {
        Some(note) => Checkpoint::open(&note, key.verifier()).map_err(|error| {
            AuditError::damaged(dir, format!("its checkpoint does not hold: {error}"))
        })?,
        None if empty => first_checkpoint(disk, dir, &key, &mut folders)?,
        None => return Err(AuditError::damaged(dir, "its checkpoint is missing")),
    };
    folders.sync(disk)?;
    let tiles = Tiles::look(disk, dir, checkpoint.size)?;
    tiles.check_not_put_back(disk, dir, &checkpoint)?;
    let (edges, range) = published_edges(disk, dir, &checkpoint)?;
    let bundle = published_bundle(disk, dir, checkpoint.size)?;
    let time = published_time(disk, dir, &bundle)?;
    let replay = Replay::new(disk, dir, &key, range, bundle, time);
    let replayed = replay.run(|size, last, unclosed| {
        tiles.check_not_beyond(dir, size)?;
        if size == 0 && !unclosed {
            return Ok(last);
        }
        let now = whole_millis(options.clock.now());
        stamp(now, last).ok_or_else(|| AuditError::ClockWentBack {
            dir: dir.to_owned(),
            last: format_time(last),
            now: format_time(now),
        })
    })?;
    for (kind, index) in tiles.superseded {
        remove_partials(disk, dir, kind, index, &mut folders)?;
    }
    Ok(Opened {
        key,
        state: state(disk, dir, replayed, checkpoint.size)?,
        edges,
        checkpoint,
        lock,
    })
}

fn state(
    disk: &dyn Disk,
    dir: &Path,
    replayed: Replayed,
    published: u64,
) -> Result<State, AuditError> {
    let mut state = State::new(replayed.range, replayed.bundle, published);
    state.full = replayed.full;
    state.last_time = replayed.last_time;
    if let Some(at) = replayed.segment_end {
        let path = segment_path(dir, state.bundle.index);
        let file = disk
            .open(&path, OpenAs::Keep)
            .map_err(AuditError::io("open", &path))?;
        let found = disk.look(&path).map_err(AuditError::io("read", &path))?;
        state.segment = Some(Segment {
            file: file.into(),
            at,
            length: found.length,
        });
    }
    Ok(state)
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Held>, AuditError> {
    let path = dir.join(LOCK_FILE);
    let lock = disk.lock(&path).map_err(AuditError::io("lock", &path))?;
    lock.ok_or_else(|| AuditError::Locked {
        dir: dir.to_owned(),
    })
}

/// A log begins with a signed checkpoint over nothing, so that its absence always means something.
fn first_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    key: &SigningKey,
    folders: &mut Folders,
) -> Result<Checkpoint, AuditError> {
    let origin = key.verifier().name().to_owned();
    let checkpoint = Checkpoint {
        origin,
        size: 0,
        root: CompactRange::default().root(),
    };
    let note = checkpoint
        .sign(key)
        .map_err(|error| AuditError::Encode(error.to_string()))?;
    publish_checkpoint(disk, dir, &note, folders)?;
    Ok(checkpoint)
}

/// Of the tiles on the disk those that say something about the last writer's end; the others are not kept in memory.
#[derive(Default)]
struct Tiles {
    /// Of a longer log than the checkpoint's.
    newer: Vec<TilePath>,
    /// Where partial tiles lie beside the full one.
    superseded: Vec<(TileKind, u64)>,
    /// The checkpoint's own partial tiles, or what took their place, are there.
    exact: bool,
}

impl Tiles {
    fn look(disk: &dyn Disk, dir: &Path, size: u64) -> Result<Self, AuditError> {
        let mut found = Self {
            exact: size.is_multiple_of(TILE_WIDTH),
            ..Self::default()
        };
        for_each_tile(disk, dir, &mut |tile| {
            if tile_end(&tile) > size {
                found.newer.push(tile);
            }
            let full = tile_end(&tile.full()) <= size;
            let place = (tile.kind(), tile.index());
            if full && !tile.is_full() && !found.superseded.contains(&place) {
                found.superseded.push(place);
            }
            let is_leaf = matches!(tile.kind(), TileKind::Entries | TileKind::Hashes(0));
            found.exact |= is_leaf && !tile.is_full() && tile_end(&tile) == size;
            Ok(())
        })?;
        Ok(found)
    }

    /// Partial tiles and journal segments are removed only once a newer checkpoint is in place: where they are gone and
    /// what took their place is there, the checkpoint is an old one.
    fn check_not_put_back(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        checkpoint: &Checkpoint,
    ) -> Result<(), AuditError> {
        let segments = segments_on(disk, dir)?;
        let newer = self.newer.iter().find(|tile| {
            let of_segment = tile.is_full() && tile.kind() == TileKind::Entries;
            !self.exact || (of_segment && !segments.contains(&tile.index()))
        });
        match newer {
            None => Ok(()),
            Some(newer) => Err(AuditError::damaged(
                dir,
                format!(
                    "its checkpoint was put back: it signs {} entries, and {newer} is of a later one",
                    checkpoint.size
                ),
            )),
        }
    }

    /// Tiles are written only from what the journal holds.
    fn check_not_beyond(&self, dir: &Path, size: u64) -> Result<(), AuditError> {
        match self.newer.iter().find(|tile| tile_end(tile) > size) {
            None => Ok(()),
            Some(tile) => Err(AuditError::damaged(
                dir,
                format!("there are {size} entries, and {tile} is of a longer log"),
            )),
        }
    }
}

/// The time of the last published entry; of none, and where its bundle was archived, 1970.
fn published_time(disk: &dyn Disk, dir: &Path, bundle: &Bundle) -> Result<Duration, AuditError> {
    let time = |bytes: &[u8]| {
        let entries = decode_bundle(bytes).unwrap_or_default();
        let last = entries.last();
        last.and_then(|entry| entry_time(entry)).unwrap_or_default()
    };
    match bundle.index.checked_sub(1) {
        Some(before) if bundle.hashes.is_empty() => {
            let tile = tile_path(TileKind::Entries, before, 256)?;
            let bytes = read_on(disk, &dir.join(tile.to_string()))?;
            Ok(time(&bytes.unwrap_or_default()))
        }
        _ => Ok(time(&bundle.bytes)),
    }
}

/// The partial tiles of each level above the leaves, and the tree that all of them make: the one that was signed.
fn published_edges(
    disk: &dyn Disk,
    dir: &Path,
    checkpoint: &Checkpoint,
) -> Result<(Vec<Edge>, CompactRange), AuditError> {
    let mut edges = Vec::new();
    for level in 0..8_u8 {
        let count = checkpoint.size >> (8 * u32::from(level));
        if count == 0 {
            break;
        }
        let (tiles, width) = (count / TILE_WIDTH, count % TILE_WIDTH);
        let hashes = read_hashes_on(disk, dir, level, tiles, width)?
            .map_err(|error| AuditError::damaged(dir, error))?;
        edges.push(Edge {
            tiles,
            hashes,
            changed: false,
        });
    }
    let hashes: Vec<_> = edges.iter().map(|edge| edge.hashes.clone()).collect();
    let range = CompactRange::from_edges(&hashes);
    if range.root() != checkpoint.root || range.size() != checkpoint.size {
        return Err(AuditError::damaged(
            dir,
            "its tiles are not those that its checkpoint signs",
        ));
    }
    edges.drain(..edges.len().min(1));
    Ok((edges, range))
}

/// The entries of the partial last bundle behind the checkpoint, seen to be those of its leaf hashes.
fn published_bundle(disk: &dyn Disk, dir: &Path, size: u64) -> Result<Bundle, AuditError> {
    let (index, width) = (size / TILE_WIDTH, size % TILE_WIDTH);
    let mut bundle = Bundle {
        index,
        ..Bundle::default()
    };
    if width == 0 {
        return Ok(bundle);
    }
    let hashes = read_hashes_on(disk, dir, 0, index, width)?
        .map_err(|error| AuditError::damaged(dir, error))?;
    let entries = read_entries_on(disk, dir, index, width)?
        .map_err(|error| AuditError::damaged(dir, error))?;
    for (position, entry) in (0..).zip(&entries) {
        let hash = leaf_hash(entry);
        if hashes.get(position) != Some(&hash) {
            let at = index * TILE_WIDTH + position as u64;
            return Err(AuditError::damaged(
                dir,
                format!("entry {at} is not the one that was signed"),
            ));
        }
        bundle.push(entry, hash, Vec::new())?;
    }
    Ok(bundle)
}

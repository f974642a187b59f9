//! The right edge of the published tree: the partial tiles and the last bundle, which a writer replaces at its next
//! publication. They are read first and all at once; what remains to be read then never changes again.

use std::path::Path;

use bailiwick_tlog::{Checkpoint, CompactRange, Hash, TILE_WIDTH, TileKind};

use super::entries::EntryCheck;
use super::files::{
    Fetched, MAX_BUNDLE_BYTES, MAX_SEGMENT_BYTES, MAX_TILE_BYTES, fetch, hashes_of, split_bundle,
    tile_name,
};
use crate::diagnose::Row;
use crate::journal::{Record, Records};
use crate::layout::segment_path;

/// Hash tiles above this level have at most one hash in a tree of any size that a u64 counts.
const LEVELS: u8 = 8;

/// One stored partial tile.
#[derive(Debug, Clone, Default)]
pub(crate) struct EdgeTile {
    /// Its file below the log's folder.
    pub(crate) name: String,
    /// What it holds, up to the width that the checkpoint needs.
    pub(crate) hashes: Vec<Hash>,
    /// What is wrong with the file.
    pub(crate) flaw: Option<String>,
}

/// The edge as it is stored, not yet compared with anything.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    size: u64,
    /// From level 0 up; empty where the level's last tile is full.
    pub(crate) tiles: Vec<EdgeTile>,
    /// The last bundle, where it is partial.
    pub(crate) last: Option<Row>,
}

impl Edge {
    pub(crate) fn read(dir: &Path, checkpoint: &Checkpoint, check: &mut EntryCheck) -> Self {
        let size = checkpoint.size;
        let mut tiles = Vec::new();
        for level in 0..LEVELS {
            let count = size >> (8 * u32::from(level));
            if count == 0 {
                break;
            }
            tiles.push(read_edge_tile(dir, level, count));
        }
        let width = size % TILE_WIDTH;
        let last = tiles.first().filter(|_| width > 0).map(|leaves| {
            let mut row = read_last_bundle(dir, size, check);
            row.stored.clone_from(&leaves.hashes);
            row.hashes_file.clone_from(&leaves.name);
            row.hashes_flaw.clone_from(&leaves.flaw);
            row.journal = journal_leaves(dir, size / TILE_WIDTH, width);
            row
        });
        Self { size, tiles, last }
    }

    /// The tree that the stored hashes make.
    pub(crate) fn range(&self) -> CompactRange {
        let edges: Vec<_> = self.tiles.iter().map(|tile| tile.hashes.clone()).collect();
        CompactRange::from_edges(&edges)
    }

    /// The tree over the full bundles only.
    pub(crate) fn full(&self) -> CompactRange {
        let upper = self.tiles.iter().skip(1).map(|tile| tile.hashes.clone());
        let edges: Vec<_> = std::iter::once(Vec::new()).chain(upper).collect();
        CompactRange::from_edges(&edges)
    }

    /// Whether all that is here is what was signed, whatever lies to the left of it.
    pub(crate) fn holds(&self, root: Hash) -> bool {
        let last = self.last.as_ref();
        self.tiles.iter().all(|tile| tile.flaw.is_none())
            && last
                .is_none_or(|row| row.found == row.stored && !row.cut && row.entries_flaw.is_none())
            && self.range().size() == self.size
            && self.range().root() == root
    }
}

fn read_edge_tile(dir: &Path, level: u8, count: u64) -> EdgeTile {
    let (index, width) = (count / TILE_WIDTH, count % TILE_WIDTH);
    if width == 0 {
        return EdgeTile::default();
    }
    let mut bytes = Vec::new();
    let kind = TileKind::Hashes(level);
    let mut tile = EdgeTile::default();
    // The full tile may stand in for the partial one.
    for (name, bytes_there) in [
        (tile_name(kind, index, width), width * 32),
        (tile_name(kind, index, TILE_WIDTH), MAX_TILE_BYTES),
    ] {
        let fetched = fetch(&dir.join(&name), MAX_TILE_BYTES, &mut bytes);
        if tile.name.is_empty() || fetched != Fetched::Missing {
            tile.name = name;
        }
        match fetched {
            Fetched::Missing => tile.flaw = Some("the file is missing".to_owned()),
            Fetched::Bad(why) => {
                tile.flaw = Some(why);
                break;
            }
            Fetched::Whole if bytes.len() as u64 == bytes_there => {
                tile.flaw = None;
                tile.hashes = hashes_of(&bytes);
                tile.hashes
                    .truncate(usize::try_from(width).unwrap_or(usize::MAX));
                break;
            }
            Fetched::Whole => {
                tile.flaw = Some(format!("it has {} bytes, not {bytes_there}", bytes.len()));
                break;
            }
        }
    }
    tile
}

fn read_last_bundle(dir: &Path, size: u64, check: &mut EntryCheck) -> Row {
    let (index, width) = (size / TILE_WIDTH, size % TILE_WIDTH);
    let mut row = Row {
        first: index * TILE_WIDTH,
        missing: true,
        ..Row::default()
    };
    let mut bytes = Vec::new();
    for whole in [width, TILE_WIDTH] {
        let name = tile_name(TileKind::Entries, index, whole);
        let fetched = fetch(&dir.join(&name), MAX_BUNDLE_BYTES, &mut bytes);
        if row.entries_file.is_empty() || fetched != Fetched::Missing {
            row.entries_file = name;
        }
        match fetched {
            Fetched::Missing => continue,
            Fetched::Bad(why) => row.entries_flaw = Some(why),
            Fetched::Whole => {
                row.cut = split_bundle(&bytes, &mut row.found, |at, entry| {
                    if (at as u64) < width {
                        check.entry(row.first + at as u64, entry);
                    }
                });
                if whole > width {
                    // The other entries of a full bundle are not behind this checkpoint.
                    row.found
                        .truncate(usize::try_from(width).unwrap_or(usize::MAX));
                }
            }
        }
        row.missing = false;
        break;
    }
    row
}

/// The partial last bundle's leaf hashes by the journal, which holds these entries, too.
fn journal_leaves(dir: &Path, index: u64, width: u64) -> Vec<Hash> {
    let mut bytes = Vec::new();
    if fetch(&segment_path(dir, index), MAX_SEGMENT_BYTES, &mut bytes) != Fetched::Whole {
        return Vec::new();
    }
    let leaves = Records::new(&bytes).filter_map(|record| match record {
        Record::Entry(_, hash) => Some(hash),
        _ => None,
    });
    leaves
        .take(usize::try_from(width).unwrap_or(usize::MAX))
        .collect()
}

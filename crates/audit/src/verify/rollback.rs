//! Whether a checkpoint is older than what lies beside it.

use bailiwick_tlog::{TileKind, TilePath};

use crate::layout::tile_end;

/// Whether this tile could only be there after a checkpoint over more than `size` entries.
pub(crate) fn is_newer(
    tile: &TilePath,
    size: u64,
    edge_gone: bool,
    segment_gone: &dyn Fn() -> bool,
) -> bool {
    tile_end(tile) > size
        && (edge_gone || (tile.is_full() && tile.kind() == TileKind::Entries && segment_gone()))
}

pub(crate) fn says_newer(size: u64, tile: &TilePath) -> String {
    format!("it signs {size} entries, and {tile} is of a later one")
}

pub(crate) fn says_beyond(size: u64, tile: &TilePath) -> String {
    format!("there are {size} entries, and {tile} is of a longer log")
}

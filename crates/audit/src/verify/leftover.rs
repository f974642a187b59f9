//! Partial tiles and journal segments that a crash kept a writer from removing. Nobody needs them; but who reads one
//! should not read something else in it.

use std::path::Path;

use bailiwick_tlog::{Checkpoint, Hash, TILE_WIDTH, TileKind, TilePath};

use super::edge::Edge;
use super::files::{
    Fetched, MAX_BUNDLE_BYTES, MAX_SEGMENT_BYTES, MAX_TILE_BYTES, fetch, hashes_of, split_bundle,
    tile_name,
};
use super::inventory::walk;
use crate::journal::{Record, Records};
use crate::layout::{JOURNAL_DIR, TILE_DIR, tile_end};
use crate::report::{Report, Tampering};

/// Compares leftovers with the log, which was found to hold.
pub(crate) fn check(dir: &Path, checkpoint: &Checkpoint, edge: &Edge) -> Report {
    let mut report = Report::new();
    let mut tile = |name: &str, is_folder: bool| {
        let parsed = name.parse::<TilePath>().ok();
        if let Some(tile) = parsed.filter(|tile| !is_folder && !tile.is_full())
            && tile_end(&tile) <= checkpoint.size
        {
            compare_tile(dir, &tile, edge, &mut report);
        }
    };
    // A folder that cannot be listed any more was found before.
    let _ = walk(dir, TILE_DIR, 0, &mut tile);
    let mut segment = |name: &str, _: bool| {
        let number = name
            .rsplit('/')
            .next()
            .and_then(|number| number.parse().ok());
        if let Some(segment) = number.filter(|segment| *segment < checkpoint.size / TILE_WIDTH) {
            compare_segment(dir, name, segment, &mut report);
        }
    };
    let _ = walk(dir, JOURNAL_DIR, 0, &mut segment);
    report
}

/// The hashes that the log has in this place: of the full tile, or of the partial one at the edge.
fn signed(dir: &Path, level: u8, index: u64, edge: &Edge) -> Vec<Hash> {
    let mut bytes = Vec::new();
    let name = tile_name(TileKind::Hashes(level), index, TILE_WIDTH);
    match fetch(&dir.join(name), MAX_TILE_BYTES, &mut bytes) {
        Fetched::Whole => hashes_of(&bytes),
        _ => {
            let tile = edge.tiles.get(usize::from(level));
            tile.map(|tile| tile.hashes.clone()).unwrap_or_default()
        }
    }
}

fn compare_tile(dir: &Path, tile: &TilePath, edge: &Edge, report: &mut Report) {
    let mut bytes = Vec::new();
    let mut found = Vec::new();
    let (level, limit) = match tile.kind() {
        TileKind::Entries => (0, MAX_BUNDLE_BYTES),
        TileKind::Hashes(level) => (level, MAX_TILE_BYTES),
    };
    let name = tile.to_string();
    let covers = 1_u64 << (8 * u32::from(level)).min(63);
    let first = tile
        .index()
        .saturating_mul(TILE_WIDTH)
        .saturating_mul(covers);
    let whole = match fetch(&dir.join(&name), limit, &mut bytes) {
        // Its writer is at work.
        Fetched::Missing => return,
        Fetched::Bad(why) => return report.add(Some(first), &name, Tampering::Unreadable, why),
        Fetched::Whole if tile.kind() == TileKind::Entries => {
            !split_bundle(&bytes, &mut found, |_, _| {})
        }
        Fetched::Whole => {
            found = hashes_of(&bytes);
            bytes.len() == found.len() * bailiwick_tlog::HASH_BYTES
        }
    };
    let signed = signed(dir, level, tile.index(), edge);
    let differing = (0..usize::from(tile.width())).find(|at| found.get(*at) != signed.get(*at));
    let at = match differing {
        Some(at) => at,
        None if whole && found.len() == usize::from(tile.width()) => return,
        None => usize::from(tile.width()),
    };
    let tampering = match tile.kind() {
        TileKind::Entries => Tampering::Changed,
        TileKind::Hashes(_) => Tampering::HashChanged,
    };
    let detail = "a partial tile of an earlier moment, in which something else stands now";
    let index = first.saturating_add(covers.saturating_mul(at as u64));
    report.add(Some(index), &name, tampering, detail);
}

fn compare_segment(dir: &Path, name: &str, segment: u64, report: &mut Report) {
    let mut bytes = Vec::new();
    let first = segment * TILE_WIDTH;
    match fetch(&dir.join(name), MAX_SEGMENT_BYTES, &mut bytes) {
        Fetched::Missing => return,
        Fetched::Bad(why) => return report.add(Some(first), name, Tampering::Unreadable, why),
        Fetched::Whole => {}
    }
    // It is of a full bundle, which has its tile.
    let mut tile = Vec::new();
    let leaves = tile_name(TileKind::Hashes(0), segment, TILE_WIDTH);
    let Fetched::Whole = fetch(&dir.join(leaves), MAX_TILE_BYTES, &mut tile) else {
        return;
    };
    let signed = hashes_of(&tile);
    let found = Records::new(&bytes).filter_map(|record| match record {
        Record::Entry(_, hash) => Some(hash),
        Record::Seal(_) => None,
    });
    for (at, hash) in found.enumerate() {
        if signed.get(at) != Some(&hash) {
            let detail = "a segment that was published, in which something else stands now";
            return report.add(Some(first + at as u64), name, Tampering::Changed, detail);
        }
    }
}

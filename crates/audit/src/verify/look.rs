//! The second look, around the damage that the pass has found.

use std::path::Path;

use bailiwick_tlog::{Hash, TILE_WIDTH, TileKind, tree_root};

use super::edge::Edge;
use super::files::{
    Fetched, MAX_BUNDLE_BYTES, MAX_TILE_BYTES, fetch, hashes_of, split_bundle, tile_name,
};
use super::pass::{Damage, Judge, Pass};
use crate::diagnose::{Row, diagnose};
use crate::report::{Report, Tampering};

/// Which hashes were signed, as far as the signed root can tell.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) judge: Judge,
    /// Leaf hashes of the partial last bundle.
    pub(crate) last: Vec<Hash>,
    /// The signed root confirms it.
    pub(crate) proven: bool,
}

/// Finds the reading of the log that has the signed root. Without one, the leaf tiles are taken.
pub(crate) fn settle(pass: &Pass<'_>, edge: &Edge, wanted: Hash) -> Settled {
    let last = edge.last.as_ref();
    let readings: Vec<Option<&[Hash]>> = match last {
        None => vec![None],
        Some(row) => [&row.stored, &row.found, &row.journal]
            .into_iter()
            .map(|leaves| Some(leaves.as_slice()))
            .collect(),
    };
    for judge in [Judge::Parent, Judge::Tiles, Judge::Entries] {
        for leaves in &readings {
            if pass.trees.root(judge, *leaves) == wanted {
                let last = leaves.map(<[Hash]>::to_vec).unwrap_or_default();
                return Settled {
                    judge,
                    last,
                    proven: true,
                };
            }
        }
    }
    Settled {
        judge: Judge::Tiles,
        last: last.map(|row| row.stored.clone()).unwrap_or_default(),
        proven: false,
    }
}

/// Names what was done. Empty when all is as it was signed.
pub(crate) fn look(
    dir: &Path,
    archive: Option<&Path>,
    pass: &Pass<'_>,
    edge: &Edge,
    settled: &Settled,
) -> Report {
    let mut rows: Vec<Row> = pass
        .damaged
        .iter()
        .map(|damage| read_row(dir, archive, damage))
        .collect();
    if let Some(mut row) = edge.last.clone() {
        row.truth.clone_from(&settled.last);
        let agree = row.truth == row.found && row.truth == row.stored && !row.cut;
        if !agree || row.hashes_flaw.is_some() || row.entries_flaw.is_some() {
            rows.push(row);
        }
    }
    let mut report = diagnose(&rows, settled.proven);
    report.more += pass.damaged_more;
    for flaw in &pass.upper {
        let (tampering, detail) = match (&flaw.why, settled.proven) {
            (Some(why), _) => (Tampering::HashChanged, why.clone()),
            (None, true) => (
                Tampering::HashChanged,
                "the hash over these entries".to_owned(),
            ),
            (None, false) => (
                Tampering::Rewritten,
                "one of these entries was rewritten together with its leaf hash".to_owned(),
            ),
        };
        report.add_range(flaw.first, flaw.last, &flaw.file, tampering, detail);
    }
    report.more += pass.upper_more;
    if let Some(from) = pass.gave_up_at {
        let detail = "from here on there is nothing at all";
        report.add(
            Some(from),
            crate::layout::TILE_DIR,
            Tampering::Truncated,
            detail,
        );
    }
    if report.findings.is_empty() && !settled.proven {
        let detail = "the root over all entries is not the one that was signed, though entries and hashes agree";
        report.add(None, crate::layout::TILE_DIR, Tampering::Rewritten, detail);
    }
    report
}

fn read_row(dir: &Path, archive: Option<&Path>, damage: &Damage) -> Row {
    let mut row = Row {
        first: damage.index * TILE_WIDTH,
        entries_file: tile_name(TileKind::Entries, damage.index, TILE_WIDTH),
        hashes_file: tile_name(TileKind::Hashes(0), damage.index, TILE_WIDTH),
        ..Row::default()
    };
    let mut bytes = Vec::new();
    let mut fetched = fetch(&dir.join(&row.entries_file), MAX_BUNDLE_BYTES, &mut bytes);
    if let Some(archive) = archive.filter(|_| fetched == Fetched::Missing) {
        fetched = fetch(
            &archive.join(&row.entries_file),
            MAX_BUNDLE_BYTES,
            &mut bytes,
        );
    }
    match fetched {
        Fetched::Whole => row.cut = split_bundle(&bytes, &mut row.found, |_, _| {}),
        Fetched::Missing if damage.pruned => row.pruned = true,
        Fetched::Missing => row.missing = true,
        Fetched::Bad(why) => row.entries_flaw = Some(why),
    }
    match fetch(&dir.join(&row.hashes_file), MAX_TILE_BYTES, &mut bytes) {
        Fetched::Whole if bytes.len() as u64 == MAX_TILE_BYTES => row.stored = hashes_of(&bytes),
        Fetched::Whole => {
            row.hashes_flaw = Some(format!(
                "it has {} bytes, not {MAX_TILE_BYTES}",
                bytes.len()
            ));
        }
        Fetched::Missing => row.hashes_flaw = Some("the file is missing".to_owned()),
        Fetched::Bad(why) => row.hashes_flaw = Some(why),
    }
    for candidate in [&row.stored, &row.found] {
        if tree_root(candidate) == damage.taken {
            row.truth.clone_from(candidate);
            break;
        }
    }
    row
}

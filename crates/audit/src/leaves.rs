//! The entries behind the published checkpoint: read once, hashed, and compared with every stored hash.

use std::path::Path;

use bailiwick_tlog::{Checkpoint, CompactRange, Hash, TILE_WIDTH, TileKind, leaf_hash, tree_root};

use crate::diagnose::{Row, diagnose};
use crate::journal::{Record, Records};
use crate::layout::{read_if_there, segment_path, tile_path};
use crate::report::{Report, Tampering};
use crate::store::{Flaw, read_hashes, read_tile};

/// All published leaves, seen to be those that the checkpoint signs.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    /// The tree over them.
    pub(crate) range: CompactRange,
    /// The tree over the full bundles only.
    pub(crate) full: CompactRange,
    /// Leaf hashes of the partial last bundle.
    pub(crate) last: Vec<Hash>,
    /// The root at the size asked for, if it is not beyond the published ones.
    pub(crate) root_at_known: Option<Hash>,
}

/// The pass over bundles and leaf tiles.
struct Pass<'a> {
    dir: &'a Path,
    checkpoint: &'a Checkpoint,
    /// The root of each bundle by its entries and by its leaf tile.
    roots: Vec<(Hash, Hash)>,
    /// The bundles where the two differ.
    rows: Vec<Row>,
    last: Vec<Hash>,
    known: Option<u64>,
    /// Leaf hashes of the bundle in which the known size falls, up to it.
    known_leaves: Vec<Hash>,
}

impl Leaves {
    pub(crate) fn read(
        dir: &Path,
        checkpoint: &Checkpoint,
        known: Option<u64>,
    ) -> Result<Self, Report> {
        let mut pass = Pass {
            dir,
            checkpoint,
            roots: Vec::new(),
            rows: Vec::new(),
            last: Vec::new(),
            known,
            known_leaves: Vec::new(),
        };
        for index in 0..checkpoint.size.div_ceil(TILE_WIDTH) {
            pass.bundle(index)?;
        }
        let (roots, proven) = pass.settle()?;
        if !pass.rows.is_empty() {
            diagnose(&pass.rows, proven).into_result()?;
        }
        let edges = pass.upper_levels(&roots, proven)?;
        let full_edges: Vec<_> = std::iter::once(Vec::new())
            .chain(edges.iter().skip(1).cloned())
            .collect();
        let root_at_known = known
            .filter(|known| *known <= checkpoint.size)
            .map(|known| pass.root_at(known, &roots));
        Ok(Self {
            range: CompactRange::from_edges(&edges),
            full: CompactRange::from_edges(&full_edges),
            last: pass.last,
            root_at_known,
        })
    }
}

impl Pass<'_> {
    fn width(&self, index: u64) -> u64 {
        self.checkpoint
            .size
            .saturating_sub(index * TILE_WIDTH)
            .min(TILE_WIDTH)
    }

    fn bundle(&mut self, index: u64) -> Result<(), Report> {
        let width = self.width(index);
        let mut row = Row {
            first: index * TILE_WIDTH,
            ..Row::default()
        };
        let read = read_tile(self.dir, TileKind::Entries, index, width)
            .map_err(|error| unreadable(&row, &error))?;
        match read {
            Some((file, bytes, whole)) => {
                (row.found, row.cut) = lenient_hashes(&bytes);
                if whole > width {
                    // A full bundle in the place of the partial one: its other entries are not behind this checkpoint.
                    row.found
                        .truncate(usize::try_from(width).unwrap_or(usize::MAX));
                }
                row.entries_file = file;
            }
            None => {
                let width = usize::try_from(width).unwrap_or(usize::MAX);
                let tile = tile_path(TileKind::Entries, index, width)
                    .map_err(|error| unreadable(&row, &error))?;
                row.entries_file = tile.to_string();
                row.missing = true;
            }
        }
        match read_hashes(self.dir, 0, index, width).map_err(|error| unreadable(&row, &error))? {
            Ok(hashes) => row.stored = hashes,
            Err(Flaw { file, why, .. }) => (row.hashes_file, row.hashes_flaw) = (file, Some(why)),
        }
        if row.hashes_file.is_empty() {
            let tile = tile_path(TileKind::Hashes(0), index, row.stored.len());
            row.hashes_file = tile.map(|tile| tile.to_string()).unwrap_or_default();
        }
        self.roots
            .push((tree_root(&row.found), tree_root(&row.stored)));
        if let Some(inside) = self
            .known
            .and_then(|known| known.checked_sub(row.first))
            .filter(|known| *known <= width)
        {
            let inside = usize::try_from(inside).unwrap_or(usize::MAX);
            self.known_leaves = row.stored.iter().take(inside).copied().collect();
        }
        if width < TILE_WIDTH {
            self.last.clone_from(&row.stored);
        }
        if row.found != row.stored || row.cut {
            self.rows.push(row);
        }
        Ok(())
    }

    /// Decides for each bundle whether its entries or its leaf tile are those that were signed. The checkpoint's root
    /// is the judge; the tile above says where to look. Without a verdict the leaf tiles are taken.
    fn settle(&mut self) -> Result<(Vec<Hash>, bool), Report> {
        let wanted = self.checkpoint.root;
        let by_tiles: Vec<Hash> = self.roots.iter().map(|(_, stored)| *stored).collect();
        for row in &mut self.rows {
            row.truth.clone_from(&row.stored);
        }
        if tree_root(&by_tiles) == wanted {
            return Ok((by_tiles, true));
        }
        let mut chosen = Vec::new();
        for (index, (found, stored)) in (0_u64..).zip(&self.roots) {
            let parent = if found == stored {
                None
            } else {
                self.parent(index)?
            };
            chosen.push(if parent == Some(*found) {
                *found
            } else {
                *stored
            });
        }
        let by_entries: Vec<Hash> = self.roots.iter().map(|(found, _)| *found).collect();
        let mut candidates = vec![chosen.clone(), by_entries];
        if let Some((last, leaves)) = chosen.last_mut().zip(self.journal_leaves()?) {
            // The partial last bundle has no tile above it; its entries are in the journal, too.
            if let Some((found, _)) = self.roots.last() {
                *last = *found;
                candidates.push(chosen.clone());
            }
            if let Some(last) = chosen.last_mut() {
                *last = tree_root(&leaves);
                candidates.push(chosen.clone());
            }
            self.offer_journal(&leaves);
        }
        let proven = candidates
            .iter()
            .find(|roots| tree_root(roots) == wanted)
            .cloned();
        if let Some(roots) = &proven {
            self.set_truth(roots);
        }
        let settled = proven.is_some();
        Ok((proven.unwrap_or(by_tiles), settled))
    }

    /// The hash that the tile above keeps of a full bundle.
    fn parent(&self, index: u64) -> Result<Option<Hash>, Report> {
        let full = self.checkpoint.size / TILE_WIDTH;
        if index >= full {
            return Ok(None);
        }
        let tile = index / TILE_WIDTH;
        let width = full.saturating_sub(tile * TILE_WIDTH).min(TILE_WIDTH);
        let hashes = read_hashes(self.dir, 1, tile, width).map_err(|error| {
            Report::of(
                Some(index * TILE_WIDTH),
                "tile/1",
                Tampering::Unreadable,
                error.to_string(),
            )
        })?;
        let at = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
        Ok(hashes.ok().and_then(|hashes| hashes.get(at).copied()))
    }

    /// The partial last bundle's leaf hashes by the journal.
    fn journal_leaves(&self) -> Result<Option<Vec<Hash>>, Report> {
        let (index, width) = (
            self.checkpoint.size / TILE_WIDTH,
            self.checkpoint.size % TILE_WIDTH,
        );
        let path = segment_path(self.dir, index);
        let bytes = read_if_there(&path).map_err(|error| {
            Report::of(
                None,
                crate::layout::JOURNAL_DIR,
                Tampering::Unreadable,
                error.to_string(),
            )
        })?;
        let Some(bytes) = bytes.filter(|_| width > 0) else {
            return Ok(None);
        };
        let leaves = Records::new(&bytes).filter_map(|record| match record {
            Record::Entry(_, hash) => Some(hash),
            Record::Seal(_) => None,
        });
        Ok(Some(
            leaves
                .take(usize::try_from(width).unwrap_or(usize::MAX))
                .collect(),
        ))
    }

    /// Entries and leaf tile may agree with each other and not with the journal: then the last bundle is a row, too.
    fn offer_journal(&mut self, leaves: &[Hash]) {
        let index = self.checkpoint.size / TILE_WIDTH;
        let first = index * TILE_WIDTH;
        if self.last != leaves && !self.rows.iter().any(|row| row.first == first) {
            let file = |kind| {
                tile_path(kind, index, self.last.len())
                    .map(|tile| tile.to_string())
                    .unwrap_or_default()
            };
            self.rows.push(Row {
                first,
                found: self.last.clone(),
                stored: self.last.clone(),
                truth: self.last.clone(),
                entries_file: file(TileKind::Entries),
                hashes_file: file(TileKind::Hashes(0)),
                ..Row::default()
            });
        }
        if let Some(row) = self.rows.iter_mut().find(|row| row.first == first) {
            row.journal = leaves.to_vec();
        }
    }

    fn set_truth(&mut self, roots: &[Hash]) {
        for row in &mut self.rows {
            let at = usize::try_from(row.first / TILE_WIDTH).unwrap_or(usize::MAX);
            let Some(root) = roots.get(at) else { continue };
            for candidate in [&row.found, &row.journal] {
                if tree_root(candidate) == *root {
                    row.truth.clone_from(candidate);
                }
            }
        }
        self.rows
            .retain(|row| row.truth != row.found || row.truth != row.stored || row.cut);
        let first = self.checkpoint.size / TILE_WIDTH * TILE_WIDTH;
        if let Some(row) = self.rows.iter().find(|row| row.first == first) {
            self.last.clone_from(&row.truth);
        }
    }

    /// Compares every stored tile above the leaves with what it covers, and gives the right edge of each level.
    fn upper_levels(&self, roots: &[Hash], proven: bool) -> Result<Vec<Vec<Hash>>, Report> {
        let mut report = Report::new();
        let full = usize::try_from(self.checkpoint.size / TILE_WIDTH).unwrap_or(usize::MAX);
        let mut hashes: Vec<Hash> = roots.iter().take(full).copied().collect();
        let mut edges = vec![self.last.clone()];
        for level in 1..8_u8 {
            if hashes.is_empty() {
                break;
            }
            let (tiles, edge) = hashes.as_chunks::<256>();
            let rows = tiles
                .iter()
                .map(<[Hash; 256]>::as_slice)
                .chain(Some(edge).filter(|edge| !edge.is_empty()));
            for (index, row) in (0..).zip(rows) {
                self.upper_tile(level, index, row, proven, &mut report)?;
            }
            edges.push(edge.to_vec());
            hashes = tiles.iter().map(|tile| tree_root(tile)).collect();
        }
        if report.findings.is_empty() && !proven {
            let detail = "the root over all entries is not the one that was signed, though entries and hashes agree";
            report.add(None, crate::layout::TILE_DIR, Tampering::Rewritten, detail);
        }
        report.into_result().map(|()| edges)
    }

    fn upper_tile(
        &self,
        level: u8,
        index: u64,
        row: &[Hash],
        proven: bool,
        report: &mut Report,
    ) -> Result<(), Report> {
        let covers = TILE_WIDTH << (8 * u32::from(level - 1));
        let first = index * TILE_WIDTH * covers;
        let name = tile_path(TileKind::Hashes(level), index, row.len())
            .map(|tile| tile.to_string())
            .unwrap_or_default();
        let stored = read_hashes(self.dir, level, index, row.len() as u64).map_err(|error| {
            Report::of(Some(first), &name, Tampering::Unreadable, error.to_string())
        })?;
        let stored = match stored {
            Ok(stored) => stored,
            Err(flaw) => {
                report.add(Some(first), &flaw.file, Tampering::HashChanged, flaw.why);
                return Ok(());
            }
        };
        let Some(at) = stored
            .iter()
            .zip(row)
            .position(|(stored, computed)| stored != computed)
        else {
            return Ok(());
        };
        let at = first + at as u64 * covers;
        let until = at + covers - 1;
        if proven {
            report.add(
                Some(at),
                &name,
                Tampering::HashChanged,
                format!("the hash over entries {at} to {until}"),
            );
        } else {
            let detail = format!(
                "one of the entries {at} to {until} was rewritten together with its leaf hash"
            );
            report.add(Some(at), &name, Tampering::Rewritten, detail);
        }
        Ok(())
    }

    fn root_at(&self, known: u64, roots: &[Hash]) -> Hash {
        let full = usize::try_from(known / TILE_WIDTH).unwrap_or(usize::MAX);
        let mut parts: Vec<Hash> = roots.iter().take(full).copied().collect();
        let inside = usize::try_from(known % TILE_WIDTH).unwrap_or(usize::MAX);
        if inside > 0 {
            let leaves: Vec<Hash> = self.known_leaves.iter().take(inside).copied().collect();
            parts.push(tree_root(&leaves));
        }
        tree_root(&parts)
    }
}

/// Leaf hashes of a bundle as far as it can be split, and whether it ends inside an entry.
fn lenient_hashes(mut bytes: &[u8]) -> (Vec<Hash>, bool) {
    let mut hashes = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let Some((entry, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        else {
            break;
        };
        hashes.push(leaf_hash(entry));
        bytes = rest;
    }
    (hashes, !bytes.is_empty())
}

fn unreadable(row: &Row, error: &crate::error::AuditError) -> Report {
    Report::of(
        Some(row.first),
        crate::layout::TILE_DIR,
        Tampering::Unreadable,
        error.to_string(),
    )
}

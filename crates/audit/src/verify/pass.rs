//! One pass over all full bundles and hash tiles, from left to right. What is kept of it are the edges of the levels:
//! a few hundred hashes, however long the log is.

use std::path::Path;

use bailiwick_tlog::{CompactRange, Hash, TILE_WIDTH, TileKind, tree_root};

use super::Progress;
use super::edge::Edge;
use super::entries::EntryCheck;
use super::files::{
    Fetched, MAX_BUNDLE_BYTES, MAX_TILE_BYTES, fetch, hashes_of, is_tile_of, split_bundle,
    tile_name,
};
use super::kept::Sweep;
use super::sealed::SealedCheck;

/// So many damaged bundles and tiles are looked at again; the rest are counted.
pub(crate) const MAX_NOTED: usize = 256;
/// After so many bundles in a row of which nothing at all is there, nothing more is looked for.
const MAX_NOTHING: u64 = 1000;

/// Which hash stands for a bundle whose entries and leaf tile do not agree. The signed root says which was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// What the tile above has, else the leaf tile.
    Parent,
    /// The leaf tile.
    Tiles,
    /// The entries.
    Entries,
}

/// A bundle whose entries and leaf tile do not agree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Damage {
    pub(crate) index: u64,
    /// The hash that was taken for it.
    pub(crate) taken: Hash,
    /// Its entries may be gone; its hashes may not.
    pub(crate) pruned: bool,
}

/// A tile above the leaves that is not what it covers.
#[derive(Debug, Clone)]
pub(crate) struct UpperFlaw {
    pub(crate) file: String,
    /// The entries under the first wrong hash, or under the whole tile.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// What is wrong with the file; `None` where it only has another hash.
    pub(crate) why: Option<String>,
}

/// The trees over all full bundles by each judge.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trees {
    parent: CompactRange,
    tiles: CompactRange,
    entries: CompactRange,
}

impl Trees {
    pub(crate) fn by(&self, judge: Judge) -> &CompactRange {
        match judge {
            Judge::Parent => &self.parent,
            Judge::Tiles => &self.tiles,
            Judge::Entries => &self.entries,
        }
    }

    fn push(&mut self, parent: Hash, tiles: Hash, entries: Hash) {
        self.parent.push(parent);
        self.tiles.push(tiles);
        self.entries.push(entries);
    }

    /// The root over the bundles and, where there is one, the partial bundle after them.
    pub(crate) fn root(&self, judge: Judge, last: Option<&[Hash]>) -> Hash {
        let mut range = self.by(judge).clone();
        if let Some(leaves) = last {
            range.push(tree_root(leaves));
        }
        range.root()
    }
}

/// The pass. What it found is in its fields afterwards.
pub(crate) struct Pass<'a> {
    dir: &'a Path,
    archive: Option<&'a Path>,
    edge: &'a Edge,
    judge: Judge,
    /// How many bundles from the first may be gone.
    may_lack: u64,
    pub(crate) trees: Trees,
    /// Levels 1 and up: the hashes of the tile that is being filled, and how many are full before it.
    levels: Vec<(u64, Vec<Hash>)>,
    pub(crate) sweep: Sweep<'a>,
    pub(crate) damaged: Vec<Damage>,
    pub(crate) damaged_more: u64,
    pub(crate) upper: Vec<UpperFlaw>,
    pub(crate) upper_more: u64,
    /// How many bundles from the first are gone, their hashes being here.
    pub(crate) lacking: u64,
    /// Where the pass was given up, since nothing more was there.
    pub(crate) gave_up_at: Option<u64>,
    found: Vec<Hash>,
    bytes: Vec<u8>,
    /// Where the bundle was read from: the log, or its archive.
    of: &'a Path,
    tile: Vec<u8>,
    /// The tile of level 1 that was last asked for, and its index.
    above: Option<(u64, Vec<Hash>)>,
    nothing: u64,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(
        dir: &'a Path,
        archive: Option<&'a Path>,
        edge: &'a Edge,
        sweep: Sweep<'a>,
    ) -> Self {
        Self {
            dir,
            archive,
            edge,
            judge: Judge::Parent,
            // An archive that was named has to have what the log lacks.
            may_lack: if archive.is_some() { 0 } else { u64::MAX },
            trees: Trees::default(),
            levels: Vec::new(),
            sweep,
            damaged: Vec::new(),
            damaged_more: 0,
            upper: Vec::new(),
            upper_more: 0,
            lacking: 0,
            gave_up_at: None,
            found: Vec::new(),
            bytes: Vec::new(),
            of: dir,
            tile: Vec::new(),
            above: None,
            nothing: 0,
        }
    }

    /// The same pass with what an earlier one has found out.
    pub(crate) fn judged(mut self, judge: Judge, may_lack: u64) -> Self {
        self.judge = judge;
        self.may_lack = self.may_lack.min(may_lack);
        self
    }

    /// Reads all of it; `size` is the number of published entries.
    pub(crate) fn run(
        &mut self,
        size: u64,
        check: &mut EntryCheck,
        sealed: &mut SealedCheck,
        progress: &mut dyn FnMut(Progress),
    ) {
        if self.sweep.wanted() == Some(0) {
            self.sweep.take(tree_root(&[]));
        }
        for index in 0..size / TILE_WIDTH {
            self.bundle(index, check);
            sealed.bundle(self.of, index, &self.bytes, &mut self.tile);
            if self.nothing > MAX_NOTHING {
                self.gave_up_at = Some((index - MAX_NOTHING) * TILE_WIDTH);
                return;
            }
            progress(Progress {
                entries: (index + 1) * TILE_WIDTH,
                of: size,
                bytes: check.bytes,
            });
        }
        self.finish_levels();
    }

    fn bundle(&mut self, index: u64, check: &mut EntryCheck) {
        let first = index * TILE_WIDTH;
        let (there, whole) = self.read_entries(index, first, check);
        let tile = tile_name(TileKind::Hashes(0), index, TILE_WIDTH);
        let fetched = fetch(&self.dir.join(tile), MAX_TILE_BYTES, &mut self.tile);
        let has_tile = fetched == Fetched::Whole && self.tile.len() as u64 == MAX_TILE_BYTES;
        if whole && has_tile && is_tile_of(&self.tile, &self.found) {
            self.nothing = 0;
            let root = tree_root(&self.found);
            self.trees.push(root, root, root);
            return self.bundle_done(index, root, true);
        }
        let stored = if has_tile {
            tree_root(&hashes_of(&self.tile))
        } else {
            tree_root(&[])
        };
        let parent = self.parent(index).unwrap_or(stored);
        let pruned = there == Fetched::Missing && self.lacking == index && index < self.may_lack;
        if pruned && has_tile && parent == stored {
            self.lacking += 1;
            self.nothing = 0;
            self.found = hashes_of(&self.tile);
            self.trees.push(stored, stored, stored);
            return self.bundle_done(index, stored, true);
        }
        let nothing = there == Fetched::Missing && fetched == Fetched::Missing;
        self.nothing = if nothing { self.nothing + 1 } else { 0 };
        let found = tree_root(&self.found);
        self.lacking += u64::from(pruned);
        self.trees.push(parent, stored, found);
        let taken = match self.judge {
            Judge::Parent => parent,
            Judge::Tiles => stored,
            Judge::Entries => found,
        };
        if self.damaged.len() < MAX_NOTED {
            self.damaged.push(Damage {
                index,
                taken,
                pruned,
            });
        } else {
            self.damaged_more += 1;
        }
        if taken == stored {
            self.found = hashes_of(&self.tile);
        }
        let leaves_known = taken == stored || taken == found;
        self.bundle_done(index, taken, leaves_known);
    }

    /// Reads and hashes the entries of a full bundle into `found`; whether they are 256 and nothing else.
    fn read_entries(&mut self, index: u64, first: u64, check: &mut EntryCheck) -> (Fetched, bool) {
        let name = tile_name(TileKind::Entries, index, TILE_WIDTH);
        let mut fetched = fetch(&self.dir.join(&name), MAX_BUNDLE_BYTES, &mut self.bytes);
        if let Some(archive) = self.archive.filter(|_| fetched == Fetched::Missing) {
            fetched = fetch(&archive.join(&name), MAX_BUNDLE_BYTES, &mut self.bytes);
            self.of = archive;
        } else {
            self.of = self.dir;
        }
        if fetched != Fetched::Whole {
            self.bytes.clear();
            self.found.clear();
            return (fetched, false);
        }
        let cut = split_bundle(&self.bytes, &mut self.found, |at, entry| {
            check.entry(first + at as u64, entry);
        });
        let whole = !cut && self.found.len() as u64 == TILE_WIDTH;
        (fetched, whole)
    }

    /// Puts the root of a bundle into the levels above, and notes the roots that are wanted inside it.
    fn bundle_done(&mut self, index: u64, root: Hash, leaves_known: bool) {
        let first = index * TILE_WIDTH;
        while let Some(inside) = self
            .sweep
            .wanted()
            .and_then(|wanted| wanted.checked_sub(first))
            .filter(|inside| *inside <= TILE_WIDTH)
        {
            let at = usize::try_from(inside).unwrap_or(usize::MAX);
            let range = match self.found.get(..at) {
                _ if inside == TILE_WIDTH => self.with(root),
                Some(leaves) if leaves_known || inside == 0 => {
                    let mut range = CompactRange::from_edges(&self.edges(&[]));
                    leaves.iter().for_each(|leaf| range.push(*leaf));
                    range
                }
                // Only in a log that is found to be damaged anyway.
                _ => CompactRange::default(),
            };
            self.sweep.take(range.root());
        }
        self.push_level(root);
    }

    /// The tree over all bundles so far and one more, in which the bundles are the leaves.
    fn with(&self, root: Hash) -> CompactRange {
        let mut over_bundles = CompactRange::from_edges(
            &self
                .levels
                .iter()
                .map(|(_, hashes)| hashes.clone())
                .collect::<Vec<_>>(),
        );
        over_bundles.push(root);
        over_bundles
    }

    fn push_level(&mut self, root: Hash) {
        let mut root = root;
        for at in 0.. {
            if self.levels.len() <= at {
                self.levels.push((0, Vec::new()));
            }
            let Some((index, hashes)) = self.levels.get_mut(at) else {
                return;
            };
            hashes.push(root);
            if (hashes.len() as u64) < TILE_WIDTH {
                return;
            }
            let (index, full) = (std::mem::replace(index, *index + 1), std::mem::take(hashes));
            let level = u8::try_from(at + 1).unwrap_or(u8::MAX);
            let name = tile_name(TileKind::Hashes(level), index, TILE_WIDTH);
            let fetched = fetch(&self.dir.join(&name), MAX_TILE_BYTES, &mut self.tile);
            let flaw = match fetched {
                Fetched::Whole if self.tile.len() as u64 != MAX_TILE_BYTES => Some(format!(
                    "it has {} bytes, not {MAX_TILE_BYTES}",
                    self.tile.len()
                )),
                Fetched::Whole => None,
                Fetched::Missing => Some("the file is missing".to_owned()),
                Fetched::Bad(why) => Some(why),
            };
            let stored = hashes_of(&self.tile);
            self.compare(level, index, &full, &stored, name, flaw);
            root = tree_root(&full);
        }
    }

    /// Compares the partial tiles with what they cover.
    fn finish_levels(&mut self) {
        let edge = self.edge;
        for (level, tile) in (0_u8..).zip(&edge.tiles).skip(1) {
            let at = usize::from(level) - 1;
            let Some((index, hashes)) = self.levels.get(at).cloned() else {
                continue;
            };
            if !hashes.is_empty() {
                let flaw = tile.flaw.clone();
                self.compare(level, index, &hashes, &tile.hashes, tile.name.clone(), flaw);
            }
        }
    }

    fn compare(
        &mut self,
        level: u8,
        index: u64,
        computed: &[Hash],
        stored: &[Hash],
        file: String,
        flaw: Option<String>,
    ) {
        let covers = 1_u64 << (8 * u32::from(level)).min(63);
        let start = index.saturating_mul(TILE_WIDTH).saturating_mul(covers);
        let differing = stored.iter().zip(computed).position(|(a, b)| a != b);
        let (first, last) = match (&flaw, differing) {
            (None, None) => return,
            (None, Some(at)) => {
                let first = start.saturating_add((at as u64).saturating_mul(covers));
                (first, first.saturating_add(covers - 1))
            }
            (Some(_), _) => {
                let all = (computed.len() as u64).saturating_mul(covers);
                (start, start.saturating_add(all.saturating_sub(1)))
            }
        };
        if self.upper.len() < MAX_NOTED {
            self.upper.push(UpperFlaw {
                file,
                first,
                last,
                why: flaw,
            });
        } else {
            self.upper_more += 1;
        }
    }

    /// The hash that the tile above keeps of a full bundle.
    fn parent(&mut self, index: u64) -> Option<Hash> {
        let (tile, at) = (index / TILE_WIDTH, index % TILE_WIDTH);
        let at = usize::try_from(at).ok()?;
        if self.above.as_ref().is_none_or(|(kept, _)| *kept != tile) {
            let name = tile_name(TileKind::Hashes(1), tile, TILE_WIDTH);
            let mut bytes = Vec::new();
            let hashes = match fetch(&self.dir.join(name), MAX_TILE_BYTES, &mut bytes) {
                Fetched::Whole => hashes_of(&bytes),
                _ => self
                    .edge
                    .tiles
                    .get(1)
                    .map(|edge| edge.hashes.clone())
                    .unwrap_or_default(),
            };
            self.above = Some((tile, hashes));
        }
        self.above.as_ref()?.1.get(at).copied()
    }

    /// The right edges of all levels, with these leaves after the last full bundle.
    pub(crate) fn edges(&self, last: &[Hash]) -> Vec<Vec<Hash>> {
        let upper = self.levels.iter().map(|(_, hashes)| hashes.clone());
        std::iter::once(last.to_vec()).chain(upper).collect()
    }
}

//! The committer: turns the journal into tiles, bundles and a signed checkpoint.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use bailiwick_tlog::{Checkpoint, Hash, TILE_WIDTH, TileKind, TilePath, encode_tile, tree_root};

use crate::error::AuditError;
use crate::layout::{CHECKPOINT_FILE, Folders, replace, segment_path, tile_path, tiles_on_disk};
use crate::log::{Bundle, Inner};

/// The partial last tile of one level above the leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    /// Full tiles before it.
    pub(crate) tiles: u64,
    pub(crate) hashes: Vec<Hash>,
}

pub(crate) struct Committer {
    inner: Arc<Inner>,
    /// Levels 1, 2, ….
    edges: Vec<Edge>,
    /// The partial tiles that the published checkpoint needs.
    partials: BTreeSet<TilePath>,
}

/// What one round publishes.
struct Batch {
    full: Vec<Arc<Bundle>>,
    current: Bundle,
    checkpoint: Checkpoint,
}

/// Stops the writers should the committer ever panic: entries that nobody signs must not pile up.
struct PoisonOnPanic(Arc<Inner>);

impl Drop for PoisonOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison("the thread that signs the log panicked");
        }
    }
}

impl Committer {
    pub(crate) fn new(inner: Arc<Inner>, edges: Vec<Edge>) -> Self {
        Self {
            inner,
            edges,
            partials: BTreeSet::new(),
        }
    }

    /// Publishes until the log is closed or an error stops it.
    pub(crate) fn run(mut self) {
        let _on_panic = PoisonOnPanic(Arc::clone(&self.inner));
        while let Some(batch) = self.wait() {
            if let Err(error) = self.publish(batch) {
                self.inner.poison(&error.to_string());
                return;
            }
        }
    }

    /// Waits until something is to be published and its time has come; `None` when nothing ever will.
    fn wait(&self) -> Option<Batch> {
        let inner = &self.inner;
        let mut state = inner.lock();
        let mut since = None;
        loop {
            state.check().ok()?;
            let pending = state.range.size() > state.published;
            if state.closing && !pending {
                return None;
            }
            if !pending {
                state.idle = true;
                state = inner
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = since.get_or_insert_with(Instant::now).elapsed();
            let many = state.full.len() >= crate::log::WAKE_BUNDLES;
            if state.closing || many || waited >= inner.publish_within {
                let checkpoint = inner.checkpoint(&state.range);
                let full = state.full.iter().cloned().collect();
                return Some(Batch {
                    full,
                    current: state.bundle.clone(),
                    checkpoint,
                });
            }
            let left = inner.publish_within.saturating_sub(waited);
            state = inner
                .work
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Journal first, then tiles and bundles, then the checkpoint that needs them; only then is anything removed. At
    /// every moment in between, what is on disk verifies.
    fn publish(&mut self, batch: Batch) -> Result<(), AuditError> {
        let size = batch.checkpoint.size;
        self.inner.make_durable(size)?;
        let dir = self.inner.dir.clone();
        let mut folders = Folders::default();
        for bundle in &batch.full {
            write_bundle(&dir, bundle, &mut folders)?;
            self.push(0, tree_root(&bundle.hashes), &mut folders)?;
        }
        let mut partials = BTreeSet::new();
        if !batch.current.hashes.is_empty() {
            partials.extend(write_bundle(&dir, &batch.current, &mut folders)?);
        }
        for (level, edge) in (1..).zip(&self.edges) {
            if edge.hashes.is_empty() {
                continue;
            }
            let tile = tile_path(TileKind::Hashes(level), edge.tiles, edge.hashes.len())?;
            if !self.partials.contains(&tile) {
                replace(
                    &dir.join(tile.to_string()),
                    &encode_tile(&edge.hashes),
                    &mut folders,
                )?;
            }
            partials.insert(tile);
        }
        folders.sync(&dir)?;
        publish_checkpoint(&dir, &self.inner.sign(&batch.checkpoint)?)?;
        {
            let mut state = self.inner.lock();
            state.full.drain(..batch.full.len());
            state.published = size;
        }
        self.inner.done.notify_all();
        self.remove_superseded(&dir, partials, &batch.full)
    }

    /// Adds the root of a full tile of `below` to the level above it.
    fn push(&mut self, below: usize, root: Hash, folders: &mut Folders) -> Result<(), AuditError> {
        let (mut at, mut root) = (below, root);
        loop {
            if self.edges.len() <= at {
                self.edges.push(Edge::default());
            }
            let Some(edge) = self.edges.get_mut(at) else {
                return Ok(());
            };
            edge.hashes.push(root);
            if (edge.hashes.len() as u64) < TILE_WIDTH {
                return Ok(());
            }
            at += 1;
            let level = u8::try_from(at).unwrap_or(u8::MAX);
            let tile = tile_path(TileKind::Hashes(level), edge.tiles, edge.hashes.len())?;
            replace(
                &self.inner.dir.join(tile.to_string()),
                &encode_tile(&edge.hashes),
                folders,
            )?;
            root = tree_root(&edge.hashes);
            edge.hashes.clear();
            edge.tiles += 1;
        }
    }

    /// Removes partial tiles that no published checkpoint needs any more, and journal segments that are published
    /// whole. A reader that still wanted them finds a newer checkpoint.
    fn remove_superseded(
        &mut self,
        dir: &Path,
        partials: BTreeSet<TilePath>,
        full: &[Arc<Bundle>],
    ) -> Result<(), AuditError> {
        // The first time there may be leftovers of an earlier run.
        let old = if self.partials.is_empty() {
            tiles_on_disk(dir)?
        } else {
            self.partials.iter().copied().collect()
        };
        for tile in old
            .iter()
            .filter(|tile| !tile.is_full() && !partials.contains(tile))
        {
            let path = dir.join(tile.to_string());
            remove(&path)?;
            // The folder `000.p` goes with the last partial in it.
            path.parent().map(fs::remove_dir);
        }
        for bundle in full {
            remove(&segment_path(dir, bundle.index))?;
        }
        self.partials = partials;
        Ok(())
    }
}

/// Writes a bundle and its leaf hashes, full or partial, and names the two files.
fn write_bundle(
    dir: &Path,
    bundle: &Bundle,
    folders: &mut Folders,
) -> Result<[TilePath; 2], AuditError> {
    let entries = tile_path(TileKind::Entries, bundle.index, bundle.hashes.len())?;
    let hashes = tile_path(TileKind::Hashes(0), bundle.index, bundle.hashes.len())?;
    replace(&dir.join(entries.to_string()), &bundle.bytes, folders)?;
    replace(
        &dir.join(hashes.to_string()),
        &encode_tile(&bundle.hashes),
        folders,
    )?;
    Ok([entries, hashes])
}

/// Puts a signed checkpoint in the place of the last one.
pub(crate) fn publish_checkpoint(dir: &Path, note: &str) -> Result<(), AuditError> {
    let mut folders = Folders::default();
    replace(&dir.join(CHECKPOINT_FILE), note.as_bytes(), &mut folders)?;
    folders.sync(dir)
}

fn remove(path: &PathBuf) -> Result<(), AuditError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(AuditError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

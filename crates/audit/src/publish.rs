//! The committer: turns the journal into tiles, bundles and a signed checkpoint.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use bailiwick_tlog::{Checkpoint, Hash, TILE_WIDTH, TileKind, TilePath, encode_tile, tree_root};

use crate::bundle::Bundle;
use crate::commit::{Inner, PoisonOnPanic, WAKE_BUNDLES};
use crate::disk::Disk;
use crate::error::AuditError;
use crate::folders::Folders;
use crate::layout::{
    CHECKPOINT_FILE, list, private_path, read_text_on, remove_if_there, segment_path, tile_path,
};
use crate::openings::encode_bundle_openings;

/// The partial last tile of one level above the leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    /// Full tiles before it.
    pub(crate) tiles: u64,
    pub(crate) hashes: Vec<Hash>,
    /// Whether it grew since it was published.
    pub(crate) changed: bool,
}

pub(crate) struct Committer {
    inner: Arc<Inner>,
    /// Levels 1, 2, ….
    edges: Vec<Edge>,
    /// What was published last.
    last: Checkpoint,
    folders: Folders,
}

/// What one round publishes.
struct Batch {
    full: Vec<Arc<Bundle>>,
    current: Bundle,
    checkpoint: Checkpoint,
}

impl Committer {
    pub(crate) fn new(inner: Arc<Inner>, edges: Vec<Edge>, last: Checkpoint) -> Self {
        Self {
            inner,
            edges,
            last,
            folders: Folders::default(),
        }
    }

    /// Publishes until the log is closed or an error stops it.
    pub(crate) fn run(mut self) {
        let inner = Arc::clone(&self.inner);
        let _on_panic = PoisonOnPanic(&inner);
        while let Some(batch) = self.wait() {
            if let Err(error) = self.publish(batch) {
                inner.poison(&error.to_string());
                return;
            }
        }
        if let Err(error) = inner.end() {
            inner.poison(&error.to_string());
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
            let many = state.full.len() >= WAKE_BUNDLES;
            if state.closing || many || waited >= inner.publish_within {
                let checkpoint = inner.checkpoint(&state.range);
                let full = state.full.iter().cloned().collect();
                let current = Bundle {
                    index: state.bundle.index,
                    bytes: state.bundle.bytes.clone(),
                    hashes: state.bundle.hashes.clone(),
                    openings: Vec::new(),
                };
                return Some(Batch {
                    full,
                    current,
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
        self.check_alone()?;
        let mut superseded = Vec::new();
        for bundle in &batch.full {
            self.write_bundle(bundle)?;
            superseded.push((TileKind::Entries, bundle.index));
            superseded.push((TileKind::Hashes(0), bundle.index));
            self.push(tree_root(&bundle.hashes), &mut superseded)?;
        }
        if !batch.current.hashes.is_empty() {
            self.write_bundle(&batch.current)?;
        }
        for (level, edge) in (1..).zip(std::mem::take(&mut self.edges)) {
            if edge.changed {
                let tile = tile_path(TileKind::Hashes(level), edge.tiles, edge.hashes.len())?;
                self.replace(tile, &encode_tile(&edge.hashes))?;
            }
            self.edges.push(Edge {
                changed: false,
                ..edge
            });
        }
        let inner = Arc::clone(&self.inner);
        self.folders.sync(&*inner.disk)?;
        let note = inner.sign(&batch.checkpoint)?;
        {
            let _alone = inner
                .checkpoint_file
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            publish_checkpoint(&*inner.disk, inner.dir(), &note, &mut self.folders)?;
        }
        self.last = batch.checkpoint;
        {
            let mut state = inner.lock();
            state.full.drain(..batch.full.len());
            state.published = size;
            inner.note_published(&mut state, &note);
        }
        inner.room.notify_all();
        for (kind, index) in superseded {
            remove_partials(&*inner.disk, inner.dir(), kind, index, &mut self.folders)?;
        }
        for bundle in &batch.full {
            remove_if_there(&*inner.disk, &segment_path(inner.dir(), bundle.index))?;
        }
        Ok(())
    }

    /// A lock can be lost, on a network's disk or with the file it is on: nobody else may have published meanwhile.
    fn check_alone(&self) -> Result<(), AuditError> {
        let inner = &self.inner;
        let note = read_text_on(&*inner.disk, &inner.dir().join(CHECKPOINT_FILE))?;
        let there = note.and_then(|note| Checkpoint::open(&note, inner.key.verifier()).ok());
        if there.as_ref() == Some(&self.last) {
            return Ok(());
        }
        Err(AuditError::Overtaken {
            dir: inner.dir.clone(),
        })
    }

    /// Adds the root of a full bundle to the level above, and whatever becomes full by it to the ones above that.
    fn push(
        &mut self,
        mut root: Hash,
        superseded: &mut Vec<(TileKind, u64)>,
    ) -> Result<(), AuditError> {
        for at in 0.. {
            if self.edges.len() <= at {
                self.edges.push(Edge::default());
            }
            let Some(edge) = self.edges.get_mut(at) else {
                break;
            };
            edge.hashes.push(root);
            edge.changed = true;
            if (edge.hashes.len() as u64) < TILE_WIDTH {
                break;
            }
            let kind = TileKind::Hashes(u8::try_from(at + 1).unwrap_or(u8::MAX));
            let (index, hashes) = (edge.tiles, std::mem::take(&mut edge.hashes));
            edge.tiles += 1;
            edge.changed = false;
            self.replace(tile_path(kind, index, hashes.len())?, &encode_tile(&hashes))?;
            superseded.push((kind, index));
            root = tree_root(&hashes);
        }
        Ok(())
    }

    /// Writes a bundle and its leaf hashes, full or partial; with a full one what opens its entries.
    fn write_bundle(&mut self, bundle: &Bundle) -> Result<(), AuditError> {
        let width = bundle.hashes.len();
        let entries = tile_path(TileKind::Entries, bundle.index, width)?;
        let hashes = tile_path(TileKind::Hashes(0), bundle.index, width)?;
        self.replace(entries, &bundle.bytes)?;
        self.replace(hashes, &encode_tile(&bundle.hashes))?;
        if bundle.is_full() && !bundle.openings.is_empty() {
            let inner = &self.inner;
            let path = private_path(inner.dir(), bundle.index);
            let bytes = encode_bundle_openings(&bundle.openings);
            self.folders
                .replace(&*inner.disk, inner.dir(), &path, &bytes)?;
        }
        Ok(())
    }

    fn replace(&mut self, tile: TilePath, bytes: &[u8]) -> Result<(), AuditError> {
        let inner = &self.inner;
        let path = inner.dir().join(tile.to_string());
        self.folders
            .replace(&*inner.disk, inner.dir(), &path, bytes)
    }
}

/// Puts a signed checkpoint in the place of the last one.
pub(crate) fn publish_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    note: &str,
    folders: &mut Folders,
) -> Result<(), AuditError> {
    folders.replace(disk, dir, &dir.join(CHECKPOINT_FILE), note.as_bytes())?;
    folders.sync(disk)
}

/// Removes the partial tiles whose full tile is there. Until then they stay: a checkpoint that somebody has may need
/// them (C2SP tlog-tiles, "Partial Tiles").
pub(crate) fn remove_partials(
    disk: &dyn Disk,
    dir: &Path,
    kind: TileKind,
    index: u64,
    folders: &mut Folders,
) -> Result<(), AuditError> {
    let any = dir.join(tile_path(kind, index, 1)?.to_string());
    let Some(folder) = any.parent() else {
        return Ok(());
    };
    for (name, _) in list(disk, folder)? {
        remove_if_there(disk, &folder.join(name))?;
    }
    match disk.remove_folder(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(AuditError::io("remove", folder)(error));
        }
        _ => folders.forget(folder),
    }
    Ok(())
}

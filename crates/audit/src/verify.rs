//! Verification of a whole log against its key.

use std::path::Path;

use bailiwick_tlog::{
    Checkpoint, CheckpointError, CompactRange, NoteError, TILE_WIDTH, TileKind, TilePath,
    VerifierKey,
};

use crate::layout::{CHECKPOINT_FILE, read_text_if_there, segment_path, tiles_on_disk};
use crate::leaves::Leaves;
use crate::report::{Report, Tampering, Verified};
use crate::tail::Tail;

/// How often a log is read anew because its writer published meanwhile.
const ATTEMPTS: usize = 100;

/// Verifies the log in `dir` against its key, in one pass over it; a writer may be at work meanwhile. `known` is a
/// checkpoint of this log that was kept elsewhere: with it, a log that was put back to an earlier state or rewritten
/// is found as well.
///
/// # Errors
/// What was done to the log, which entry first, as exactly as can be told.
pub fn verify(
    dir: &Path,
    key: &VerifierKey,
    known: Option<&Checkpoint>,
) -> Result<Verified, Report> {
    let mut last = Report::new();
    for _ in 0..ATTEMPTS {
        let note = read_checkpoint(dir)?;
        match attempt(dir, key, known, &note) {
            Ok(verified) => return Ok(verified),
            Err(report) => last = report,
        }
        // A writer removes only what its next checkpoint no longer needs: with the same checkpoint, nothing that is
        // missing was ours to miss.
        if read_checkpoint(dir)? == note {
            break;
        }
    }
    Err(last)
}

fn read_checkpoint(dir: &Path) -> Result<String, Report> {
    let report = |tampering, detail: String| Report::of(None, CHECKPOINT_FILE, tampering, detail);
    match read_text_if_there(&dir.join(CHECKPOINT_FILE)) {
        Ok(Some(note)) => Ok(note),
        Ok(None) => Err(report(
            Tampering::CheckpointMissing,
            "no log was ever here, or it was removed".into(),
        )),
        Err(error) => Err(report(Tampering::CheckpointChanged, error.to_string())),
    }
}

fn attempt(
    dir: &Path,
    key: &VerifierKey,
    known: Option<&Checkpoint>,
    note: &str,
) -> Result<Verified, Report> {
    let checkpoint = Checkpoint::open(note, key).map_err(|error| {
        let tampering = match &error {
            CheckpointError::Note(NoteError::NotSigned { .. }) | CheckpointError::Origin { .. } => {
                Tampering::ForeignKey
            }
            _ => Tampering::CheckpointChanged,
        };
        Report::of(None, CHECKPOINT_FILE, tampering, error.to_string())
    })?;
    // Before the journal is read: whatever is published by now is in the journal, or a newer checkpoint covers it.
    let on_disk = tiles_on_disk(dir).map_err(|error| {
        Report::of(
            None,
            crate::layout::TILE_DIR,
            Tampering::Unreadable,
            error.to_string(),
        )
    })?;
    if let Some(detail) = put_back(dir, &checkpoint, &on_disk) {
        return Err(Report::of(
            Some(checkpoint.size),
            CHECKPOINT_FILE,
            Tampering::RolledBack,
            detail,
        ));
    }
    let leaves = Leaves::read(dir, &checkpoint, known.map(|known| known.size))?;
    let mut tail = Tail::new(dir, key, &checkpoint, leaves, known.map(|known| known.size));
    tail.read()?;
    if let Some(detail) = beyond(tail.size(), &on_disk) {
        return Err(Report::of(
            Some(tail.size()),
            CHECKPOINT_FILE,
            Tampering::RolledBack,
            detail,
        ));
    }
    if let Some(known) = known {
        check_known(known, &checkpoint, &tail)?;
    }
    let sealed: &CompactRange = tail.sealed();
    Ok(Verified {
        origin: checkpoint.origin,
        size: tail.size(),
        sealed: sealed.size(),
        published: checkpoint.size,
        root: sealed.root(),
        unfinished_bytes: tail.unfinished_bytes(),
    })
}

/// Says so when the checkpoint is an old one put back. Partial tiles and journal segments are removed only after a newer
/// checkpoint is in place: they are gone, and what took their place is there.
pub(crate) fn put_back(
    dir: &Path,
    checkpoint: &Checkpoint,
    on_disk: &[TilePath],
) -> Option<String> {
    let partial_gone = !exact_tiles_there(checkpoint, on_disk);
    let newer = on_disk.iter().find(|tile| {
        let segment_gone = || tile.is_full() && !segment_path(dir, tile.index()).exists();
        end(tile) > checkpoint.size
            && (partial_gone || (tile.kind() == TileKind::Entries && segment_gone()))
    })?;
    Some(format!(
        "it signs {} entries, and {newer} is of a later one",
        checkpoint.size
    ))
}

/// Says so when there are tiles of more entries than the log has: they are written only from what the journal holds.
pub(crate) fn beyond(size: u64, on_disk: &[TilePath]) -> Option<String> {
    let tile = on_disk.iter().find(|tile| end(tile) > size)?;
    Some(format!(
        "there are {size} entries, and {tile} is of a longer log"
    ))
}

fn exact_tiles_there(checkpoint: &Checkpoint, on_disk: &[TilePath]) -> bool {
    let (index, width) = (checkpoint.size / TILE_WIDTH, checkpoint.size % TILE_WIDTH);
    let is_edge = |tile: &&TilePath| tile.index() == index && u64::from(tile.width()) == width;
    let kinds = [TileKind::Entries, TileKind::Hashes(0)];
    width == 0
        || kinds.iter().any(|kind| {
            on_disk
                .iter()
                .filter(is_edge)
                .any(|tile| tile.kind() == *kind)
        })
}

/// The number of entries that a log must have for this tile to be of it.
fn end(tile: &TilePath) -> u64 {
    let level = match tile.kind() {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => u32::from(level),
    };
    let hashes = tile
        .index()
        .saturating_mul(TILE_WIDTH)
        .saturating_add(u64::from(tile.width()));
    hashes.saturating_mul(1_u64.checked_shl(8 * level).unwrap_or(u64::MAX))
}

fn check_known(known: &Checkpoint, checkpoint: &Checkpoint, tail: &Tail<'_>) -> Result<(), Report> {
    let report =
        |tampering, detail: String| Err(Report::of(None, CHECKPOINT_FILE, tampering, detail));
    if known.origin != checkpoint.origin {
        return report(
            Tampering::ForeignKey,
            format!("the checkpoint that was kept is of {}", known.origin),
        );
    }
    match tail.root_at_known() {
        None => {
            let detail = format!(
                "a checkpoint over {} entries was kept, and only {} are left",
                known.size,
                tail.size()
            );
            Err(Report::of(
                Some(tail.size()),
                CHECKPOINT_FILE,
                Tampering::RolledBack,
                detail,
            ))
        }
        Some(root) if root != known.root => report(
            Tampering::Rewritten,
            format!(
                "its first {} entries are not those that were signed then",
                known.size
            ),
        ),
        Some(_) => Ok(()),
    }
}

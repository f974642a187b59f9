//! Verification of a whole log against its key.

use std::path::Path;

use bailiwick_tlog::{
    Checkpoint, CheckpointError, CompactRange, NoteError, TILE_WIDTH, TileKind, TilePath,
    VerifierKey,
};

use crate::layout::{CHECKPOINT_FILE, read_text_if_there, tiles_on_disk};
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
    let rolled_back = superseded(&checkpoint, &on_disk);
    let leaves =
        Leaves::read(dir, &checkpoint, known.map(|known| known.size)).map_err(|report| {
            // What is missing because the checkpoint is older than the tiles is not the finding: the checkpoint is.
            rolled_back.clone().unwrap_or(report)
        })?;
    let mut tail = Tail::new(dir, key, &checkpoint, leaves, known.map(|known| known.size));
    tail.read()?;
    if let Some(report) = rolled_back.filter(|_| !exact_tiles_there(&checkpoint, &on_disk)) {
        return Err(report);
    }
    let beyond = on_disk
        .iter()
        .map(|tile| (end(tile), tile))
        .max()
        .filter(|(end, _)| *end > tail.size());
    if let Some((end, tile)) = beyond {
        let detail = format!(
            "it signs {} entries, and there is a file for {end}",
            checkpoint.size
        );
        return Err(Report::of(
            Some(tail.size()),
            &tile.to_string(),
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

/// Says so when there is a wider partial tile than the checkpoint's own at its right edge. Tiles are removed only after
/// a newer checkpoint is in place, so with the narrower one gone the checkpoint is an old one put back.
fn superseded(checkpoint: &Checkpoint, on_disk: &[TilePath]) -> Option<Report> {
    if exact_tiles_there(checkpoint, on_disk) {
        return None;
    }
    let newer = on_disk.iter().find(|tile| end(tile) > checkpoint.size)?;
    let detail = format!(
        "it signs {} entries, and {newer} is of a later one",
        checkpoint.size
    );
    Some(Report::of(
        Some(checkpoint.size),
        CHECKPOINT_FILE,
        Tampering::RolledBack,
        detail,
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

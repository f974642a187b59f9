//! Verification of a whole log against its key, and against checkpoints that were kept elsewhere.
//!
//! What a writer may replace at any moment, the right edge of the tree and the journal, is read first. Then comes one
//! pass over everything else, which never changes again; nothing is kept of it but the edge of the tree. Where something
//! is not as it was signed, what lies around it is read once more, to tell what was done.

mod edge;
pub(crate) mod entries;
pub(crate) mod files;
mod inventory;
pub(crate) mod kept;
mod leftover;
mod look;
mod pass;
mod rollback;
pub(crate) mod sealed;

use std::path::{Path, PathBuf};

use bailiwick_tlog::{Checkpoint, CompactRange, Hash, TILE_WIDTH, VerifierKey};

use crate::key::VERIFIER_KEY_FILE;
use crate::layout::{CHECKPOINT_FILE, MAX_SMALL_FILE};
use crate::report::{Report, Tampering, Verified};
use crate::tail::Tail;
use edge::Edge;
use entries::EntryCheck;
use files::{Fetched, fetch};
use inventory::Inventory;
pub use kept::{Kept, KeptCheckpoints, read_checkpoints};
use kept::{Sweep, compare, contradictions};
use look::{Settled, look, settle};
use pass::{Judge, Pass};
use sealed::SealedCheck;

/// How often a log is read anew because its writer published meanwhile.
const ATTEMPTS: usize = 100;

/// Verifies the log in `dir` against its key, in one pass over it; a writer may be at work meanwhile. `known` is a
/// checkpoint of this log that was kept elsewhere: with it, a log that was put back to an earlier state or rewritten
/// is found as well. [`Verification`] takes more.
///
/// # Errors
/// What was done to the log, which entry first, as exactly as can be told.
pub fn verify(
    dir: &Path,
    key: &VerifierKey,
    known: Option<&Checkpoint>,
) -> Result<Verified, Report> {
    let mut verification = Verification::new(key);
    if let Some(known) = known {
        verification = verification.with_kept("the checkpoint that was kept", known.clone());
    }
    verification.run(dir)
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entries read.
    pub entries: u64,
    /// Of so many that are published.
    pub of: u64,
    /// Bytes of the entries read.
    pub bytes: u64,
}

/// A verification, to be run on a log: what it is held against.
pub struct Verification<'a> {
    key: &'a VerifierKey,
    kept: Vec<Kept>,
    archive: Option<PathBuf>,
    progress: Box<dyn FnMut(Progress) + 'a>,
}

impl<'a> Verification<'a> {
    /// Against the log's key alone.
    #[must_use]
    pub fn new(key: &'a VerifierKey) -> Self {
        Self {
            key,
            kept: Vec::new(),
            archive: None,
            progress: Box::new(|_| {}),
        }
    }

    /// And against a checkpoint that was kept elsewhere; `name` is what a finding calls it.
    #[must_use]
    pub fn with_kept(mut self, name: impl Into<String>, checkpoint: Checkpoint) -> Self {
        self.kept.push(Kept {
            name: name.into(),
            checkpoint,
        });
        self
    }

    /// Entries that were pruned from the log are read from this folder.
    #[must_use]
    pub fn with_archive(mut self, folder: impl Into<PathBuf>) -> Self {
        self.archive = Some(folder.into());
        self
    }

    /// Tells how far it is, after every 256 entries.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(Progress) + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Verifies the log in `dir`. Memory does not grow with its length.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn run(mut self, dir: &Path) -> Result<Verified, Report> {
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_by_key(|kept| kept.checkpoint.size);
        let foreign = foreign_origins(&kept, self.key);
        foreign.into_result()?;
        contradictions(&kept).into_result()?;
        let mut last = Report::new();
        for _ in 0..ATTEMPTS {
            let note = read_checkpoint(dir)?;
            match self.attempt(dir, &note, &kept) {
                Ok(verified) => return Ok(verified),
                Err(report) => last = report,
            }
            // A writer removes only what its next checkpoint no longer needs: with the same checkpoint, nothing that
            // is missing was ours to miss.
            if read_checkpoint(dir)? == note {
                break;
            }
        }
        Err(last)
    }

    fn attempt(&mut self, dir: &Path, note: &str, kept: &[Kept]) -> Result<Verified, Report> {
        let checkpoint = open_checkpoint(note, self.key)?;
        check_key_file(dir, self.key)?;
        // Before the journal is read: whatever is published by now is in the journal, or a newer checkpoint covers it.
        let mut inventory = Inventory::scan(dir, &checkpoint)
            .map_err(|error| Report::of(None, ".", Tampering::Unreadable, error.to_string()))?;
        if let Some(detail) = inventory.put_back(&checkpoint) {
            let at = Some(checkpoint.size);
            return Err(Report::of(
                at,
                CHECKPOINT_FILE,
                Tampering::RolledBack,
                detail,
            ));
        }
        let mut check = EntryCheck::default();
        let mut sealed = SealedCheck::new();
        let edge = Edge::read(dir, &checkpoint, &mut check);
        let early = if edge.holds(checkpoint.root) {
            let last = edge.last.as_ref().map(|row| row.found.clone());
            let mut tail = Tail::new(dir, self.key, edge.full(), last.unwrap_or_default(), kept);
            tail.read(&mut check, &mut sealed)?;
            beyond(&inventory, tail.size())?;
            Some(tail)
        } else {
            None
        };
        // The log may be long, and the writer quick: a second look at the edge would be of another tree.
        if early.is_none() && read_checkpoint(dir)? != note {
            return Err(Report::of(
                None,
                CHECKPOINT_FILE,
                Tampering::Unreadable,
                "its writer is at work",
            ));
        }
        let archive = self.archive.clone();
        let place = Place {
            dir,
            archive: archive.as_deref(),
            edge: &edge,
            kept,
            checkpoint: &checkpoint,
        };
        let mut pass = place.pass();
        pass.run(
            checkpoint.size,
            &mut check,
            &mut sealed,
            &mut *self.progress,
        );
        let mut settled = settle(&pass, &edge, checkpoint.root);
        let pruned = check.pruned / TILE_WIDTH;
        if !settled.proven || settled.judge != Judge::Parent || pass.lacking > pruned {
            (pass, settled) = place.again(pruned);
        }
        let mut report = look(dir, archive.as_deref(), &pass, &edge, &settled);
        let mut tail = match early {
            Some(tail) => tail,
            None => {
                let full = CompactRange::from_edges(&pass.edges(&[]));
                let mut tail = Tail::new(dir, self.key, full, settled.last.clone(), kept);
                if settled.proven
                    && let Err(more) = tail.read(&mut check, &mut sealed)
                {
                    report.extend(more);
                }
                tail
            }
        };
        report.into_result()?;
        rest(&mut inventory, &place, &check, sealed.report, tail.size())?;
        let mut roots = pass.sweep.roots.clone();
        roots_in_last(&mut roots, kept, &pass, &settled);
        for (root, later) in roots.iter_mut().zip(tail.roots(kept)) {
            *root = root.or(later);
        }
        compare(kept, &roots, tail.sealed().size()).into_result()?;
        tail.settle();
        Ok(Verified {
            origin: checkpoint.origin.clone(),
            size: tail.size(),
            sealed: tail.sealed().size(),
            published: checkpoint.size,
            root: tail.sealed().root(),
            unfinished_bytes: tail.unfinished_bytes(),
            bytes: check.bytes,
            pruned: pass.lacking * TILE_WIDTH,
            openings: sealed.good,
            kept: kept.len(),
            beside: inventory.beside,
        })
    }
}

/// What is read, again if need be.
struct Place<'a> {
    dir: &'a Path,
    archive: Option<&'a Path>,
    edge: &'a Edge,
    kept: &'a [Kept],
    checkpoint: &'a Checkpoint,
}

impl<'a> Place<'a> {
    fn pass(&self) -> Pass<'a> {
        Pass::new(self.dir, self.archive, self.edge, Sweep::new(self.kept))
    }

    /// The pass once more, with what the first one has found out: how much may be gone, and which of the stored hashes
    /// to believe.
    fn again(&self, pruned: u64) -> (Pass<'a>, Settled) {
        let run = |judge| {
            let mut pass = self.pass().judged(judge, pruned);
            let (mut check, mut sealed) = (EntryCheck::default(), SealedCheck::new());
            let size = self.checkpoint.size;
            pass.run(size, &mut check, &mut sealed, &mut |_| {});
            let settled = settle(&pass, self.edge, self.checkpoint.root);
            (pass, settled)
        };
        let (pass, settled) = run(Judge::Parent);
        if settled.judge == Judge::Parent {
            return (pass, settled);
        }
        (run(settled.judge).0, settled)
    }
}

/// What only a log that holds is asked: names, leftovers, entries that are none, openings.
fn rest(
    inventory: &mut Inventory,
    place: &Place<'_>,
    check: &EntryCheck,
    sealed: Report,
    size: u64,
) -> Result<(), Report> {
    beyond(inventory, size)?;
    let mut report = sealed;
    for (index, why) in &check.malformed {
        let file = files::tile_name(
            bailiwick_tlog::TileKind::Entries,
            index / TILE_WIDTH,
            TILE_WIDTH,
        );
        report.add(Some(*index), &file, Tampering::Malformed, why.clone());
    }
    report.more += check.more;
    report.extend(leftover::check(place.dir, place.checkpoint, place.edge));
    report.extend(inventory.report(size));
    report.into_result()
}

fn read_checkpoint(dir: &Path) -> Result<String, Report> {
    let report = |tampering, detail: String| Report::of(None, CHECKPOINT_FILE, tampering, detail);
    let mut bytes = Vec::new();
    match fetch(&dir.join(CHECKPOINT_FILE), MAX_SMALL_FILE, &mut bytes) {
        Fetched::Whole => String::from_utf8(bytes)
            .map_err(|error| report(Tampering::CheckpointChanged, error.to_string())),
        Fetched::Missing => Err(report(
            Tampering::CheckpointMissing,
            "no log was ever here, or it was removed".into(),
        )),
        Fetched::Bad(why) => Err(report(Tampering::CheckpointChanged, why)),
    }
}

fn open_checkpoint(note: &str, key: &VerifierKey) -> Result<Checkpoint, Report> {
    Checkpoint::open(note, key).map_err(|error| {
        let tampering = Tampering::of_checkpoint(&error);
        Report::of(None, CHECKPOINT_FILE, tampering, error.to_string())
    })
}

/// The key beside the log is what people hand out: another one there would be believed tomorrow.
fn check_key_file(dir: &Path, key: &VerifierKey) -> Result<(), Report> {
    let mut bytes = Vec::new();
    let why = match fetch(&dir.join(VERIFIER_KEY_FILE), MAX_SMALL_FILE, &mut bytes) {
        Fetched::Missing => return Ok(()),
        Fetched::Bad(why) => why,
        Fetched::Whole => {
            let text = String::from_utf8_lossy(&bytes);
            if text.trim_end().parse().as_ref() == Ok(key) {
                return Ok(());
            }
            "it is not the key that this log is verified with".to_owned()
        }
    };
    Err(Report::of(
        None,
        VERIFIER_KEY_FILE,
        Tampering::ForeignKey,
        why,
    ))
}

fn foreign_origins(kept: &[Kept], key: &VerifierKey) -> Report {
    let mut report = Report::new();
    for kept in kept {
        if kept.checkpoint.origin != key.name() {
            let detail = format!("{} is of {}", kept.name, kept.checkpoint.origin);
            report.add(None, CHECKPOINT_FILE, Tampering::ForeignKey, detail);
        }
    }
    report
}

fn beyond(inventory: &Inventory, size: u64) -> Result<(), Report> {
    match inventory.beyond(size) {
        None => Ok(()),
        Some(detail) => Err(Report::of(
            Some(size),
            CHECKPOINT_FILE,
            Tampering::RolledBack,
            detail,
        )),
    }
}

/// The roots at kept sizes that lie inside the last, partial bundle.
fn roots_in_last(roots: &mut [Option<Hash>], kept: &[Kept], pass: &Pass<'_>, settled: &Settled) {
    let mut range = CompactRange::from_edges(&pass.edges(&[]));
    let mut leaves = settled.last.iter();
    for (root, kept) in roots.iter_mut().zip(kept) {
        let size = kept.checkpoint.size;
        while range.size() < size {
            let Some(leaf) = leaves.next() else { return };
            range.push(*leaf);
        }
        if range.size() == size {
            *root = Some(range.root());
        }
    }
}

//! Checkpoints that were kept elsewhere: what a log must agree with.

use std::path::Path;

use bailiwick_tlog::{Checkpoint, CheckpointError, Hash, NoteError, VerifierKey};

use crate::error::AuditError;
use crate::layout::CHECKPOINT_FILE;
use crate::report::{Report, Tampering};

/// Enough for a checkpoint a minute over years.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Every line of signature begins so (C2SP signed-note).
const SIGNATURE: &str = "— ";

/// A checkpoint from elsewhere, its signature verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What a finding calls it: its file, and its number there where the file has several.
    pub name: String,
    /// What was signed then.
    pub checkpoint: Checkpoint,
}

/// Checkpoints read from a file or a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptCheckpoints {
    /// Those that the log's key signed.
    pub kept: Vec<Kept>,
    /// Those that claim to be of this log and are not signed by its key, or were changed; each with the reason.
    pub refused: Vec<(String, CheckpointError)>,
    /// How many are of other logs.
    pub others: usize,
}

/// Reads all checkpoints in a file (signed notes one after the other, cosigned or not) or in all files of a folder.
///
/// # Errors
/// When a file cannot be read or is no text.
pub fn read_checkpoints(path: &Path, key: &VerifierKey) -> Result<KeptCheckpoints, AuditError> {
    let mut all = KeptCheckpoints::default();
    if !path.is_dir() {
        read_file(path, key, &mut all)?;
        return Ok(all);
    }
    let listing = std::fs::read_dir(path).map_err(AuditError::io("list", path))?;
    let mut files = Vec::new();
    for file in listing {
        let file = file.map_err(AuditError::io("list", path))?.path();
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    files
        .iter()
        .try_for_each(|file| read_file(file, key, &mut all))?;
    Ok(all)
}

fn read_file(path: &Path, key: &VerifierKey, all: &mut KeptCheckpoints) -> Result<(), AuditError> {
    let length = std::fs::metadata(path)
        .map_err(AuditError::io("read", path))?
        .len();
    if length > MAX_FILE_BYTES {
        let why = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
        return Err(AuditError::io("read", path)(why));
    }
    let text = std::fs::read_to_string(path).map_err(AuditError::io("read", path))?;
    let notes = split_notes(&text);
    for (number, note) in (1..).zip(&notes) {
        let name = match notes.len() {
            1 => path.display().to_string(),
            _ => format!("{} ({number})", path.display()),
        };
        match Checkpoint::open(note, key) {
            Ok(checkpoint) => all.kept.push(Kept { name, checkpoint }),
            // The first line of a checkpoint is its log's name.
            Err(error) if note.lines().next() == Some(key.name()) => {
                all.refused.push((name, error));
            }
            Err(CheckpointError::Note(NoteError::NotSigned { .. })) => all.others += 1,
            Err(error) => all.refused.push((name, error)),
        }
    }
    Ok(())
}

/// Cuts a text behind each group of signature lines; empty lines between notes are nobody's.
fn split_notes(text: &str) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let mut signed = true;
    for line in text.split_inclusive('\n') {
        let is_signature = line.starts_with(SIGNATURE);
        if signed && !is_signature {
            if line.trim().is_empty() {
                continue;
            }
            notes.push(String::new());
        }
        signed = is_signature;
        match notes.last_mut() {
            Some(note) => note.push_str(line),
            None => notes.push(line.to_owned()),
        }
    }
    notes
}

/// Notes the log's own root at each size that was asked for, in one sweep from small to large.
#[derive(Debug, Clone)]
pub(crate) struct Sweep<'a> {
    kept: &'a [Kept],
    next: usize,
    pub(crate) roots: Vec<Option<Hash>>,
}

impl<'a> Sweep<'a> {
    /// Begins behind `size`; `kept` is sorted by size.
    pub(crate) fn after(kept: &'a [Kept], size: u64) -> Self {
        Self {
            kept,
            next: kept.partition_point(|kept| kept.checkpoint.size <= size),
            roots: vec![None; kept.len()],
        }
    }

    /// Begins at the beginning.
    pub(crate) fn new(kept: &'a [Kept]) -> Self {
        Self {
            kept,
            next: 0,
            roots: vec![None; kept.len()],
        }
    }

    /// The next size at which the root is wanted.
    pub(crate) fn wanted(&self) -> Option<u64> {
        self.kept.get(self.next).map(|kept| kept.checkpoint.size)
    }

    /// Takes the root at the size that is [wanted](Self::wanted).
    pub(crate) fn take(&mut self, root: Hash) {
        let size = self.wanted();
        while self.wanted().is_some() && self.wanted() == size {
            if let Some(slot) = self.roots.get_mut(self.next) {
                *slot = Some(root);
            }
            self.next += 1;
        }
    }
}

/// Two checkpoints of one size and with other roots: whoever has the key told two stories, whichever the log tells.
pub(crate) fn contradictions(kept: &[Kept]) -> Report {
    let mut report = Report::new();
    for (first, second) in kept.iter().zip(kept.iter().skip(1)) {
        let (a, b) = (&first.checkpoint, &second.checkpoint);
        if a.size == b.size && a.root != b.root {
            let detail = format!(
                "{} and {} are both signed over {} entries, and are not the same entries",
                first.name, second.name, a.size
            );
            report.add(None, &first.name, Tampering::Forked, detail);
        }
    }
    report
}

/// Compares what was signed then with what the log has now. `roots` are the log's at the sizes of `kept`, as far as
/// it is signed, which is to `sealed` entries.
pub(crate) fn compare(kept: &[Kept], roots: &[Option<Hash>], sealed: u64) -> Report {
    let mut report = Report::new();
    let mut agreed = 0;
    for (kept, root) in kept.iter().zip(roots) {
        let (size, signed) = (kept.checkpoint.size, kept.checkpoint.root);
        match root {
            Some(root) if *root == signed => agreed = agreed.max(size),
            Some(_) => {
                let detail = format!(
                    "{} was signed over other {size} entries: at least one of {agreed} to {} is not what it was",
                    kept.name,
                    size.saturating_sub(1)
                );
                report.add_range(
                    agreed,
                    size.saturating_sub(1),
                    CHECKPOINT_FILE,
                    Tampering::Forked,
                    detail,
                );
                // Whatever comes later contradicts as well.
                break;
            }
            None => {
                let detail = format!(
                    "{} was signed over {size} entries, and only {sealed} are left",
                    kept.name
                );
                report.add(Some(sealed), CHECKPOINT_FILE, Tampering::RolledBack, detail);
                break;
            }
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_cut_apart_behind_their_signatures() {
        let one = "log\n1\nroot\n\n— log a\n";
        let two = "log\n2\nroot\n\n— log a\n— witness b\n";
        assert_eq!(split_notes(one), [one]);
        assert_eq!(split_notes(&format!("{one}{two}")), [one, two]);
        assert_eq!(split_notes(&format!("\n{one}\n\n{two}\n")), [one, two]);
        assert_eq!(split_notes("no note"), ["no note"]);
        assert!(split_notes("").is_empty());
    }
}

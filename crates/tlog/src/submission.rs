//! What a log sends a witness (C2SP tlog-witness, `add-checkpoint`): a checkpoint with the proof that it continues an
//! older one.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::plain_number;
use crate::hash::Hash;
use crate::note::{MAX_NOTE_BYTES, NoteError, SignedNote};

/// The specification's bound on proof lines.
const MAX_HASHES: usize = 63;
/// Longest submission that is read, in bytes.
pub const MAX_SUBMISSION_BYTES: usize = MAX_NOTE_BYTES + 4096;

/// The body of an `add-checkpoint` request, printed and parsed in the specification's form. Nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The size of the older tree; 0 when there is none.
    pub old: u64,
    /// The consistency proof from the older tree to the checkpoint's (RFC 6962 §2.1.2).
    pub proof: Vec<Hash>,
    /// The checkpoint.
    pub checkpoint: SignedNote,
}

/// Why bytes are no submission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// Not of the specification's form.
    #[error("not an add-checkpoint request: {0}")]
    Form(&'static str),
    /// The part that should be a checkpoint is no note.
    #[error("not an add-checkpoint request: its checkpoint: {0}")]
    Note(#[from] NoteError),
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Submission {
    type Err = SubmissionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = SubmissionError::Form;
        if text.len() > MAX_SUBMISSION_BYTES {
            return Err(form("it is too long"));
        }
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(form("no empty line before its checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(plain_number);
        let old = old.ok_or(form("it does not begin with `old` and a plain number"))?;
        let mut proof = Vec::new();
        for line in lines {
            let hash = line.parse();
            proof.push(hash.map_err(|_| form("a line of its proof is not a SHA-256 hash"))?);
            if proof.len() > MAX_HASHES {
                return Err(form("its proof has more than 63 hashes"));
            }
        }
        Ok(Self {
            old,
            proof,
            checkpoint: checkpoint.parse()?,
        })
    }
}

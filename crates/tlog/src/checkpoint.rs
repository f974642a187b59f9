//! Checkpoints: a signed note over a log's origin, size and root (C2SP tlog-checkpoint).

use crate::hash::Hash;
use crate::note::{NoteError, SignedNote, SigningKey, VerifierKey};

/// What a log commits to: this many leaves, with this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's identity.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note, or not signed by the key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Signed, but not a checkpoint.
    #[error("the note is not a checkpoint: {0}")]
    Form(&'static str),
    /// A checkpoint of another log.
    #[error("the checkpoint is of the log {found:?}, not of {expected:?}")]
    Origin {
        /// Whose it should be.
        expected: String,
        /// Whose it is.
        found: String,
    },
}

impl Checkpoint {
    /// Verifies a signed checkpoint of the log whose key this is: the origin must be the key's name.
    ///
    /// # Errors
    /// Says whether form, signature or origin is wrong. Extension lines are refused, since they are of no log of
    /// ours and nothing could audit them.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note: SignedNote = note.parse()?;
        let checkpoint = Self::parse(note.verify(key)?)?;
        if checkpoint.origin != key.name() {
            return Err(CheckpointError::Origin {
                expected: key.name().to_owned(),
                found: checkpoint.origin,
            });
        }
        Ok(checkpoint)
    }

    /// Signs this checkpoint.
    ///
    /// # Errors
    /// When the origin is not one that a checkpoint may hold, or not the key's name.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CheckpointError> {
        if self.origin != key.verifier().name() {
            let expected = key.verifier().name().to_owned();
            return Err(CheckpointError::Origin {
                expected,
                found: self.origin.clone(),
            });
        }
        Ok(key.sign(&format!("{}\n{}\n{}\n", self.origin, self.size, self.root))?)
    }

    /// Reads the text of a note as a checkpoint, without any signature.
    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text
            .strip_suffix('\n')
            .ok_or(CheckpointError::Form("no final newline"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Form("it has not exactly three lines"));
        };
        if origin.is_empty() {
            return Err(CheckpointError::Form("its origin is empty"));
        }
        let parsed: u64 = size
            .parse()
            .map_err(|_| CheckpointError::Form("its size is no number"))?;
        if parsed.to_string() != size {
            return Err(CheckpointError::Form("its size is not written plainly"));
        }
        let root = root
            .parse()
            .map_err(|_| CheckpointError::Form("its root is not a SHA-256 hash"))?;
        Ok(Self {
            origin: origin.to_owned(),
            size: parsed,
            root,
        })
    }
}

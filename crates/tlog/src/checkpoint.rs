//! Checkpoints: a signed note over a log's origin, size and root (C2SP tlog-checkpoint).

use crate::hash::Hash;
use crate::key::{SigningKey, VerifierKey};
use crate::note::{NoteError, SignedNote};

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
    /// Verifies a signed checkpoint of a log of ours, whose key this is: the origin must be the key's name.
    ///
    /// # Errors
    /// Says whether form, signature or origin is wrong. Extension lines are refused, since our logs have none and
    /// nothing could audit them; [`Checkpoint::parse`] reads those of others. Unknown signatures are ignored.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note: SignedNote = note.parse()?;
        let (checkpoint, extensions) = Self::parse(note.verify(key)?)?;
        if !extensions.is_empty() {
            return Err(CheckpointError::Form("it has extension lines"));
        }
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
        Ok(key.sign(&self.text())?)
    }

    /// The text that is signed, of three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads the text of a note as any log's checkpoint, and its extension lines, which mean nothing to us. Verifies no
    /// signature.
    ///
    /// # Errors
    /// [`CheckpointError::Form`] says what keeps it from being one.
    pub fn parse(text: &str) -> Result<(Self, Vec<&str>), CheckpointError> {
        let body = text
            .strip_suffix('\n')
            .ok_or(CheckpointError::Form("no final newline"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Form("it has fewer than three lines"));
        };
        let extensions: Vec<&str> = lines.collect();
        if origin.is_empty() || extensions.contains(&"") {
            return Err(CheckpointError::Form("one of its lines is empty"));
        }
        let root = root
            .parse()
            .map_err(|_| CheckpointError::Form("its root is not a SHA-256 hash"))?;
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: plain_number(size).ok_or(CheckpointError::Form("its size is no plain number"))?,
            root,
        };
        Ok((checkpoint, extensions))
    }
}

/// A number as all of these formats write it: ASCII digits, no sign, no leading zero.
pub(crate) fn plain_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

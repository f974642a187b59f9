//! Self-contained inclusion proofs (C2SP tlog-proof).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, CheckpointError, plain_number};
use crate::hash::Hash;
use crate::key::VerifierKey;
use crate::note::{NoteError, SignedNote};
use crate::proof::{ProofError, verify_inclusion};

/// What such a proof begins with.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^64 leaves has no longer path.
const MAX_HASHES: usize = 64;
/// Longest proof that is read, in bytes: its extra data may hold an entry and more.
pub const MAX_PROOF_BYTES: usize = 1 << 21;

/// Proof that the leaf at an index is in the tree of a checkpoint. Printed and parsed in the specification's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Data of the application's, which nothing authenticates.
    pub extra: Option<Vec<u8>>,
    /// The leaf's index, from 0.
    pub index: u64,
    /// The path, from the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
    /// The checkpoint, as the log signed it and witnesses cosigned it.
    pub checkpoint: SignedNote,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Not such a proof.
    #[error("not a tlog-proof: {0}")]
    Form(&'static str),
    /// The part that should be a checkpoint is no note.
    #[error("its checkpoint: {0}")]
    Note(#[from] NoteError),
    /// Its checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead from the leaf to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl TlogProof {
    /// Checks that the leaf with this hash is at [`TlogProof::index`] in the log whose key this is, and gives the
    /// checkpoint that says so. Cosignatures are [`SignedNote::verify_cosignature`]'s.
    ///
    /// # Errors
    /// Says whether the checkpoint or the path is wrong.
    pub fn verify(&self, leaf: &Hash, key: &VerifierKey) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint.to_string(), key)?;
        verify_inclusion(
            self.index,
            checkpoint.size,
            leaf,
            &self.hashes,
            &checkpoint.root,
        )?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = TlogProofError::Form;
        if text.len() > MAX_PROOF_BYTES {
            return Err(form("it is longer than 2 MiB"));
        }
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(form("no empty line before its checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(form("it does not begin with c2sp.org/tlog-proof@v1"));
        }
        let mut line = lines.next().ok_or(form("it has no index"))?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            let decoded = STANDARD.decode(encoded);
            extra = Some(decoded.map_err(|_| form("its extra data is not base64"))?);
            line = lines.next().ok_or(form("it has no index"))?;
        }
        let index = line.strip_prefix("index ").and_then(plain_number);
        let index = index.ok_or(form("its index is no plain number"))?;
        let mut hashes = Vec::new();
        for line in lines {
            let hash = line.parse();
            hashes.push(hash.map_err(|_| form("a line of its path is not a SHA-256 hash"))?);
            if hashes.len() > MAX_HASHES {
                return Err(form("its path has more than 64 hashes"));
            }
        }
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint: checkpoint.parse()?,
        })
    }
}

//! Proofs for somebody who has neither the log nor trust in us: of one entry, and that one checkpoint continues another.
//!
//! Proofs are read out of tiles as they lie there and only then checked against the signed checkpoint, so a proof that
//! is given out holds, whatever was done to the tiles.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_tlog::{
    Checkpoint, Hash, ProofError, SignedNote, Submission, TILE_WIDTH, TlogProof, VerifierKey,
    consistency_proof, inclusion_proof, leaf_hash, node_in_tile, tree_root, verify_consistency,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::AuditError;
use crate::layout::{CHECKPOINT_FILE, COSIGNED_FILE, read_text_if_there};
use crate::openings::{Opening, SALT_BYTES};
use crate::query::{Follow, Stored};
use crate::store::read_hashes;

/// What the extra data of an entry's proof calls itself.
const FORMAT: &str = "bailiwick entry 1";

/// An entry with the proof that it is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// The entry, and what opens its sealed values.
    pub stored: Stored,
    /// The proof, without extra data.
    pub proof: TlogProof,
}

/// Why a proof was not made, or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// No signed checkpoint to prove anything against.
    #[error("`{0}` has no checkpoint yet: nothing in it is published")]
    NoCheckpoint(String),
    /// A checkpoint or proof does not hold.
    #[error(transparent)]
    Proof(#[from] bailiwick_tlog::TlogProofError),
    /// Hashes do not lead to the signed root: the log's tiles were changed.
    #[error(
        "the log's tiles do not lead to the root that was signed ({0}): run `bailiwick audit verify`"
    )]
    Tiles(ProofError),
    /// Not in the tree that the checkpoint is of.
    #[error(
        "entry {index} is not in the checkpoint, which is over {size} entries: wait for the next one"
    )]
    NotCovered {
        /// The entry asked for.
        index: u64,
        /// Entries behind the checkpoint.
        size: u64,
    },
    /// The extra data is not what a proof of an entry has.
    #[error("the proof carries no entry: {0}")]
    Extra(String),
}

impl From<ProofError> for ProveError {
    fn from(error: ProofError) -> Self {
        Self::Tiles(error)
    }
}

/// The extra data of an entry's proof.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    format: String,
    entry: String,
    openings: Vec<Opened>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    salt: String,
    value: String,
}

/// The published checkpoint of a log as it lies there, with its signatures.
///
/// # Errors
/// When it cannot be read; [`ProveError::NoCheckpoint`] when there is none.
pub fn published_note(dir: &Path) -> Result<SignedNote, ProveError> {
    note(dir, CHECKPOINT_FILE)?.ok_or_else(|| ProveError::NoCheckpoint(dir.display().to_string()))
}

/// The newest checkpoint of a log that witnesses cosigned, if any did.
///
/// # Errors
/// When it cannot be read.
pub fn cosigned_note(dir: &Path) -> Result<Option<SignedNote>, ProveError> {
    note(dir, COSIGNED_FILE)
}

fn note(dir: &Path, name: &str) -> Result<Option<SignedNote>, ProveError> {
    let text = read_text_if_there(&dir.join(name))?;
    let parsed = text.map(|text| text.parse::<SignedNote>()).transpose();
    parsed.map_err(|error| AuditError::damaged(dir, format!("{name}: {error}")).into())
}

/// Proves an entry against a checkpoint of the log. The proof is checked before it is given.
///
/// # Errors
/// [`ProveError`]: the checkpoint is not of this key or does not cover the entry, or the log is not what was signed.
pub fn prove_entry(
    dir: &Path,
    index: u64,
    checkpoint: &SignedNote,
    key: &VerifierKey,
) -> Result<ProvenEntry, ProveError> {
    let opened = Checkpoint::open(&checkpoint.to_string(), key)
        .map_err(bailiwick_tlog::TlogProofError::from)?;
    if index >= opened.size {
        return Err(ProveError::NotCovered {
            index,
            size: opened.size,
        });
    }
    let gone = || AuditError::damaged(dir, format!("entry {index} is not there"));
    let found = Follow::from(dir, index).bundle()?;
    let stored = found
        .into_iter()
        .find(|stored| stored.index == index)
        .ok_or_else(gone)?;
    let hashes = prove_inclusion(dir, index, opened.size)?;
    let proven = ProvenEntry {
        stored,
        proof: TlogProof {
            extra: None,
            index,
            hashes,
            checkpoint: checkpoint.clone(),
        },
    };
    proven.verify(key)?;
    Ok(proven)
}

/// The inclusion proof of a leaf in the tree of `size` entries (RFC 6962 §2.1.1), out of the tiles; unverified.
///
/// # Errors
/// When tiles are missing or damaged.
pub fn prove_inclusion(dir: &Path, index: u64, size: u64) -> Result<Vec<Hash>, ProveError> {
    let mut tiles = Tiles::new(dir, size);
    inclusion_proof(index, size, &mut |height, at| tiles.node(height, at))
}

/// The consistency proof between two trees of the log (RFC 6962 §2.1.2), out of the tiles; unverified.
///
/// # Errors
/// When tiles are missing or damaged, or `old > new`.
pub fn prove_consistency(dir: &Path, old: u64, new: u64) -> Result<Vec<Hash>, ProveError> {
    let mut tiles = Tiles::new(dir, new);
    consistency_proof(old, new, &mut |height, at| tiles.node(height, at))
}

/// Proves that one checkpoint of the log continues another, in the form in which witnesses are asked. The proof is
/// checked before it is given.
///
/// # Errors
/// [`ProveError`]: one is not of this key, `to` is the smaller one, or the log is not what was signed.
pub fn prove_continuation(
    dir: &Path,
    from: &Checkpoint,
    to: &SignedNote,
    key: &VerifierKey,
) -> Result<Submission, ProveError> {
    let new =
        Checkpoint::open(&to.to_string(), key).map_err(bailiwick_tlog::TlogProofError::from)?;
    let proof = prove_consistency(dir, from.size, new.size)?;
    // From no entries on everything is a continuation, and the proof is empty.
    if from.size > 0 {
        verify_consistency(from.size, new.size, &from.root, &new.root, &proof)?;
    }
    Ok(Submission {
        old: from.size,
        proof,
        checkpoint: to.clone(),
    })
}

impl ProvenEntry {
    /// Checks that the entry is in the log whose key this is and that each opening opens something in it, and gives the
    /// checkpoint that says so. Cosignatures are the caller's to check.
    ///
    /// # Errors
    /// [`ProveError`] says what does not hold.
    pub fn verify(&self, key: &VerifierKey) -> Result<Checkpoint, ProveError> {
        if self.stored.index != self.proof.index {
            return Err(ProveError::Extra("it is of another index".to_owned()));
        }
        let checkpoint = self.proof.verify(&leaf_hash(&self.stored.json), key)?;
        let text = String::from_utf8_lossy(&self.stored.json);
        for opening in &self.stored.openings {
            let commitment = opening.commitment().to_string();
            if !text.contains(&format!("\"{commitment}\"")) {
                let why =
                    format!("an opening of it opens nothing: {commitment} is not in the entry");
                return Err(ProveError::Extra(why));
            }
        }
        Ok(checkpoint)
    }

    /// The same without what opens sealed values: a proof that shows no personal data.
    #[must_use]
    pub fn without_private(mut self) -> Self {
        self.stored.openings.clear();
        self
    }

    /// One text that holds all of it: a tlog-proof whose extra data is the entry and its openings.
    ///
    /// # Errors
    /// [`ProveError::Extra`] when the entry is not UTF-8, which no entry of ours is not.
    pub fn to_text(&self) -> Result<String, ProveError> {
        let wrong = |error: &dyn std::fmt::Display| ProveError::Extra(error.to_string());
        let opened = |opening: &Opening| Opened {
            salt: URL_SAFE_NO_PAD.encode(opening.salt()),
            value: opening.value().to_owned(),
        };
        let extra = Extra {
            format: FORMAT.to_owned(),
            entry: String::from_utf8(self.stored.json.clone()).map_err(|error| wrong(&error))?,
            openings: self.stored.openings.iter().map(opened).collect(),
        };
        let proof = TlogProof {
            extra: Some(serde_json::to_vec(&extra).map_err(|error| wrong(&error))?),
            ..self.proof.clone()
        };
        Ok(proof.to_string())
    }

    /// Reads what [`ProvenEntry::to_text`] wrote. Nothing is verified yet.
    ///
    /// # Errors
    /// [`ProveError::Proof`] and [`ProveError::Extra`].
    pub fn parse(text: &str) -> Result<Self, ProveError> {
        let mut proof: TlogProof = text.parse()?;
        let wrong = |why: String| ProveError::Extra(why);
        let extra = proof.extra.take();
        let extra = extra.ok_or_else(|| wrong("there is no extra data".to_owned()))?;
        let extra: Extra =
            serde_json::from_slice(&extra).map_err(|error| wrong(error.to_string()))?;
        if extra.format != FORMAT {
            return Err(wrong(format!("its format is not {FORMAT:?}")));
        }
        let mut openings = Vec::new();
        for opened in extra.openings {
            let salt: Option<[u8; SALT_BYTES]> = URL_SAFE_NO_PAD
                .decode(&opened.salt)
                .ok()
                .and_then(|salt| salt.try_into().ok());
            let salt =
                salt.ok_or_else(|| wrong("a salt is not 32 bytes of base64url".to_owned()))?;
            openings.push(Opening::new(salt, opened.value));
        }
        Ok(Self {
            stored: Stored {
                index: proof.index,
                json: extra.entry.into_bytes(),
                openings,
            },
            proof,
        })
    }
}

/// The tiles of a tree, each read once.
struct Tiles<'a> {
    dir: &'a Path,
    size: u64,
    read: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl<'a> Tiles<'a> {
    fn new(dir: &'a Path, size: u64) -> Self {
        Self {
            dir,
            size,
            read: BTreeMap::new(),
        }
    }

    /// The root of a perfect subtree.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, ProveError> {
        let at = node_in_tile(height, index);
        let dir = self.dir;
        let short = || {
            let why = format!("tile {} of level {} is too short", at.index, at.level);
            AuditError::damaged(dir, why)
        };
        let tile = self.tile(at.level, at.index)?;
        let hashes = tile.get(at.start..at.start + at.count).ok_or_else(short)?;
        Ok(tree_root(hashes))
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], ProveError> {
        if !self.read.contains_key(&(level, index)) {
            let hashes = self.fetch(level, index)?;
            self.read.insert((level, index), hashes);
        }
        Ok(self.read.get(&(level, index)).map_or(&[], Vec::as_slice))
    }

    fn fetch(&self, level: u8, index: u64) -> Result<Vec<Hash>, ProveError> {
        let width = |size: u64| {
            let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            hashes.saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH)
        };
        let exact = read_hashes(self.dir, level, index, width(self.size))?;
        let Err(flaw) = exact else {
            return Ok(exact.unwrap_or_default());
        };
        // Of a checkpoint that was sealed and never published there are no tiles; those of a later one hold more.
        let newest = published_note(self.dir)?;
        let (newest, _) = Checkpoint::parse(newest.unverified_text())
            .map_err(bailiwick_tlog::TlogProofError::from)?;
        if newest.size > self.size
            && let Ok(hashes) = read_hashes(self.dir, level, index, width(newest.size))?
        {
            return Ok(hashes);
        }
        Err(AuditError::damaged(self.dir, flaw).into())
    }
}

//! Merkle tree tiles, checkpoints and proofs (C2SP tlog-tiles); knows nothing of Bailiwick.
//!
//! Pure: bytes in, bytes out. No files, no clock, no randomness. The formats are
//! [tlog-tiles](https://c2sp.org/tlog-tiles), [tlog-checkpoint](https://c2sp.org/tlog-checkpoint),
//! [signed-note](https://c2sp.org/signed-note), [tlog-cosignature](https://c2sp.org/tlog-cosignature),
//! [tlog-proof](https://c2sp.org/tlog-proof) and the requests of [tlog-witness](https://c2sp.org/tlog-witness); the
//! hashing is RFC 6962 §2.1 with SHA-256. Every parser accepts exactly what the specification's writer produces, and
//! nothing else.
#![forbid(unsafe_code)]

mod bundle;
mod checkpoint;
mod cosignature;
mod hash;
mod key;
mod note;
mod proof;
mod proof_text;
mod range;
mod submission;
mod tile;

pub use bundle::{BundleError, MAX_ENTRY_BYTES, decode_bundle, encode_entry};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use hash::{HASH_BYTES, Hash, HashError, leaf_hash, node_hash, tree_root};
pub use key::{
    KeyError, NotePrivateKey, NotePublicKey, SigningKey, VerifierKey, WitnessKey,
    WitnessSigningKey, is_valid_key_name,
};
pub use note::{MAX_NOTE_BYTES, NoteError, SignedNote};
pub use proof::{
    ProofError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};
pub use proof_text::{MAX_PROOF_BYTES, TlogProof, TlogProofError};
pub use range::CompactRange;
pub use submission::{MAX_SUBMISSION_BYTES, Submission, SubmissionError};
pub use tile::{
    NodeInTile, TILE_WIDTH, TileError, TileKind, TilePath, decode_tile, encode_tile, node_in_tile,
    tiles_of_tree,
};

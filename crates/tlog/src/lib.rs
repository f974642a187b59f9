//! Merkle tree tiles, checkpoints and proofs (C2SP tlog-tiles); knows nothing of Bailiwick.
//!
//! Pure: bytes in, bytes out. No files, no clock, no randomness. The formats are
//! [tlog-tiles](https://c2sp.org/tlog-tiles), [tlog-checkpoint](https://c2sp.org/tlog-checkpoint) and
//! [signed-note](https://c2sp.org/signed-note); the hashing is RFC 6962 §2.1 with SHA-256. Every parser accepts
//! exactly what the specification's writer produces, and nothing else.
#![forbid(unsafe_code)]

mod bundle;
mod checkpoint;
mod hash;
mod note;
mod proof;
mod range;
mod tile;

pub use bundle::{BundleError, MAX_ENTRY_BYTES, decode_bundle, encode_entry};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use hash::{HASH_BYTES, Hash, HashError, leaf_hash, node_hash, tree_root};
pub use note::{KeyError, NoteError, SignedNote, SigningKey, VerifierKey, is_valid_key_name};
pub use proof::{
    ProofError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};
pub use range::CompactRange;
pub use tile::{
    NodeInTile, TILE_WIDTH, TileError, TileKind, TilePath, decode_tile, encode_tile, node_in_tile,
    tiles_of_tree,
};

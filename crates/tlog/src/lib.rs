//! Merkle tree tiles, checkpoints and proofs (C2SP tlog-tiles); knows nothing of Bailiwick.

//! SHA-256 tree hashing as RFC 6962 §2.1 has it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Length of every hash of the tree, in bytes.
pub const HASH_BYTES: usize = 32;

/// RFC 6962 prefixes: a leaf can never be taken for an inner node, nor the other way round.
const LEAF_PREFIX: [u8; 1] = [0];
const NODE_PREFIX: [u8; 1] = [1];

/// A SHA-256 hash of a leaf or of a subtree. Printed and parsed as standard base64 with padding, as in checkpoints.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; HASH_BYTES]);

/// A text or byte string that is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 hash: expected 32 bytes as standard base64 with padding (44 characters)")]
pub struct HashError;

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = STANDARD.decode(text).map_err(|_| HashError)?;
        Ok(Self(bytes.try_into().map_err(|_| HashError)?))
    }
}

/// The hash of a leaf: `SHA-256(0x00 || entry)` over the whole entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    digest(&[&LEAF_PREFIX, entry])
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    digest(&[&NODE_PREFIX, &left.0, &right.0])
}

/// The root of the tree over these hashes, taken as leaves or as roots of equally large perfect subtrees. The root
/// of no hashes is `SHA-256("")`.
#[must_use]
pub fn tree_root(hashes: &[Hash]) -> Hash {
    let mut range = crate::CompactRange::default();
    for hash in hashes {
        range.push(*hash);
    }
    range.root()
}

/// The root of the empty tree.
pub(crate) fn empty_root() -> Hash {
    digest(&[])
}

fn digest(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_near_misses_are_refused() {
        let hash = leaf_hash(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        let text = hash.to_string();
        let unpadded = text.trim_end_matches('=');
        let url_safe = text.replace(['+', '/'], "-");
        for bad in [
            "",
            "AAAA",
            unpadded,
            &format!("{text}\n"),
            &format!(" {text}"),
        ] {
            assert_eq!(bad.parse::<Hash>(), Err(HashError), "{bad:?}");
        }
        assert!(url_safe == text || url_safe.parse::<Hash>().is_err());
    }
}

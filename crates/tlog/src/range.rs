//! The compact form of a growing tree: the roots of its perfect subtrees.

use crate::hash::{Hash, empty_root, node_hash};

/// A tree of any size in at most 64 hashes: enough to append to it and to know its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactRange {
    /// Roots of perfect subtrees, the largest (leftmost) first: one for each bit set in `size`.
    roots: Vec<Hash>,
    size: u64,
}

impl CompactRange {
    /// Number of leaves so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends one leaf hash; amortised one hashing.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.roots.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// The RFC 6962 root of all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.roots.iter().rev();
        let Some(last) = from_right.next() else {
            return empty_root();
        };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}

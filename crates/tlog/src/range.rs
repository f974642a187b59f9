//! The compact form of a growing tree: the roots of its perfect subtrees.

use crate::hash::{Hash, empty_root, node_hash, tree_root};

/// A tree of any size in at most 64 hashes: enough to append to it and to know its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactRange {
    /// Roots of perfect subtrees, the largest (leftmost) first: one for each bit set in `size`.
    roots: Vec<Hash>,
    size: u64,
}

impl CompactRange {
    /// The tree whose last, partial tiles are these: `edges[l]` holds fewer than 256 hashes, those of the partial tile of
    /// level `l`. A level whose last tile is full is empty here, and counted in the level above.
    #[must_use]
    pub fn from_edges(edges: &[Vec<Hash>]) -> Self {
        let mut range = Self::default();
        for (level, edge) in edges.iter().enumerate().rev() {
            let mut rest = edge.as_slice();
            while let Some(width) = rest.len().checked_ilog2() {
                let Some((subtree, right)) = rest.split_at_checked(1 << width) else {
                    break;
                };
                range.roots.push(tree_root(subtree));
                rest = right;
            }
            let leaves = u64::try_from(edge.len())
                .unwrap_or(0)
                .checked_shl(8 * u32::try_from(level).unwrap_or(64));
            range.size = range.size.saturating_add(leaves.unwrap_or(0));
        }
        range
    }

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

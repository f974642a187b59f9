//! Inclusion and consistency proofs: built as RFC 6962 §2.1.1–2.1.2 defines them, checked as RFC 9162 §2.1.3–2.1.4
//! describes.

use crate::hash::{Hash, node_hash};

/// Why a proof was not built or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index or the smaller size lies outside the tree.
    #[error("{what} {value} lies outside a tree of {size} leaves")]
    OutOfRange {
        /// "index" or "size".
        what: &'static str,
        /// What was asked for.
        value: u64,
        /// The tree's size.
        size: u64,
    },
    /// Too few or too many hashes for these sizes.
    #[error("the proof has {found} hashes, which is the wrong number for this position and size")]
    WrongLength {
        /// How many hashes it has.
        found: usize,
    },
    /// The hashes do not lead to the root given.
    #[error("the proof leads to another root: the leaf, the proof or a root was changed")]
    WrongRoot,
}

/// Builds the proof that leaf `index` is in the tree of `size` leaves, deepest sibling first. `node(height, i)` gives
/// the root of the perfect subtree over leaves `i << height .. (i + 1) << height`.
///
/// # Errors
/// [`ProofError::OutOfRange`] when `index >= size`, and whatever `node` answers.
pub fn inclusion_proof<E: From<ProofError>>(
    index: u64,
    size: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(out_of_range("index", index, size).into());
    }
    let (mut start, mut count, mut offset) = (0_u64, size, index);
    let mut siblings = Vec::new();
    while count > 1 {
        let left = split(count);
        if offset < left {
            siblings.push(range_root(start + left, count - left, node)?);
            count = left;
        } else {
            siblings.push(range_root(start, left, node)?);
            start += left;
            count -= left;
            offset -= left;
        }
    }
    siblings.reverse();
    Ok(siblings)
}

/// Builds the proof that the tree of `old` leaves is a prefix of the tree of `new` leaves; empty when they are equal
/// or `old` is 0. `node` as in [`inclusion_proof`].
///
/// # Errors
/// [`ProofError::OutOfRange`] when `old > new`, and whatever `node` answers.
pub fn consistency_proof<E: From<ProofError>>(
    old: u64,
    new: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old > new {
        return Err(out_of_range("size", old, new).into());
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut count, mut keep) = (0_u64, new, old);
    let mut whole_old_tree = true;
    let mut hashes = Vec::new();
    while keep != count {
        let left = split(count);
        if keep <= left {
            hashes.push(range_root(start + left, count - left, node)?);
            count = left;
        } else {
            hashes.push(range_root(start, left, node)?);
            start += left;
            count -= left;
            keep -= left;
            whole_old_tree = false;
        }
    }
    if !whole_old_tree {
        hashes.push(range_root(start, count, node)?);
    }
    hashes.reverse();
    Ok(hashes)
}

/// Checks that the leaf with this hash is at `index` in the tree of `size` leaves with `root`.
///
/// # Errors
/// Says which of position, number of hashes or root is wrong.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(out_of_range("index", index, size));
    }
    let wrong_length = || ProofError::WrongLength { found: proof.len() };
    let (mut position, mut last, mut found) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(wrong_length());
        }
        if position & 1 == 1 || position == last {
            found = node_hash(sibling, &found);
            // A right edge without a sibling at this level moves up as it is.
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            found = node_hash(&found, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length());
    }
    if found == *root {
        Ok(())
    } else {
        Err(ProofError::WrongRoot)
    }
}

/// Checks that the tree of `old` leaves with `old_root` is a prefix of the tree of `new` leaves with `new_root`.
///
/// # Errors
/// Says which of sizes, number of hashes or roots is wrong. An empty old tree is a prefix of everything, with an
/// empty proof and the empty tree's root.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(out_of_range("size", old, new));
    }
    let wrong_length = || ProofError::WrongLength { found: proof.len() };
    if old == new || old == 0 {
        let expected = if old == 0 {
            crate::hash::empty_root()
        } else {
            *new_root
        };
        return match (proof.is_empty(), *old_root == expected) {
            (false, _) => Err(wrong_length()),
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::WrongRoot),
        };
    }
    let mut hashes = proof.iter();
    let (mut position, mut last) = (old - 1, new - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    // An old tree that is one perfect subtree is itself the first node.
    let first = if position == 0 {
        old_root
    } else {
        hashes.next().ok_or_else(wrong_length)?
    };
    let (mut found_old, mut found_new) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return Err(wrong_length());
        }
        if position & 1 == 1 || position == last {
            found_old = node_hash(hash, &found_old);
            found_new = node_hash(hash, &found_new);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            found_new = node_hash(&found_new, hash);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length());
    }
    if found_old == *old_root && found_new == *new_root {
        Ok(())
    } else {
        Err(ProofError::WrongRoot)
    }
}

/// The root over `count` leaves from `start`, out of perfect subtrees.
fn range_root<E>(
    mut start: u64,
    mut count: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let mut lefts = Vec::new();
    while !count.is_power_of_two() {
        let left = split(count);
        let height = left.trailing_zeros();
        lefts.push(node(height, start >> height)?);
        start += left;
        count -= left;
    }
    let height = count.trailing_zeros();
    let last = node(height, start >> height)?;
    Ok(lefts
        .iter()
        .rev()
        .fold(last, |right, left| node_hash(left, &right)))
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

fn out_of_range(what: &'static str, value: u64, size: u64) -> ProofError {
    ProofError::OutOfRange { what, value, size }
}

//! Roots and proofs against RFC 6962's definition and the vectors that Certificate Transparency publishes.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test helpers stop the test"
)]

use bailiwick_tlog::{
    CompactRange, Hash, ProofError, TILE_WIDTH, consistency_proof, inclusion_proof, leaf_hash,
    node_hash, node_in_tile, tree_root, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;

/// The eight leaves of the reference implementation's test tree.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
/// Its roots at sizes 1 to 8.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hex_hash(text: &str) -> Hash {
    Hash(
        hex::decode(text)
            .expect("hex")
            .try_into()
            .expect("32 bytes"),
    )
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

/// RFC 6962 §2.1, word for word: slow, and the oracle.
fn oracle(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hex_hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(&oracle(&leaves[..k]), &oracle(&leaves[k..]))
        }
    }
}

fn nodes(leaves: &[Hash]) -> impl FnMut(u32, u64) -> Result<Hash, ProofError> + '_ {
    |height, index| {
        let start = usize::try_from(index << height).expect("small");
        Ok(oracle(&leaves[start..start + (1 << height)]))
    }
}

#[test]
fn published_roots_are_met() {
    let hashes: Vec<_> = LEAVES
        .iter()
        .map(|leaf| leaf_hash(&hex::decode(leaf).expect("hex")))
        .collect();
    let mut range = CompactRange::default();
    assert_eq!(range.root(), oracle(&[]));
    for (size, root) in (1..).zip(ROOTS) {
        range.push(hashes[size - 1]);
        assert_eq!(range.root(), hex_hash(root), "size {size}");
        assert_eq!(tree_root(&hashes[..size]), hex_hash(root));
        assert_eq!(oracle(&hashes[..size]), hex_hash(root));
    }
}

#[test]
fn published_inclusion_proofs_are_met() {
    let hashes: Vec<_> = LEAVES
        .iter()
        .map(|leaf| leaf_hash(&hex::decode(leaf).expect("hex")))
        .collect();
    for (index, size, expected) in [
        (0, 1, vec![]),
        (
            0,
            8,
            vec![
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            vec![
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            3,
            vec!["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
        ),
    ] {
        let proof = inclusion_proof(index, size, &mut nodes(&hashes)).expect("in range");
        assert_eq!(
            proof,
            expected.into_iter().map(hex_hash).collect::<Vec<_>>(),
            "{index} of {size}"
        );
    }
}

#[test]
fn published_consistency_proofs_are_met() {
    let hashes: Vec<_> = LEAVES
        .iter()
        .map(|leaf| leaf_hash(&hex::decode(leaf).expect("hex")))
        .collect();
    for (old, new, expected) in [
        (1, 1, vec![]),
        (
            1,
            8,
            vec![
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            vec![
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
    ] {
        let proof = consistency_proof(old, new, &mut nodes(&hashes)).expect("in range");
        assert_eq!(
            proof,
            expected.into_iter().map(hex_hash).collect::<Vec<_>>(),
            "{old} to {new}"
        );
    }
}

#[test]
fn every_proof_of_every_small_tree_verifies() {
    let hashes = leaves(40);
    for size in 1..=40_u64 {
        let tree = &hashes[..usize::try_from(size).expect("small")];
        let root = oracle(tree);
        for index in 0..size {
            let proof = inclusion_proof(index, size, &mut nodes(tree)).expect("in range");
            let leaf = &tree[usize::try_from(index).expect("small")];
            assert_eq!(
                verify_inclusion(index, size, leaf, &proof, &root),
                Ok(()),
                "{index} of {size}"
            );
        }
        for old in 0..=size {
            let old_root = oracle(&tree[..usize::try_from(old).expect("small")]);
            let proof = consistency_proof(old, size, &mut nodes(tree)).expect("in range");
            assert_eq!(
                verify_consistency(old, size, &old_root, &root, &proof),
                Ok(()),
                "{old} to {size}"
            );
        }
    }
}

#[test]
fn positions_outside_the_tree_are_refused() {
    let hashes = leaves(4);
    let out_of_range =
        |result: Result<_, ProofError>| matches!(result, Err(ProofError::OutOfRange { .. }));
    assert!(out_of_range(
        inclusion_proof(4, 4, &mut nodes(&hashes)).map(|_| ())
    ));
    assert!(out_of_range(
        inclusion_proof(0, 0, &mut nodes(&hashes)).map(|_| ())
    ));
    assert!(out_of_range(
        consistency_proof(5, 4, &mut nodes(&hashes)).map(|_| ())
    ));
    assert!(out_of_range(verify_inclusion(
        1,
        1,
        &hashes[0],
        &[],
        &hashes[0]
    )));
    assert!(out_of_range(verify_inclusion(
        0,
        0,
        &hashes[0],
        &[],
        &hashes[0]
    )));
    assert!(out_of_range(verify_consistency(
        2,
        1,
        &hashes[0],
        &hashes[0],
        &[]
    )));
}

#[test]
fn an_empty_old_tree_is_a_prefix_only_with_its_own_root() {
    let hashes = leaves(3);
    let root = oracle(&hashes);
    assert_eq!(verify_consistency(0, 3, &oracle(&[]), &root, &[]), Ok(()));
    assert_eq!(
        verify_consistency(0, 3, &root, &root, &[]),
        Err(ProofError::WrongRoot)
    );
    assert_eq!(
        verify_consistency(3, 3, &hashes[0], &root, &[]),
        Err(ProofError::WrongRoot)
    );
    assert!(verify_consistency(3, 3, &root, &root, &hashes[..1]).is_err());
}

#[test]
fn a_range_is_rebuilt_from_its_partial_tiles() {
    for size in [0_u64, 1, 3, 255, 256, 257, 511, 512, 700, 65_536 + 300] {
        let mut edges: Vec<Vec<Hash>> = vec![Vec::new(); 4];
        let mut grown = CompactRange::default();
        for leaf in leaves(size) {
            grown.push(leaf);
            let mut up = Some(leaf);
            for edge in &mut edges {
                edge.extend(up.take());
                if edge.len() == 256 {
                    up = Some(tree_root(edge));
                    edge.clear();
                }
            }
        }
        assert_eq!(CompactRange::from_edges(&edges), grown, "{size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn roots_are_those_of_the_definition(size in 0_usize..700) {
        let hashes = leaves(700);
        prop_assert_eq!(tree_root(&hashes[..size]), oracle(&hashes[..size]));
    }

    #[test]
    fn any_mutation_of_an_inclusion_proof_fails(
        size in 1_u64..600, at: prop::sample::Index, bit in 0_usize..256, other: prop::sample::Index,
    ) {
        let hashes = leaves(size);
        let root = oracle(&hashes);
        let position = at.index(hashes.len());
        let index = position as u64;
        let leaf = hashes[position];
        let proof = inclusion_proof(index, size, &mut nodes(&hashes)).expect("in range");
        prop_assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()));

        let flip = |hash: &Hash| { let mut h = *hash; h.0[bit / 8] ^= 1 << (bit % 8); h };
        prop_assert!(verify_inclusion(index, size, &flip(&leaf), &proof, &root).is_err());
        prop_assert!(verify_inclusion(index, size, &leaf, &proof, &flip(&root)).is_err());
        let mut longer = proof.clone();
        longer.push(leaf);
        prop_assert!(verify_inclusion(index, size, &leaf, &longer, &root).is_err());
        if !proof.is_empty() {
            prop_assert!(verify_inclusion(index, size, &leaf, &proof[1..], &root).is_err());
            prop_assert!(verify_inclusion(index, size, &leaf, &proof[..proof.len() - 1], &root).is_err());
            let mut changed = proof.clone();
            let which = other.index(proof.len());
            changed[which] = flip(&changed[which]);
            prop_assert!(verify_inclusion(index, size, &leaf, &changed, &root).is_err());
            let wrong = other.index(hashes.len()) as u64;
            if wrong != index {
                prop_assert!(verify_inclusion(wrong, size, &leaf, &proof, &root).is_err());
            }
        }
    }

    #[test]
    fn any_mutation_of_a_consistency_proof_fails(
        new in 2_u64..600, at: prop::sample::Index, bit in 0_usize..256, other: prop::sample::Index,
    ) {
        let hashes = leaves(new);
        let old = at.index(hashes.len() - 1) as u64 + 1;
        let (old_root, new_root) = (oracle(&hashes[..usize::try_from(old).expect("small")]), oracle(&hashes));
        let proof = consistency_proof(old, new, &mut nodes(&hashes)).expect("in range");
        prop_assert_eq!(verify_consistency(old, new, &old_root, &new_root, &proof), Ok(()));

        let flip = |hash: &Hash| { let mut h = *hash; h.0[bit / 8] ^= 1 << (bit % 8); h };
        prop_assert!(verify_consistency(old, new, &flip(&old_root), &new_root, &proof).is_err());
        prop_assert!(verify_consistency(old, new, &old_root, &flip(&new_root), &proof).is_err());
        let mut changed = proof.clone();
        let which = other.index(proof.len());
        changed[which] = flip(&changed[which]);
        prop_assert!(verify_consistency(old, new, &old_root, &new_root, &changed).is_err());
        prop_assert!(verify_consistency(old, new, &old_root, &new_root, &proof[1..]).is_err());
        let mut longer = proof.clone();
        longer.push(old_root);
        prop_assert!(verify_consistency(old, new, &old_root, &new_root, &longer).is_err());
    }

    #[test]
    fn nodes_lie_where_their_leaves_are(height in 0_u32..30, index in 0_u64..1_000_000) {
        let node = node_in_tile(height, index);
        let below = 8 * u32::from(node.level);
        let first = (node.index * TILE_WIDTH + node.start as u64) << below;
        prop_assert_eq!(first, index << height);
        prop_assert_eq!((node.count as u64) << below, 1 << height);
        prop_assert!(node.start + node.count <= 256);
    }
}

//! Stored hashes of each level, with and without what they cover.

use bailiwick_tlog::{Hash, leaf_hash, tree_root};

use crate::Kind;
use crate::bundles::{FIRST, FULL, LAST};
use crate::case::Base::{Long, Three};
use crate::case::{Case, entry};
use crate::support::{copy, hashes};
use crate::{seen, unseen};

const LEAVES: &str = "tile/0/001";
const LAST_LEAVES: &str = "tile/0/002.p/88";
const LEVEL_1: &str = "tile/1/000.p/2";

/// Forges an entry together with its leaf hash.
fn forge(case: &Case, bundle: &str, tile: &str, at: usize) {
    case.edit(bundle, |all| all[at] = entry("forged"));
    case.edit_hashes(tile, |all| all[at] = leaf_hash(&entry("forged")).0);
}

/// The root over a tile of 256 hashes as it is now.
fn root_of(case: &Case, tile: &str) -> [u8; 32] {
    let all: Vec<Hash> = hashes(&case.path(tile)).into_iter().map(Hash).collect();
    tree_root(&all).0
}

pub(crate) const KINDS: &[Kind] = &[
    unseen("a leaf hash", Three, (Some(259), "hash_changed"), |case| {
        case.edit_hashes(LEAVES, |all| all[3][0] ^= 1);
    }),
    unseen(
        "a leaf hash of the last bundle",
        Three,
        (Some(515), "hash_changed"),
        |case| {
            case.edit_hashes(LAST_LEAVES, |all| all[3][0] ^= 1);
        },
    ),
    unseen(
        "leaf hashes swapped",
        Three,
        (Some(259), "hash_changed"),
        |case| {
            case.edit_hashes(LEAVES, |all| all.swap(3, 4));
        },
    ),
    unseen(
        "leaf tiles swapped",
        Three,
        (Some(0), "hash_changed"),
        |case| {
            case.swap("tile/0/000", LEAVES);
        },
    ),
    unseen(
        "a leaf tile of zeros",
        Three,
        (Some(256), "hash_changed"),
        |case| {
            case.edit_bytes(LEAVES, |bytes| bytes.fill(0));
        },
    ),
    unseen(
        "a leaf tile cut short",
        Three,
        (Some(256), "hash_changed"),
        |case| {
            case.edit_bytes(LEAVES, |bytes| bytes.truncate(100));
        },
    ),
    unseen(
        "a leaf tile one hash short",
        Three,
        (Some(256), "hash_changed"),
        |case| {
            case.edit_hashes(LEAVES, |all| all.truncate(all.len() - 1));
        },
    ),
    unseen(
        "a leaf tile one byte longer",
        Three,
        (Some(256), "hash_changed"),
        |case| {
            case.edit_bytes(LEAVES, |bytes| bytes.push(0));
        },
    ),
    unseen(
        "an emptied leaf tile",
        Three,
        (Some(256), "hash_changed"),
        |case| case.write(LEAVES, ""),
    ),
    unseen(
        "a removed leaf tile",
        Three,
        (Some(256), "hash_changed"),
        |case| case.remove(LEAVES),
    ),
    unseen(
        "the removed last leaf tile",
        Three,
        (Some(512), "hash_changed"),
        |case| {
            case.remove(LAST_LEAVES);
        },
    ),
    unseen(
        "the last leaf tile one hash short",
        Three,
        (Some(512), "hash_changed"),
        |case| {
            case.edit_hashes(LAST_LEAVES, |all| all.truncate(all.len() - 1));
        },
    ),
    unseen(
        "all leaf tiles removed",
        Three,
        (Some(0), "hash_changed"),
        |case| case.remove("tile/0"),
    ),
    unseen(
        "a hash of level 1",
        Three,
        (Some(256), "hash_changed"),
        |case| {
            case.edit_hashes(LEVEL_1, |all| all[1][0] ^= 1);
        },
    ),
    unseen(
        "hashes of level 1 swapped",
        Three,
        (Some(0), "hash_changed"),
        |case| {
            case.edit_hashes(LEVEL_1, |all| all.swap(0, 1));
        },
    ),
    unseen(
        "a removed tile of level 1",
        Three,
        (Some(0), "hash_changed"),
        |case| {
            case.remove(LEVEL_1);
        },
    ),
    unseen(
        "a tile of level 1 cut short",
        Three,
        (Some(0), "hash_changed"),
        |case| {
            case.edit_hashes(LEVEL_1, |all| all.truncate(1));
        },
    ),
    unseen(
        "a hash in a full tile of level 1",
        Long,
        (Some(5 * 256), "hash_changed"),
        |case| {
            case.edit_hashes("tile/1/000", |all| all[5][31] ^= 0x80);
        },
    ),
    unseen(
        "a removed full tile of level 1",
        Long,
        (Some(0), "hash_changed"),
        |case| {
            case.remove("tile/1/000");
        },
    ),
    unseen(
        "a hash in the second tile of level 1",
        Long,
        (Some(65_536), "hash_changed"),
        |case| {
            case.edit_hashes("tile/1/001.p/1", |all| all[0][0] ^= 1);
        },
    ),
    unseen(
        "the hash of level 2",
        Long,
        (Some(0), "hash_changed"),
        |case| {
            case.edit_hashes("tile/2/000.p/1", |all| all[0][0] ^= 1);
        },
    ),
    unseen(
        "the removed tile of level 2",
        Long,
        (Some(0), "hash_changed"),
        |case| {
            case.remove("tile/2/000.p/1");
        },
    ),
    unseen(
        "an entry far inside a long log",
        Long,
        (Some(40_000), "changed"),
        |case| {
            case.edit("tile/entries/156", |all| all[64] = entry("forged"));
        },
    ),
    unseen(
        "an entry and its leaf hash",
        Three,
        (Some(256), "rewritten"),
        |case| {
            forge(case, FULL, LEAVES, 44);
        },
    ),
    unseen(
        "an entry, its leaf hash and the hash of its bundle",
        Three,
        (None, "rewritten"),
        |case| {
            forge(case, FULL, LEAVES, 44);
            let root = root_of(case, LEAVES);
            case.edit_hashes(LEVEL_1, |all| all[1] = root);
        },
    ),
    unseen(
        "an entry and its hashes up to level 1",
        Long,
        (Some(0), "rewritten"),
        |case| {
            forge(case, "tile/entries/156", "tile/0/156", 64);
            let root = root_of(case, "tile/0/156");
            case.edit_hashes("tile/1/000", |all| all[156] = root);
        },
    ),
    unseen(
        "an entry and its hashes up to level 2",
        Long,
        (None, "rewritten"),
        |case| {
            forge(case, "tile/entries/156", "tile/0/156", 64);
            let root = root_of(case, "tile/0/156");
            case.edit_hashes("tile/1/000", |all| all[156] = root);
            let root = root_of(case, "tile/1/000");
            case.edit_hashes("tile/2/000.p/1", |all| all[0] = root);
        },
    ),
    unseen(
        "an entry and hash of the last bundle, not in the journal",
        Three,
        (Some(522), "changed"),
        |case| {
            forge(case, LAST, LAST_LEAVES, 10);
        },
    ),
    unseen(
        "an entry and hash of the last bundle, no journal",
        Three,
        (None, "rewritten"),
        |case| {
            case.without_journal();
            forge(case, LAST, LAST_LEAVES, 10);
        },
    ),
    seen(
        "a bundle and its leaf tile removed",
        Three,
        (Some(256), "truncated"),
        |case| {
            case.remove(FULL);
            case.remove(LEAVES);
        },
    ),
    unseen(
        "an entry here and a leaf hash there",
        Three,
        (Some(7), "changed"),
        |case| {
            case.edit(FIRST, |all| all[7] = entry("forged"));
            case.edit_hashes(LEAVES, |all| all[3][0] ^= 1);
        },
    ),
    unseen(
        "an entry and another's leaf hash in one bundle",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| all[44] = entry("forged"));
            case.edit_hashes(LEAVES, |all| all[60][0] ^= 1);
        },
    ),
    seen(
        "tiles and journal of a longer log of another key",
        Three,
        (Some(600), "rolled_back"),
        |case| {
            let other = case.other(601);
            for folder in ["tile", "journal"] {
                case.remove(folder);
                copy(&other.join(folder), &case.path(folder));
            }
        },
    ),
    unseen(
        "tiles and journal of another log of this length",
        Three,
        (None, "rewritten"),
        |case| {
            let other = case.other(600);
            for folder in ["tile", "journal"] {
                case.remove(folder);
                copy(&other.join(folder), &case.path(folder));
            }
        },
    ),
    unseen(
        "a tile of a level that so short a log has not",
        Three,
        (Some(600), "rolled_back"),
        |case| {
            case.write("tile/2/000.p/1", [7; 32]);
        },
    ),
    unseen(
        "a tile of the highest level",
        Three,
        (Some(600), "rolled_back"),
        |case| {
            case.write("tile/63/000", [7; 8192]);
        },
    ),
    unseen(
        "a full bundle beside the partial one",
        Three,
        (Some(600), "rolled_back"),
        |case| {
            case.write("tile/entries/002", []);
            let mut all = crate::support::bundle(&case.path(LAST));
            all.resize(256, entry("forged"));
            crate::support::write_bundle(&case.path("tile/entries/002"), &all);
        },
    ),
    unseen(
        "a forged partial bundle of an earlier moment",
        Three,
        (Some(256), "changed"),
        |case| {
            case.write("tile/entries/001.p/1", []);
            crate::support::write_bundle(&case.path("tile/entries/001.p/1"), &[entry("forged")]);
        },
    ),
    unseen(
        "a forged partial bundle of this moment but smaller",
        Three,
        (Some(514), "changed"),
        |case| {
            let mut all = crate::support::bundle(&case.path(LAST));
            all.truncate(50);
            all[2] = entry("forged");
            case.write("tile/entries/002.p/50", []);
            crate::support::write_bundle(&case.path("tile/entries/002.p/50"), &all);
        },
    ),
    unseen(
        "a forged partial leaf tile of an earlier moment",
        Three,
        (Some(2), "hash_changed"),
        |case| {
            case.write("tile/0/000.p/3", []);
            let mut all = hashes(&case.path("tile/0/000"));
            all.truncate(3);
            all[2][0] ^= 1;
            crate::support::write_hashes(&case.path("tile/0/000.p/3"), &all);
        },
    ),
    unseen(
        "a forged partial tile of level 1 of an earlier moment",
        Three,
        (Some(0), "hash_changed"),
        |case| {
            case.write("tile/1/000.p/1", [7; 32]);
        },
    ),
];

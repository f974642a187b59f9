//! What opens sealed strings, and what was moved into an archive.

use std::fs;

use bailiwick_audit::{Opening, decode_bundle_openings, encode_bundle_openings};

use crate::Kind;
use crate::bundles::FIRST;
use crate::case::Base::{Private, Pruned, Three};
use crate::case::{Case, entry};
use crate::support::{bundle, write_bundle};
use crate::{seen, unseen};

const OPENINGS: &str = "private/000000000000";
type Openings = Vec<(u8, Vec<Opening>)>;

fn openings(case: &Case, edit: impl FnOnce(&mut Openings)) {
    case.edit_bytes(OPENINGS, |bytes| {
        let mut all = decode_bundle_openings(bytes).expect("openings");
        edit(&mut all);
        *bytes = encode_bundle_openings(&all);
    });
}

fn archived(case: &Case, name: &str) -> std::path::PathBuf {
    case.archive.as_ref().expect("pruned").join(name)
}

fn edit_archived(case: &Case, edit: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let path = archived(case, FIRST);
    let mut all = bundle(&path);
    edit(&mut all);
    write_bundle(&path, &all);
}

const CHANGED: (Option<u64>, &str) = (Some(7), "opening_changed");
const NONE: (Option<u64>, &str) = (Some(0), "opening_changed");
const STRANGE: (Option<u64>, &str) = (None, "strange");

pub(crate) const KINDS: &[Kind] = &[
    unseen("the value of a sealed string", Private, CHANGED, |case| {
        openings(case, |all| {
            let salt = *all[7].1[0].salt();
            all[7].1[0] = Opening::new(salt, "bob");
        });
    }),
    unseen("the salt of a sealed string", Private, CHANGED, |case| {
        openings(case, |all| {
            let value = all[7].1[0].value().to_owned();
            all[7].1[0] = Opening::new([7; 32], value);
        });
    }),
    unseen(
        "the openings of two entries swapped",
        Private,
        CHANGED,
        |case| {
            openings(case, |all| {
                let seven = all[7].1.clone();
                all[7].1 = std::mem::replace(&mut all[9].1, seven);
            });
        },
    ),
    unseen(
        "an opening for what is not sealed",
        Private,
        CHANGED,
        |case| {
            openings(case, |all| all[7].1.push(Opening::new([7; 32], "bob")));
        },
    ),
    unseen("openings cut short", Private, NONE, |case| {
        case.edit_bytes(OPENINGS, |bytes| bytes.truncate(bytes.len() - 3));
    }),
    unseen("emptied openings", Private, NONE, |case| {
        case.write(OPENINGS, "")
    }),
    unseen("openings of another form", Private, NONE, |case| {
        case.edit_bytes(OPENINGS, |bytes| bytes[0] ^= 1);
    }),
    unseen("openings out of order", Private, NONE, |case| {
        openings(case, |all| all.swap(7, 8));
    }),
    unseen("openings that are no text", Private, NONE, |case| {
        case.edit_bytes(OPENINGS, |bytes| {
            let last = bytes.len() - 1;
            bytes[last] = 0xff;
        });
    }),
    unseen(
        "openings of a bundle that is not there",
        Private,
        STRANGE,
        |case| {
            fs::copy(case.path(OPENINGS), case.path("private/000000000009")).expect("copies");
        },
    ),
    unseen(
        "a link in the place of the openings",
        Private,
        (Some(0), "unreadable"),
        |case| {
            case.link(OPENINGS);
        },
    ),
    unseen(
        "openings of a terabyte",
        Private,
        (Some(0), "unreadable"),
        |case| {
            let file = fs::OpenOptions::new().write(true).open(case.path(OPENINGS));
            file.expect("opens").set_len(1 << 40).expect("sparse");
        },
    ),
    unseen(
        "a strange file among the openings",
        Private,
        STRANGE,
        |case| {
            case.write("private/notes", "");
        },
    ),
    unseen("a folder among the openings", Private, STRANGE, |case| {
        case.write("private/old/x", "");
    }),
    unseen(
        "an entry in the archive",
        Pruned,
        (Some(7), "changed"),
        |case| {
            edit_archived(case, |all| all[7] = entry("forged"));
        },
    ),
    seen(
        "an entry removed from the archive",
        Pruned,
        (Some(7), "removed"),
        |case| {
            edit_archived(case, |all| drop(all.remove(7)));
        },
    ),
    unseen(
        "entries swapped in the archive",
        Pruned,
        (Some(7), "moved"),
        |case| {
            edit_archived(case, |all| all.swap(7, 70));
        },
    ),
    seen(
        "a bundle removed from the archive",
        Pruned,
        (Some(0), "truncated"),
        |case| {
            fs::remove_file(archived(case, FIRST)).expect("removes");
        },
    ),
    unseen(
        "a bundle of another log in the archive",
        Pruned,
        (Some(0), "changed"),
        |case| {
            let other = case.other(600);
            fs::copy(other.join(FIRST), archived(case, FIRST)).expect("copies");
        },
    ),
    unseen(
        "a leaf hash of a pruned entry",
        Pruned,
        (Some(7), "hash_changed"),
        |case| {
            case.edit_hashes("tile/0/000", |all| all[7][0] ^= 1);
        },
    ),
    unseen(
        "the leaf tile of a pruned bundle removed",
        Pruned,
        (Some(0), "hash_changed"),
        |case| {
            case.remove("tile/0/000");
        },
    ),
    unseen(
        "a pruned bundle put back with a forged entry",
        Pruned,
        (Some(7), "changed"),
        |case| {
            let mut all = bundle(&archived(case, FIRST));
            all[7] = entry("forged");
            case.write(FIRST, "");
            write_bundle(&case.path(FIRST), &all);
        },
    ),
    seen(
        "more removed than was pruned",
        Pruned,
        (Some(256), "truncated"),
        |case| {
            case.archive = None;
            case.remove("tile/entries/001");
        },
    ),
    seen(
        "a bundle removed as if it were pruned",
        Three,
        (Some(0), "truncated"),
        |case| {
            case.remove(FIRST);
            case.remove("tile/entries/001");
        },
    ),
    seen(
        "the leaf hashes of a pruned log, no archive at hand",
        Pruned,
        (Some(0), "hash_changed"),
        |case| {
            case.archive = None;
            case.edit_hashes("tile/0/000", |all| all[7][0] ^= 1);
        },
    ),
];

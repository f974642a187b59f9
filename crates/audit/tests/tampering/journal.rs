//! The journal: entries that are not published yet, and the seals over them.

use std::fs;

use bailiwick_audit::Checkpoint;
use bailiwick_tlog::{SigningKey, leaf_hash};

use crate::Kind;
use crate::case::Base::{Small, Three, Unpublished};
use crate::case::{Case, entry};
use crate::{seen, unseen};

const SMALL: &str = "journal/000000000000";
const SECOND: &str = "journal/000000000001";

type Record = (u8, Vec<u8>);

/// A segment's records: kind, two bytes length, eight bytes of the leaf hash, payload.
fn records(bytes: &[u8]) -> Vec<Record> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while rest.first().is_some_and(|kind| *kind != 0) {
        let length = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
        all.push((rest[0], rest[11..11 + length].to_vec()));
        rest = &rest[11 + length..];
    }
    all
}

fn write(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, payload) in records {
        out.push(*kind);
        out.extend((payload.len() as u16).to_be_bytes());
        out.extend(&leaf_hash(payload).0[..8]);
        out.extend(payload);
    }
    out
}

/// Edits the records of a segment, with checks that fit.
fn edit(case: &Case, name: &str, edit: impl FnOnce(&mut Vec<Record>)) {
    case.edit_bytes(name, |bytes| {
        let mut all = records(bytes);
        edit(&mut all);
        *bytes = write(&all);
    });
}

/// The place of the n-th entry among the records.
fn nth(records: &[Record], number: usize) -> usize {
    let entries = records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.0 == b'E');
    entries
        .map(|(at, _)| at)
        .nth(number)
        .expect("so many entries")
}

fn seal(key: &SigningKey, size: u64) -> Record {
    let checkpoint = Checkpoint {
        origin: key.verifier().name().to_owned(),
        size,
        root: leaf_hash(b"another history"),
    };
    (b'S', checkpoint.sign(key).expect("signs").into_bytes())
}

pub(crate) const KINDS: &[Kind] = &[
    unseen(
        "a published entry in the journal",
        Small,
        (Some(3), "changed"),
        |case| {
            edit(case, SMALL, |all| {
                let at = nth(all, 3);
                all[at].1 = entry("forged");
            });
        },
    ),
    unseen(
        "a byte of the journal",
        Small,
        (Some(0), "changed"),
        |case| {
            case.edit_bytes(SMALL, |bytes| bytes[40] ^= 1);
        },
    ),
    unseen(
        "a published entry removed from the journal",
        Small,
        (Some(3), "removed"),
        |case| {
            edit(case, SMALL, |all| drop(all.remove(nth(all, 3))));
        },
    ),
    unseen(
        "published entries swapped in the journal",
        Small,
        (Some(3), "removed"),
        |case| {
            edit(case, SMALL, |all| {
                let (a, b) = (nth(all, 3), nth(all, 4));
                all.swap(a, b);
            });
        },
    ),
    unseen(
        "an entry inserted into the journal",
        Small,
        (Some(3), "changed"),
        |case| {
            edit(case, SMALL, |all| {
                all.insert(nth(all, 3), (b'E', entry("forged")))
            });
        },
    ),
    unseen(
        "the journal cut off",
        Small,
        (Some(10), "truncated"),
        |case| {
            edit(case, SMALL, |all| all.truncate(nth(all, 10)));
        },
    ),
    unseen(
        "the journal cut inside a record",
        Small,
        (Some(10), "changed"),
        |case| {
            case.edit_bytes(SMALL, |bytes| {
                let all = records(bytes);
                let whole = write(&all[..nth(&all, 10)]).len();
                bytes.truncate(whole + 20);
            });
        },
    ),
    unseen(
        "an emptied journal",
        Small,
        (Some(0), "truncated"),
        |case| case.write(SMALL, ""),
    ),
    unseen(
        "a journal of zeros",
        Small,
        (Some(0), "truncated"),
        |case| {
            case.edit_bytes(SMALL, |bytes| bytes.fill(0));
        },
    ),
    unseen(
        "the journal of another log",
        Small,
        (Some(0), "changed"),
        |case| {
            let other = case.other(20);
            fs::copy(other.join(SMALL), case.path(SMALL)).expect("copies");
        },
    ),
    unseen(
        "an entry made a seal",
        Small,
        (Some(3), "checkpoint_changed"),
        |case| {
            edit(case, SMALL, |all| {
                let at = nth(all, 3);
                all[at].0 = b'S';
            });
        },
    ),
    unseen(
        "a record of no known kind",
        Small,
        (Some(3), "changed"),
        |case| {
            edit(case, SMALL, |all| {
                let at = nth(all, 3);
                all[at].0 = b'X';
            });
        },
    ),
    unseen(
        "a seal over other entries than the checkpoint",
        Small,
        (Some(0), "forked"),
        |case| {
            let key = case.signing_key();
            edit(case, SMALL, |all| all.push(seal(&key, 20)));
        },
    ),
    unseen(
        "a seal over more entries than there are",
        Small,
        (Some(20), "removed"),
        |case| {
            let key = case.signing_key();
            edit(case, SMALL, |all| all.push(seal(&key, 21)));
        },
    ),
    unseen(
        "a seal over eighteen quintillions",
        Small,
        (Some(20), "removed"),
        |case| {
            let key = case.signing_key();
            edit(case, SMALL, |all| all.push(seal(&key, u64::MAX)));
        },
    ),
    unseen(
        "a sealed entry",
        Unpublished,
        (Some(20), "changed"),
        |case| {
            edit(case, SMALL, |all| {
                let at = nth(all, 25);
                all[at].1 = entry("forged");
            });
        },
    ),
    unseen(
        "a byte of a sealed entry",
        Unpublished,
        (Some(25), "changed"),
        |case| {
            case.edit_bytes(SMALL, |bytes| {
                let all = records(bytes);
                let at = write(&all[..nth(&all, 25)]).len();
                bytes[at + 30] ^= 1;
            });
        },
    ),
    unseen(
        "a sealed entry removed",
        Unpublished,
        (Some(29), "removed"),
        |case| {
            edit(case, SMALL, |all| drop(all.remove(nth(all, 25))));
        },
    ),
    unseen(
        "sealed entries swapped",
        Unpublished,
        (Some(20), "changed"),
        |case| {
            edit(case, SMALL, |all| {
                let (a, b) = (nth(all, 25), nth(all, 26));
                all.swap(a, b);
            });
        },
    ),
    unseen(
        "an entry inserted before a seal",
        Unpublished,
        (Some(20), "changed"),
        |case| {
            edit(case, SMALL, |all| {
                all.insert(nth(all, 25), (b'E', entry("forged")))
            });
        },
    ),
    unseen(
        "a seal changed",
        Unpublished,
        (Some(10), "checkpoint_changed"),
        |case| {
            edit(case, SMALL, |all| {
                let at = nth(all, 9) + 1;
                assert_eq!(all[at].0, b'S');
                let end = all[at].1.len() - 20;
                all[at].1[end] = if all[at].1[end] == b'A' { b'B' } else { b'A' };
            });
        },
    ),
    unseen(
        "a seal by another key",
        Unpublished,
        (Some(10), "foreign_key"),
        |case| {
            let key = SigningKey::from_seed(case.key.name(), &[7; 32]).expect("a key");
            edit(case, SMALL, |all| {
                let at = nth(all, 9) + 1;
                all[at] = seal(&key, 10);
            });
        },
    ),
    unseen(
        "a seal of another history",
        Unpublished,
        (Some(0), "changed"),
        |case| {
            let key = case.signing_key();
            edit(case, SMALL, |all| {
                let at = nth(all, 9) + 1;
                all[at] = seal(&key, 10);
            });
        },
    ),
    unseen(
        "seals swapped",
        Unpublished,
        (Some(10), "removed"),
        |case| {
            edit(case, SMALL, |all| {
                let seals: Vec<_> = (0..all.len()).filter(|at| all[*at].0 == b'S').collect();
                all.swap(seals[0], seals[1]);
            });
        },
    ),
    unseen(
        "the first segment removed",
        Unpublished,
        (Some(0), "removed"),
        |case| case.remove(SMALL),
    ),
    unseen(
        "segments swapped",
        Unpublished,
        (Some(4), "removed"),
        |case| case.swap(SMALL, SECOND),
    ),
    unseen(
        "a segment under another number",
        Unpublished,
        (Some(256), "removed"),
        |case| {
            fs::rename(case.path(SECOND), case.path("journal/000000000005")).expect("moves");
        },
    ),
    unseen(
        "257 entries in a segment",
        Unpublished,
        (Some(256), "inserted"),
        |case| {
            edit(case, SMALL, |all| all.push((b'E', entry("forged"))));
        },
    ),
    unseen(
        "a waiting bundle that is not the journal's",
        Unpublished,
        (Some(9), "changed"),
        |case| {
            let all = records(&fs::read(case.path(SMALL)).expect("reads"));
            let entries = all.into_iter().filter(|record| record.0 == b'E');
            let mut entries: Vec<_> = entries.map(|record| record.1).collect();
            entries[9] = entry("forged");
            case.write("tile/entries/000", "");
            crate::support::write_bundle(&case.path("tile/entries/000"), &entries);
        },
    ),
    unseen(
        "a left segment that is not what was published",
        Three,
        (Some(2), "changed"),
        |case| {
            let mut all: Vec<Record> = crate::support::bundle(&case.path("tile/entries/000"))
                .into_iter()
                .map(|entry| (b'E', entry))
                .collect();
            all[2].1 = entry("forged");
            case.write(SMALL, write(&all));
        },
    ),
    seen(
        "a link in the place of a segment",
        Small,
        (Some(0), "unreadable"),
        |case| case.link(SMALL),
    ),
    seen(
        "a folder in the place of a segment",
        Small,
        (Some(0), "unreadable"),
        |case| {
            case.remove(SMALL);
            fs::create_dir(case.path(SMALL)).expect("folder");
        },
    ),
    seen(
        "a segment of a terabyte",
        Small,
        (Some(0), "unreadable"),
        |case| {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(case.path(SMALL))
                .expect("opens");
            file.set_len(1 << 40).expect("sparse");
        },
    ),
];

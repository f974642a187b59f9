//! Entries changed, removed, inserted and moved, in bundles.

use crate::Kind;
use crate::case::Base::Three;
use crate::case::entry;
use crate::support::{bundle, write_bundle};
use crate::{seen, unseen};

pub(crate) const FIRST: &str = "tile/entries/000";
pub(crate) const FULL: &str = "tile/entries/001";
pub(crate) const LAST: &str = "tile/entries/002.p/88";

/// Replaces text in an entry.
fn replace(entry: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(entry.clone()).expect("text");
    assert!(text.contains(from), "{text}");
    *entry = text.replacen(from, to, 1).into_bytes();
}

pub(crate) const KINDS: &[Kind] = &[
    unseen(
        "one letter of an entry",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| replace(&mut all[44], "event 300", "event 3OO"));
        },
    ),
    unseen(
        "an entry replaced by another",
        Three,
        (Some(7), "changed"),
        |case| {
            case.edit(FIRST, |all| all[7] = entry("forged"));
        },
    ),
    unseen("the first entry", Three, (Some(0), "changed"), |case| {
        case.edit(FIRST, |all| replace(&mut all[0], "event 0", "event O"));
    }),
    unseen("the last entry", Three, (Some(599), "changed"), |case| {
        case.edit(LAST, |all| replace(&mut all[87], "event 599", "event 5990"));
    }),
    unseen(
        "an entry at the edge of a bundle",
        Three,
        (Some(255), "changed"),
        |case| {
            case.edit(FIRST, |all| replace(&mut all[255], "event", "Event"));
        },
    ),
    unseen(
        "the time of an entry",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| {
                replace(&mut all[44], "\"time\":\"2", "\"time\":\"1")
            });
        },
    ),
    unseen(
        "the version of an entry",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| replace(&mut all[44], "\"v\":2", "\"v\":1"));
        },
    ),
    unseen(
        "the kind of an event",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| {
                replace(&mut all[44], "gate_stop", "session_end")
            });
        },
    ),
    unseen(
        "a space that means nothing",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| replace(&mut all[44], "{", "{ "));
        },
    ),
    unseen(
        "a letter as an escape",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| replace(&mut all[44], "event", "\\u0065vent"));
        },
    ),
    unseen(
        "a member in another place",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| {
                replace(&mut all[44], "\"v\":2,", "");
                replace(&mut all[44], "}}", "},\"v\":2}");
            });
        },
    ),
    unseen("a member twice", Three, (Some(300), "changed"), |case| {
        case.edit(FULL, |all| {
            replace(&mut all[44], "\"v\":2", "\"v\":2,\"v\":2")
        });
    }),
    unseen(
        "a newline after the entry",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| all[44].push(b'\n'));
        },
    ),
    unseen(
        "entries of two bundles",
        Three,
        (Some(7), "changed"),
        |case| {
            case.edit(FIRST, |all| all[7] = entry("forged"));
            case.edit(FULL, |all| all[0] = entry("forged"));
        },
    ),
    unseen(
        "every entry of a bundle",
        Three,
        (Some(256), "changed"),
        |case| {
            case.edit(FULL, |all| all.fill(entry("forged")));
        },
    ),
    unseen(
        "an entry removed, the count kept by a new one",
        Three,
        (Some(300), "removed"),
        |case| {
            case.edit(FULL, |all| {
                all.remove(44);
                all.push(entry("forged"));
            });
        },
    ),
    seen("an entry removed", Three, (Some(300), "removed"), |case| {
        case.edit(FULL, |all| drop(all.remove(44)));
    }),
    seen(
        "the first entry removed",
        Three,
        (Some(0), "removed"),
        |case| {
            case.edit(FIRST, |all| drop(all.remove(0)));
        },
    ),
    seen(
        "the last entry of a bundle removed",
        Three,
        (Some(255), "truncated"),
        |case| {
            case.edit(FIRST, |all| drop(all.pop()));
        },
    ),
    seen(
        "the last entry of the log removed",
        Three,
        (Some(599), "truncated"),
        |case| {
            case.edit(LAST, |all| drop(all.pop()));
        },
    ),
    seen(
        "an entry removed and all later ones moved up",
        Three,
        (Some(100), "removed"),
        |case| {
            let mut all = case.entries();
            all.remove(100);
            write_bundle(&case.path(FIRST), &all[..256]);
            write_bundle(&case.path(FULL), &all[256..512]);
            write_bundle(&case.path(LAST), &all[512..]);
        },
    ),
    unseen(
        "an entry inserted and all later ones moved down",
        Three,
        (Some(100), "inserted"),
        |case| {
            let mut all = case.entries();
            all.insert(100, entry("forged"));
            write_bundle(&case.path(FIRST), &all[..256]);
            write_bundle(&case.path(FULL), &all[256..512]);
            write_bundle(&case.path(LAST), &all[512..]);
        },
    ),
    unseen("neighbours swapped", Three, (Some(257), "moved"), |case| {
        case.edit(FULL, |all| all.swap(1, 2));
    }),
    unseen("entries swapped", Three, (Some(257), "moved"), |case| {
        case.edit(FULL, |all| all.swap(1, 100));
    }),
    unseen(
        "entries of two bundles swapped",
        Three,
        (Some(3), "moved"),
        |case| {
            let mut here = bundle(&case.path(FIRST));
            case.edit(FULL, |there| std::mem::swap(&mut here[3], &mut there[9]));
            write_bundle(&case.path(FIRST), &here);
        },
    ),
    unseen("bundles swapped", Three, (Some(0), "moved"), |case| {
        case.swap(FIRST, FULL)
    }),
    unseen("a bundle backwards", Three, (Some(256), "moved"), |case| {
        case.edit(FULL, |all| all.reverse());
    }),
    unseen(
        "the last entry brought to the front",
        Three,
        (Some(256), "moved"),
        |case| {
            case.edit(FULL, |all| all.rotate_right(1));
        },
    ),
    unseen(
        "an entry inserted at the front",
        Three,
        (Some(0), "inserted"),
        |case| {
            case.edit(FIRST, |all| all.insert(0, entry("forged")));
        },
    ),
    unseen(
        "an entry inserted",
        Three,
        (Some(265), "inserted"),
        |case| {
            case.edit(FULL, |all| all.insert(9, entry("forged")));
        },
    ),
    unseen(
        "an entry inserted after the last of a bundle",
        Three,
        (Some(512), "inserted"),
        |case| {
            case.edit(FULL, |all| all.push(entry("forged")));
        },
    ),
    unseen(
        "an entry added at the end",
        Three,
        (Some(600), "inserted"),
        |case| {
            case.edit(LAST, |all| all.push(entry("forged")));
        },
    ),
    unseen(
        "a copy of an earlier entry inserted",
        Three,
        (Some(265), "inserted"),
        |case| {
            case.edit(FULL, |all| all.insert(9, all[2].clone()));
        },
    ),
    unseen(
        "an entry overwritten by its neighbour",
        Three,
        (Some(276), "removed"),
        |case| {
            case.edit(FULL, |all| all[20] = all[19].clone());
        },
    ),
    unseen(
        "all entries overwritten by one",
        Three,
        (Some(257), "removed"),
        |case| {
            case.edit(FULL, |all| {
                let first = all[0].clone();
                all.fill(first);
            });
        },
    ),
    unseen(
        "two entries made one",
        Three,
        (Some(300), "changed"),
        |case| {
            case.edit(FULL, |all| {
                all[44] = entry("event 300 and 301");
                all[45] = entry("nothing");
            });
        },
    ),
    seen(
        "half of a bundle",
        Three,
        (Some(384), "truncated"),
        |case| {
            case.edit(FULL, |all| all.truncate(128));
        },
    ),
    seen(
        "half of the last bundle",
        Three,
        (Some(562), "truncated"),
        |case| {
            case.edit(LAST, |all| all.truncate(50));
        },
    ),
    seen(
        "a bundle cut inside an entry",
        Three,
        (Some(599), "truncated"),
        |case| {
            case.edit_bytes(LAST, |bytes| bytes.truncate(bytes.len() - 5));
        },
    ),
    seen(
        "a bundle cut inside a length",
        Three,
        (Some(256), "truncated"),
        |case| {
            case.edit_bytes(FULL, |bytes| bytes.truncate(1));
        },
    ),
    seen("an emptied bundle", Three, (Some(0), "truncated"), |case| {
        case.write(FIRST, "")
    }),
    seen(
        "a removed bundle",
        Three,
        (Some(256), "truncated"),
        |case| case.remove(FULL),
    ),
    seen(
        "the removed last bundle",
        Three,
        (Some(512), "truncated"),
        |case| case.remove(LAST),
    ),
    seen(
        "the removed first bundle",
        Three,
        (Some(0), "truncated"),
        |case| case.remove(FIRST),
    ),
    seen(
        "all bundles removed",
        Three,
        (Some(0), "truncated"),
        |case| case.remove("tile/entries"),
    ),
    seen(
        "a byte after the last entry of a bundle",
        Three,
        (Some(512), "inserted"),
        |case| {
            case.edit_bytes(FULL, |bytes| bytes.push(0));
        },
    ),
    seen(
        "a byte after the last entry of the log",
        Three,
        (Some(600), "inserted"),
        |case| {
            case.edit_bytes(LAST, |bytes| bytes.push(0));
        },
    ),
    seen(
        "an empty entry after the last one",
        Three,
        (Some(512), "inserted"),
        |case| {
            case.edit_bytes(FULL, |bytes| bytes.extend([0, 0]));
        },
    ),
    seen(
        "a length prefix one shorter",
        Three,
        (Some(256), "changed"),
        |case| {
            case.edit_bytes(FULL, |bytes| bytes[1] -= 1);
        },
    ),
    seen(
        "the longest length prefix",
        Three,
        (Some(256), "truncated"),
        |case| {
            case.edit_bytes(FULL, |bytes| bytes[..2].fill(0xff));
        },
    ),
    seen("a bundle of zeros", Three, (Some(256), "changed"), |case| {
        case.edit_bytes(FULL, |bytes| bytes.fill(0));
    }),
    seen(
        "the last bundle in the place of another",
        Three,
        (Some(256), "changed"),
        |case| {
            std::fs::copy(case.path(LAST), case.path(FULL)).expect("copies");
        },
    ),
    unseen(
        "a bundle of another log",
        Three,
        (Some(256), "changed"),
        |case| {
            let other = case.other(600);
            std::fs::copy(other.join(FULL), case.path(FULL)).expect("copies");
        },
    ),
    unseen(
        "an entry changed where no journal is",
        Three,
        (Some(520), "changed"),
        |case| {
            case.without_journal();
            case.edit(LAST, |all| all[8] = entry("forged"));
        },
    ),
];

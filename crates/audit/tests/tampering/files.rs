//! Files that are none, are too many, too long or elsewhere.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::Kind;
use crate::bundles::FULL;
use crate::case::Base::{Long, Three};
use crate::case::Case;
use crate::{seen, unseen};

fn pipe(case: &Case, name: &str) {
    case.remove(name);
    let made = Command::new("mkfifo").arg(case.path(name)).status();
    assert!(made.expect("mkfifo of coreutils").success());
}

fn folder(case: &Case, name: &str) {
    case.remove(name);
    fs::create_dir(case.path(name)).expect("folder");
}

fn stretch(case: &Case, name: &str) {
    let file = fs::OpenOptions::new().write(true).open(case.path(name));
    file.expect("opens").set_len(1 << 40).expect("sparse");
}

const STRANGE: (Option<u64>, &str) = (None, "strange");
const UNREADABLE: (Option<u64>, &str) = (Some(256), "unreadable");
const NO_HASHES: (Option<u64>, &str) = (Some(256), "hash_changed");

pub(crate) const KINDS: &[Kind] = &[
    unseen(
        "a link in the place of a bundle",
        Three,
        UNREADABLE,
        |case| case.link(FULL),
    ),
    seen(
        "a dangling link in the place of a bundle",
        Three,
        UNREADABLE,
        |case| {
            case.link(FULL);
            fs::remove_file(case.beside("linked")).expect("removes");
        },
    ),
    seen(
        "a folder in the place of a bundle",
        Three,
        UNREADABLE,
        |case| folder(case, FULL),
    ),
    seen(
        "a pipe in the place of a bundle",
        Three,
        UNREADABLE,
        |case| pipe(case, FULL),
    ),
    seen(
        "a device in the place of a bundle",
        Three,
        UNREADABLE,
        |case| {
            case.remove(FULL);
            std::os::unix::fs::symlink("/dev/zero", case.path(FULL)).expect("links");
        },
    ),
    seen("a bundle of a terabyte", Three, UNREADABLE, |case| {
        stretch(case, FULL)
    }),
    unseen(
        "a link in the place of a leaf tile",
        Three,
        NO_HASHES,
        |case| case.link("tile/0/001"),
    ),
    unseen(
        "a folder in the place of a leaf tile",
        Three,
        NO_HASHES,
        |case| {
            folder(case, "tile/0/001");
        },
    ),
    unseen(
        "a pipe in the place of a leaf tile",
        Three,
        NO_HASHES,
        |case| pipe(case, "tile/0/001"),
    ),
    unseen("a leaf tile of a terabyte", Three, NO_HASHES, |case| {
        stretch(case, "tile/0/001")
    }),
    unseen(
        "a link in the place of a tile of level 1",
        Long,
        (Some(0), "hash_changed"),
        |case| {
            case.link("tile/1/000");
        },
    ),
    unseen(
        "a link in the place of the partial tile of level 1",
        Three,
        (Some(0), "hash_changed"),
        |case| {
            case.link("tile/1/000.p/2");
        },
    ),
    unseen(
        "a link in the place of the checkpoint",
        Three,
        (None, "checkpoint_changed"),
        |case| {
            case.link("checkpoint");
        },
    ),
    seen(
        "a folder in the place of the checkpoint",
        Three,
        (None, "checkpoint_changed"),
        |case| {
            folder(case, "checkpoint");
        },
    ),
    seen(
        "a checkpoint of a terabyte",
        Three,
        (None, "checkpoint_changed"),
        |case| {
            stretch(case, "checkpoint");
        },
    ),
    unseen(
        "a link in the place of the key",
        Three,
        (None, "foreign_key"),
        |case| {
            case.link("verifier.key");
        },
    ),
    unseen("a link in the place of the tiles", Three, STRANGE, |case| {
        case.link("tile")
    }),
    unseen(
        "a link in the place of the bundles",
        Three,
        STRANGE,
        |case| case.link("tile/entries"),
    ),
    unseen(
        "a link in the place of the journal",
        Three,
        STRANGE,
        |case| case.link("journal"),
    ),
    unseen(
        "a folder in the place of the lock",
        Three,
        STRANGE,
        |case| folder(case, "lock"),
    ),
    unseen("a link in the place of the lock", Three, STRANGE, |case| {
        case.link("lock")
    }),
    unseen(
        "a copy of a bundle under another name",
        Three,
        STRANGE,
        |case| {
            fs::copy(case.path(FULL), case.path("tile/entries/001.bak")).expect("copies");
        },
    ),
    unseen("a bundle under a short name", Three, STRANGE, |case| {
        fs::copy(case.path(FULL), case.path("tile/entries/1")).expect("copies");
    }),
    unseen(
        "a bundle under a name of too many groups",
        Three,
        STRANGE,
        |case| {
            case.write("tile/entries/x000/001", "");
        },
    ),
    unseen("a partial tile wider than any", Three, STRANGE, |case| {
        case.write("tile/0/001.p/257", "");
    }),
    unseen("a partial tile of no width", Three, STRANGE, |case| {
        case.write("tile/0/001.p/0", "")
    }),
    unseen("a tile of a level above all", Three, STRANGE, |case| {
        case.write("tile/64/000", "")
    }),
    unseen("a hidden file among the tiles", Three, STRANGE, |case| {
        case.write("tile/0/.001", "")
    }),
    unseen("a file whose name is no text", Three, STRANGE, |case| {
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe");
        fs::write(case.path("tile").join(name), "").expect("writes");
    }),
    unseen(
        "a file deep inside folders of no tile",
        Three,
        STRANGE,
        |case| {
            case.write("tile/0/a/b/c/d/e/f/g", "");
        },
    ),
    unseen("a strange file in the journal", Three, STRANGE, |case| {
        case.write("journal/notes", "")
    }),
    unseen("a segment under a short number", Three, STRANGE, |case| {
        case.write("journal/2", "")
    }),
    unseen("a folder in the journal", Three, STRANGE, |case| {
        case.write("journal/old/000000000000", "")
    }),
    unseen(
        "a tile of index eighteen quintillions",
        Three,
        (Some(600), "rolled_back"),
        |case| {
            case.write("tile/0/x018/x446/x744/x073/x709/x551/615", [7; 8192]);
        },
    ),
];

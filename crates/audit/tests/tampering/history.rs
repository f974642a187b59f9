//! Whole logs: put back, forked, under another key.

use std::fs;

use bailiwick_audit::{Checkpoint, Options, Subject};
use bailiwick_tlog::leaf_hash;

use crate::Kind;
use crate::case::Base::{Small, Three};
use crate::case::{Case, entry};
use crate::support::{copy, event};
use crate::unseen;

/// Puts the log back to what it was at this size.
fn put_back(case: &Case, size: u64) {
    fs::remove_dir_all(case.log()).expect("removes");
    copy(&case.beside(&format!("at-{size}")), &case.log());
}

/// Appends entries as the gate would.
fn go_on(case: &Case, count: usize) {
    let log = bailiwick_audit::Log::open(&case.log(), Options::default()).expect("opens");
    for index in 0..count {
        log.append(&Subject::default(), &event(90_000 + index))
            .expect("appends");
    }
    log.close().expect("closes");
}

/// Keeps a checkpoint that the key signed over something else.
fn keep_other(case: &mut Case, size: u64) {
    let checkpoint = Checkpoint {
        origin: case.key.name().to_owned(),
        size,
        root: leaf_hash(b"another history"),
    };
    case.kept.push((format!("another at {size}"), checkpoint));
}

const FOREIGN: (Option<u64>, &str) = (None, "foreign_key");

pub(crate) const KINDS: &[Kind] = &[
    unseen(
        "the whole log put back, the last checkpoint kept",
        Three,
        (Some(300), "rolled_back"),
        |case| {
            case.keep(600);
            put_back(case, 300);
        },
    ),
    unseen(
        "the whole log put back far, an older checkpoint kept",
        Three,
        (Some(100), "rolled_back"),
        |case| {
            case.keep(300);
            put_back(case, 100);
        },
    ),
    unseen(
        "the log put back and continued",
        Three,
        (Some(0), "forked"),
        |case| {
            case.keep(300);
            put_back(case, 100);
            go_on(case, 400);
        },
    ),
    unseen(
        "the log put back and continued, two checkpoints kept",
        Three,
        (Some(100), "forked"),
        |case| {
            case.keep(100);
            case.keep(300);
            case.keep(600);
            put_back(case, 100);
            go_on(case, 600);
        },
    ),
    unseen(
        "the log put back and continued to the same size",
        Three,
        (Some(300), "forked"),
        |case| {
            case.keep(300);
            case.keep(600);
            put_back(case, 300);
            go_on(case, 300);
        },
    ),
    unseen(
        "the log put back and continued, but less far",
        Three,
        (Some(400), "rolled_back"),
        |case| {
            case.keep(600);
            put_back(case, 300);
            go_on(case, 100);
        },
    ),
    unseen(
        "a checkpoint of another history kept",
        Three,
        (Some(0), "forked"),
        |case| {
            keep_other(case, 256);
        },
    ),
    unseen(
        "a checkpoint of another history, inside the last bundle",
        Three,
        (Some(300), "forked"),
        |case| {
            case.keep(300);
            keep_other(case, 599);
        },
    ),
    unseen(
        "a checkpoint of another history, over one entry",
        Three,
        (Some(0), "forked"),
        |case| {
            keep_other(case, 1);
        },
    ),
    unseen(
        "a checkpoint over nothing that has a root",
        Three,
        (Some(0), "forked"),
        |case| {
            keep_other(case, 0);
        },
    ),
    unseen(
        "two kept checkpoints of one size",
        Three,
        (None, "forked"),
        |case| {
            case.keep(300);
            keep_other(case, 300);
        },
    ),
    unseen(
        "two kept checkpoints of one size the log has not reached",
        Small,
        (None, "forked"),
        |case| {
            keep_other(case, 5000);
            let other = Checkpoint {
                root: leaf_hash(b"a third history"),
                ..case.kept[0].1.clone()
            };
            case.kept.push(("a third".to_owned(), other));
        },
    ),
    unseen(
        "a kept checkpoint of eighteen quintillions",
        Three,
        (Some(600), "rolled_back"),
        |case| {
            keep_other(case, u64::MAX);
        },
    ),
    unseen("a kept checkpoint of another log", Three, FOREIGN, |case| {
        let mut checkpoint = Checkpoint {
            origin: "another.example/log".to_owned(),
            size: 3,
            root: leaf_hash(b"x"),
        };
        checkpoint.size = 300;
        case.kept.push(("another".to_owned(), checkpoint));
    }),
    unseen("a whole foreign log in its place", Three, FOREIGN, |case| {
        let other = case.other(600);
        fs::remove_dir_all(case.log()).expect("removes");
        copy(&other, &case.log());
    }),
    unseen(
        "the log signed anew with another key",
        Three,
        FOREIGN,
        |case| {
            let entries = case.entries();
            let other = case.other(1);
            fs::remove_dir_all(case.log()).expect("removes");
            copy(&other, &case.log());
            case.rewrite(&entries);
        },
    ),
    unseen(
        "the log forged and signed with another key",
        Three,
        FOREIGN,
        |case| {
            let mut entries = case.entries();
            entries[300] = entry("forged");
            let other = case.other(1);
            fs::remove_dir_all(case.log()).expect("removes");
            copy(&other, &case.log());
            case.rewrite(&entries);
        },
    ),
    unseen("another key beside the log", Three, FOREIGN, |case| {
        let other = case.other(1);
        fs::copy(other.join("verifier.key"), case.path("verifier.key")).expect("copies");
    }),
    unseen("no key in the key's file", Three, FOREIGN, |case| {
        case.write("verifier.key", "key")
    }),
    unseen(
        "the key's file with one letter changed",
        Three,
        FOREIGN,
        |case| {
            case.edit_text("verifier.key", |key| {
                let (start, end) = key.trim_end().split_at(key.trim_end().len() - 6);
                let other = if end.starts_with('A') { "B" } else { "A" };
                format!("{start}{other}{}\n", &end[1..])
            });
        },
    ),
];

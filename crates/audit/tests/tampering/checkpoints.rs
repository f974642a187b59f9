//! The published checkpoint.

use bailiwick_tlog::{CompactRange, SigningKey, leaf_hash};

use crate::Kind;
use crate::case::Base::{Small, Three};
use crate::case::{Case, sign};
use crate::{seen, unseen};

const NOTE: &str = "checkpoint";

/// Replaces one line of the note, counted from 0.
fn line(case: &Case, number: usize, edit: impl FnOnce(&str) -> String) {
    case.edit_text(NOTE, |note| {
        let mut lines: Vec<_> = note.lines().map(str::to_owned).collect();
        lines[number] = edit(&lines[number]);
        format!("{}\n", lines.join("\n"))
    });
}

/// Another key of the same name, as a thief would make one.
fn namesake(case: &Case) -> SigningKey {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("random");
    SigningKey::from_seed(case.key.name(), &seed).expect("a key")
}

const CHANGED: (Option<u64>, &str) = (None, "checkpoint_changed");
const FOREIGN: (Option<u64>, &str) = (None, "foreign_key");

pub(crate) const KINDS: &[Kind] = &[
    seen(
        "a removed checkpoint",
        Three,
        (None, "checkpoint_missing"),
        |case| case.remove(NOTE),
    ),
    seen("an emptied checkpoint", Three, CHANGED, |case| {
        case.write(NOTE, "")
    }),
    seen("a checkpoint that is no note", Three, CHANGED, |case| {
        case.write(NOTE, "x")
    }),
    seen("a checkpoint that is no text", Three, CHANGED, |case| {
        case.write(NOTE, [0xff; 200])
    }),
    seen("a smaller size", Three, CHANGED, |case| {
        line(case, 1, |_| "599".to_owned())
    }),
    seen("a larger size", Three, CHANGED, |case| {
        line(case, 1, |_| "601".to_owned())
    }),
    seen("a size of eighteen quintillions", Three, CHANGED, |case| {
        line(case, 1, |_| u64::MAX.to_string());
    }),
    seen("a size above all u64", Three, CHANGED, |case| {
        line(case, 1, |_| "18446744073709551616".to_owned());
    }),
    seen("a negative size", Three, CHANGED, |case| {
        line(case, 1, |_| "-1".to_owned())
    }),
    unseen("a size written otherwise", Three, CHANGED, |case| {
        line(case, 1, |size| format!("0{size}"))
    }),
    unseen("another root", Three, CHANGED, |case| {
        line(case, 2, |_| leaf_hash(b"forged").to_string());
    }),
    unseen(
        "another name of the log in the text",
        Three,
        CHANGED,
        |case| {
            line(case, 0, |name| format!("{name}x"));
        },
    ),
    unseen("one letter of the signature", Three, CHANGED, |case| {
        line(case, 4, |line| {
            let (start, end) = line.split_at(line.len() - 10);
            let other = if end.starts_with('A') { "B" } else { "A" };
            format!("{start}{other}{}", &end[1..])
        });
    }),
    unseen("a signature cut short", Three, CHANGED, |case| {
        line(case, 4, |line| line[..line.len() - 8].to_owned());
    }),
    unseen("no signature", Three, CHANGED, |case| {
        case.edit_text(NOTE, |note| note.split_inclusive('\n').take(4).collect());
    }),
    unseen("a line added under the signature", Three, CHANGED, |case| {
        line(case, 2, |root| format!("{root}\nextension"));
    }),
    unseen("line ends of another system", Three, CHANGED, |case| {
        case.edit_text(NOTE, |note| note.replace('\n', "\r\n"));
    }),
    unseen("text after the signature", Three, CHANGED, |case| {
        case.edit_text(NOTE, |note| format!("{note}and more\n"));
    }),
    unseen("a byte order mark before it", Three, CHANGED, |case| {
        case.edit_text(NOTE, |note| format!("\u{feff}{note}"));
    }),
    unseen(
        "signed by a stranger of the same name",
        Three,
        FOREIGN,
        |case| {
            let note = std::fs::read_to_string(case.path(NOTE)).expect("reads");
            let checkpoint = bailiwick_audit::Checkpoint::open(&note, &case.key).expect("signed");
            sign(
                &case.log(),
                &namesake(case),
                checkpoint.size,
                checkpoint.root,
            );
        },
    ),
    unseen(
        "the signature of another log's key",
        Three,
        FOREIGN,
        |case| {
            let other = case.other(600);
            std::fs::copy(other.join(NOTE), case.path(NOTE)).expect("copies");
        },
    ),
    unseen("the signature's key id only", Three, FOREIGN, |case| {
        line(case, 4, |line| {
            let (head, encoded) = line.rsplit_once(' ').expect("a signature");
            format!("{head} AAAA{}", &encoded[4..])
        });
    }),
    unseen(
        "the text of now with the signature of then",
        Three,
        CHANGED,
        |case| {
            let then = std::fs::read_to_string(case.beside("checkpoint-300")).expect("reads");
            let signature = then.lines().last().expect("signed").to_owned();
            line(case, 4, |_| signature);
        },
    ),
    seen("a checkpoint of 300 KB", Three, CHANGED, |case| {
        case.edit_text(NOTE, |note| format!("{note}{}", "— a b\n".repeat(50_000)));
    }),
    unseen(
        "the checkpoint of 300 entries put back",
        Three,
        (Some(300), "rolled_back"),
        |case| {
            // Its partial tiles are gone since the writer went on; a naive reader takes the full ones instead.
            std::fs::copy(case.beside("checkpoint-300"), case.path(NOTE)).expect("copies");
        },
    ),
    unseen(
        "the first checkpoint put back, over nothing",
        Small,
        (Some(0), "rolled_back"),
        |case| {
            let empty = CompactRange::default().root();
            sign(&case.log(), &case.signing_key(), 0, empty);
            // With its journal it would be the log as it was before it was published, and whole.
            case.remove("journal");
        },
    ),
];

//! What needs the log's own key: rewriting history, which a kept checkpoint contradicts, and signing what is no log.

use bailiwick_tlog::leaf_hash;

use crate::Kind;
use crate::case::Base::{Small, Three};
use crate::case::{Case, entry, sign, write_log};
use crate::{seen, unseen};

/// Signs these bytes as entry 17 of the log.
fn sign_as_17(case: &Case, bytes: Vec<u8>) {
    let mut entries: Vec<_> = (0..20)
        .map(|index| entry(&format!("event {index}")))
        .collect();
    entries[17] = bytes;
    case.rewrite(&entries);
}

fn text(from: &str, to: &str) -> Vec<u8> {
    let good = String::from_utf8(entry("x")).expect("text");
    assert!(good.contains(from), "{good}");
    good.replacen(from, to, 1).into_bytes()
}

const MALFORMED: (Option<u64>, &str) = (Some(17), "malformed");

pub(crate) const KINDS: &[Kind] = &[
    unseen(
        "an entry rewritten by the owner of the key",
        Three,
        (Some(0), "forked"),
        |case| {
            case.keep(600);
            let mut entries = case.entries();
            entries[300] = entry("forged");
            case.rewrite(&entries);
        },
    ),
    unseen(
        "an entry rewritten after an older checkpoint",
        Three,
        (Some(300), "forked"),
        |case| {
            case.keep(100);
            case.keep(300);
            case.keep(600);
            let mut entries = case.entries();
            entries[450] = entry("forged");
            case.rewrite(&entries);
        },
    ),
    unseen(
        "an entry left out by the owner of the key",
        Three,
        (Some(100), "forked"),
        |case| {
            case.keep(100);
            case.keep(300);
            let mut entries = case.entries();
            entries.remove(200);
            case.rewrite(&entries);
        },
    ),
    unseen(
        "an entry slipped in by the owner of the key",
        Three,
        (Some(100), "forked"),
        |case| {
            case.keep(100);
            case.keep(300);
            let mut entries = case.entries();
            entries.insert(200, entry("forged"));
            case.rewrite(&entries);
        },
    ),
    unseen(
        "entries put in another order by the owner of the key",
        Three,
        (Some(100), "forked"),
        |case| {
            case.keep(100);
            case.keep(300);
            let mut entries = case.entries();
            entries.swap(200, 201);
            case.rewrite(&entries);
        },
    ),
    unseen(
        "a short log signed by the owner of the key",
        Three,
        (Some(200), "rolled_back"),
        |case| {
            case.keep(300);
            let entries = case.entries();
            case.rewrite(&entries[..200]);
        },
    ),
    unseen(
        "a new log begun under the same key",
        Three,
        (Some(1), "rolled_back"),
        |case| {
            case.keep(100);
            case.rewrite(&[entry("as if nothing had been")]);
        },
    ),
    unseen(
        "an empty log under the same key",
        Three,
        (Some(0), "rolled_back"),
        |case| {
            case.keep(100);
            case.rewrite(&[]);
        },
    ),
    unseen(
        "another history of the same length",
        Three,
        (Some(0), "forked"),
        |case| {
            case.keep(100);
            let entries: Vec<_> = (0..600)
                .map(|index| entry(&format!("another {index}")))
                .collect();
            case.rewrite(&entries);
        },
    ),
    unseen(
        "a root signed over other entries",
        Three,
        (None, "rewritten"),
        |case| {
            sign(
                &case.log(),
                &case.signing_key(),
                600,
                leaf_hash(b"another history"),
            );
        },
    ),
    seen(
        "a size signed that the log has not",
        Small,
        (Some(0), "truncated"),
        |case| {
            sign(
                &case.log(),
                &case.signing_key(),
                21,
                leaf_hash(b"another history"),
            );
        },
    ),
    seen(
        "a size of eighteen quintillions, signed",
        Three,
        (Some(512), "truncated"),
        |case| {
            sign(
                &case.log(),
                &case.signing_key(),
                u64::MAX,
                leaf_hash(b"another history"),
            );
        },
    ),
    seen(
        "a size of half of that, signed",
        Three,
        (Some(512), "truncated"),
        |case| {
            sign(
                &case.log(),
                &case.signing_key(),
                1 << 63,
                leaf_hash(b"another history"),
            );
        },
    ),
    seen(
        "a size at the edge of a bundle, signed",
        Three,
        (Some(512), "truncated"),
        |case| {
            sign(
                &case.log(),
                &case.signing_key(),
                768,
                leaf_hash(b"another history"),
            );
        },
    ),
    seen("an entry that is no JSON", Small, MALFORMED, |case| {
        sign_as_17(case, b"not JSON".to_vec());
    }),
    seen("an empty entry", Small, MALFORMED, |case| {
        sign_as_17(case, Vec::new())
    }),
    seen("an entry that is no text", Small, MALFORMED, |case| {
        sign_as_17(case, vec![0xff; 40])
    }),
    seen("two entries in one", Small, MALFORMED, |case| {
        sign_as_17(case, [entry("a"), entry("b")].concat());
    }),
    unseen(
        "an entry of a version that nobody writes yet",
        Small,
        MALFORMED,
        |case| {
            sign_as_17(case, text("\"v\":1", "\"v\":999"));
        },
    ),
    unseen("an entry of no version", Small, MALFORMED, |case| {
        sign_as_17(case, text("\"v\":1,", ""))
    }),
    unseen("an entry of no time", Small, MALFORMED, |case| {
        sign_as_17(case, text("2026-11-23T10:00:00.000Z", "noon"));
    }),
    unseen("an entry of no known kind", Small, MALFORMED, |case| {
        sign_as_17(case, text("gate_stop", "gate_magic"));
    }),
    unseen(
        "an entry with its version twice",
        Small,
        MALFORMED,
        |case| {
            sign_as_17(case, text("\"v\":1", "\"v\":1,\"v\":1"));
        },
    ),
    unseen("JSON that is no entry", Small, MALFORMED, |case| {
        sign_as_17(case, b"[1,2]".to_vec())
    }),
    seen(
        "a signed log of no entries at all",
        Small,
        (Some(0), "malformed"),
        |case| {
            let key = case.signing_key();
            case.remove("journal");
            case.remove("tile");
            write_log(&case.log(), &key, &vec![b"x".to_vec(); 300]);
        },
    ),
];

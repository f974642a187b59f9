//! The search that rules entries out by their bytes finds what the one finds that parses every entry.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers stop the test"
)]

#[path = "support/byhand.rs"]
mod byhand;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bailiwick_audit::{Filter, Narrow, Search, Sight, merge, query, search};
use byhand::{filter, put, write_log};
use proptest::prelude::*;

/// The indices that the reference finds, and those of what cannot be read.
fn reference(dir: &Path, filter: &Filter) -> (Vec<u64>, usize) {
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for stored in query(dir, filter.clone()) {
        match stored {
            Ok(stored) => found.push(stored.index),
            Err(_) => unreadable += 1,
        }
    }
    (found, unreadable)
}

fn searched(dir: &Path, wanted: &Search) -> (Vec<u64>, usize) {
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for sight in search(dir, wanted, None).expect("searches") {
        match sight {
            Sight::Entry { stored, .. } => found.push(stored.index),
            Sight::Unreadable { .. } => unreadable += 1,
            Sight::Gap { from, to, why } => panic!("{from} to {to}: {why}"),
        }
    }
    (found, unreadable)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_the_reference_finds(seed: u64, bundles in 0_u64..12, rest in 0_u64..256) {
        let dir = tempfile::tempdir().expect("folder");
        write_log(dir.path(), seed, bundles, rest, true);
        for number in 0..16 {
            let filter = filter(seed ^ number);
            let mut expected = reference(dir.path(), &filter);
            let mut wanted = Search { filter, newest_first: false };
            prop_assert_eq!(&searched(dir.path(), &wanted), &expected, "{:?}", wanted);
            wanted.newest_first = true;
            expected.0.reverse();
            prop_assert_eq!(&searched(dir.path(), &wanted), &expected, "{:?}", wanted);
        }
    }
}

#[test]
fn a_limit_ends_a_search_and_counts_entries_alone() {
    let dir = tempfile::tempdir().expect("folder");
    write_log(dir.path(), 7, 20, 9, true);
    let all = Search::default();
    let (found, unreadable) = searched(dir.path(), &all);
    assert!(unreadable > 0);
    for (limit, newest_first) in [(0, false), (1, false), (300, false), (1, true), (300, true)] {
        let filter = Filter {
            limit: Some(limit),
            ..Filter::default()
        };
        let (some, _) = searched(
            dir.path(),
            &Search {
                filter,
                newest_first,
            },
        );
        let mut expected = found.clone();
        if newest_first {
            expected.reverse();
        }
        expected.truncate(limit);
        assert_eq!(some, expected);
    }
}

#[test]
fn what_cannot_be_read_is_shown_whatever_is_searched_for() {
    let dir = tempfile::tempdir().expect("folder");
    write_log(dir.path(), 3, 30, 50, true);
    let filter = Filter {
        plugin: Some("nobody".into()),
        ..Filter::default()
    };
    let (found, unreadable) = searched(
        dir.path(),
        &Search {
            filter,
            newest_first: false,
        },
    );
    assert!(found.is_empty() && unreadable > 5, "{unreadable}");
}

fn gaps(dir: &Path) -> Vec<(u64, u64)> {
    let filter = Filter {
        plugin: Some("nobody".into()),
        ..Filter::default()
    };
    let hits = search(
        dir,
        &Search {
            filter,
            newest_first: false,
        },
        None,
    )
    .expect("searches");
    hits.filter_map(|sight| match sight {
        Sight::Gap { from, to, .. } => Some((from, to)),
        _ => None,
    })
    .collect()
}

#[test]
fn entries_that_are_missing_or_damaged_are_told_of() {
    let dir = tempfile::tempdir().expect("folder");
    write_log(dir.path(), 3, 20, 50, false);
    assert_eq!(gaps(dir.path()), []);
    let bundle = |number: u64| dir.path().join(format!("tile/entries/{number:03}"));
    let bytes = std::fs::read(bundle(4)).expect("a bundle");

    std::fs::remove_file(bundle(0)).expect("removes");
    std::fs::remove_file(bundle(1)).expect("removes");
    std::fs::write(bundle(4), &bytes[..bytes.len() - 1]).expect("writes");
    std::fs::write(
        bundle(6),
        &bytes[..2 + usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))],
    )
    .expect("writes");
    std::fs::write(dir.path().join("private/000000000008"), b"nonsense").expect("writes");
    std::fs::remove_dir_all(dir.path().join("tile/entries/020.p")).expect("removes");
    let found = gaps(dir.path());
    let whole = |number: u64| (number * 256, number * 256 + 255);
    for expected in [(0, 511), whole(4), (6 * 256 + 1, 6 * 256 + 255), whole(20)] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    // Openings are read where they may matter.
    let filter = Filter {
        user: Some("ann".into()),
        ..Filter::default()
    };
    let hits = search(
        dir.path(),
        &Search {
            filter,
            newest_first: false,
        },
        None,
    )
    .expect("searches");
    let told =
        hits.filter(|sight| matches!(sight, Sight::Gap { why, .. } if why.contains("sealed")));
    assert!(told.count() <= 1);
}

/// Spares every bundle but some.
struct Only(BTreeSet<u64>);

impl Narrow for Only {
    fn may_hold(&self, bundle: u64) -> bool {
        self.0.contains(&bundle)
    }
}

#[test]
fn bundles_that_an_index_spares_are_not_read() {
    let dir = tempfile::tempdir().expect("folder");
    write_log(dir.path(), 3, 20, 0, false);
    put(dir.path(), "tile/entries/005", b"damaged");
    let only = Arc::new(Only(BTreeSet::from([2, 19])));
    let hits = search(dir.path(), &Search::default(), Some(only)).expect("searches");
    let bundles: BTreeSet<u64> = hits.map(|sight| sight.index() / 256).collect();
    assert_eq!(bundles, BTreeSet::from([2, 19]));
}

#[test]
fn several_logs_come_in_the_order_of_time() {
    let dirs = [1, 2, 3].map(|seed| {
        let dir = tempfile::tempdir().expect("folder");
        write_log(dir.path(), seed, 2, 40, false);
        dir
    });
    for newest_first in [false, true] {
        let wanted = Search {
            newest_first,
            ..Search::default()
        };
        let hits = |dir: &tempfile::TempDir| search(dir.path(), &wanted, None).expect("searches");
        let merged = merge(dirs.iter().map(hits).collect(), newest_first, None);
        let times: Vec<String> = merged.map(|(_, sight)| sight.time().to_owned()).collect();
        assert_eq!(times.len(), 3 * (512 + 40));
        assert!(times.windows(2).all(|pair| if newest_first {
            pair[0] >= pair[1]
        } else {
            pair[0] <= pair[1]
        }));
        let merged = merge(dirs.iter().map(hits).collect(), newest_first, Some(5));
        assert_eq!(merged.count(), 5);
    }
}

//! More than a hundred kinds of tampering, a row each: how it is done to the files of a real log, and what verification
//! must name first.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test helpers stop the test"
)]

mod bundles;
mod case;
mod checkpoints;
mod files;
mod history;
mod journal;
mod owner;
mod private;
#[path = "../support/mod.rs"]
mod support;
mod tiles;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use case::{Base, Case};

/// One kind of tampering.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The log that it is done to.
    pub(crate) base: Base,
    pub(crate) how: fn(&mut Case),
    /// The first entry and the tampering that must be named.
    pub(crate) says: (Option<u64>, &'static str),
    /// A reader that verifies nothing is content with the result.
    pub(crate) unseen: bool,
}

/// A row that a reader who verifies nothing does not see.
pub(crate) const fn unseen(
    name: &'static str,
    base: Base,
    says: (Option<u64>, &'static str),
    how: fn(&mut Case),
) -> Kind {
    Kind {
        name,
        base,
        how,
        says,
        unseen: true,
    }
}

/// A row that any reader may stumble over.
pub(crate) const fn seen(
    name: &'static str,
    base: Base,
    says: (Option<u64>, &'static str),
    how: fn(&mut Case),
) -> Kind {
    Kind {
        name,
        base,
        how,
        says,
        unseen: false,
    }
}

fn all() -> impl Iterator<Item = &'static Kind> {
    [
        bundles::KINDS,
        tiles::KINDS,
        checkpoints::KINDS,
        journal::KINDS,
        history::KINDS,
        owner::KINDS,
        files::KINDS,
        private::KINDS,
    ]
    .into_iter()
    .flatten()
}

/// Runs the rows and names those that are not found as they should be.
fn run(kinds: &[Kind]) {
    let mut wrong = Vec::new();
    for kind in kinds {
        let found = catch_unwind(AssertUnwindSafe(|| one(kind)));
        let why = match found {
            Ok(None) => continue,
            Ok(Some(why)) => why,
            Err(panic) => match panic.downcast::<String>() {
                Ok(text) => *text,
                Err(_) => "it panicked".to_owned(),
            },
        };
        wrong.push(format!("{}: {why}", kind.name));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What is wrong with the answer, if anything is.
fn one(kind: &Kind) -> Option<String> {
    let mut case = Case::of(kind.base);
    case.verify().expect("the log holds before");
    (kind.how)(&mut case);
    if kind.unseen && !case.reads() {
        return Some("a reader that verifies nothing should be content".to_owned());
    }
    let report = match case.verify() {
        Ok(verified) => return Some(format!("it was not found: {verified:?}")),
        Err(report) => report,
    };
    let first = &report.findings[0];
    let said = (first.index, first.tampering.as_str());
    (said != kind.says).then(|| format!("{:?} expected, and: {report}", kind.says))
}

#[test]
fn there_are_more_than_a_hundred_kinds_each_with_a_name_of_its_own() {
    let names: Vec<_> = all().map(|kind| kind.name).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "a name is there twice");
    assert!(names.len() >= 150, "only {}", names.len());
    let unseen = all().filter(|kind| kind.unseen).count();
    assert!(
        unseen >= 60,
        "only {unseen} of which a naive reader sees nothing"
    );
    // Every kind of verdict is reached by some row.
    let verdicts: BTreeSet<_> = all().map(|kind| kind.says.1).collect();
    for verdict in [
        "changed",
        "removed",
        "inserted",
        "moved",
        "truncated",
        "hash_changed",
        "checkpoint_missing",
        "checkpoint_changed",
        "foreign_key",
        "rolled_back",
        "rewritten",
        "forked",
        "malformed",
        "opening_changed",
        "strange",
        "unreadable",
    ] {
        assert!(verdicts.contains(verdict), "{verdict}");
    }
}

#[test]
fn t_entries_and_bundles() {
    run(bundles::KINDS);
}

#[test]
fn t_hash_tiles_of_each_level() {
    run(tiles::KINDS);
}

#[test]
fn t_checkpoints() {
    run(checkpoints::KINDS);
}

#[test]
fn t_journal_and_seals() {
    run(journal::KINDS);
}

#[test]
fn t_forks_rollbacks_and_foreign_keys() {
    run(history::KINDS);
}

#[test]
fn t_what_only_the_owner_of_the_key_can_do() {
    run(owner::KINDS);
}

#[test]
fn t_names_links_and_sizes_of_files() {
    run(files::KINDS);
}

#[test]
fn t_openings_and_archives() {
    run(private::KINDS);
}

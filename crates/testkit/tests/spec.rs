//! SPECIFICATION.md promises only what something holds: every test and benchmark that it names exists.
#![expect(clippy::unwrap_used, reason = "helpers of tests may end the test")]

use std::collections::BTreeSet;
use std::path::Path;

use bailiwick_testkit::repository;

fn rust_files(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The names of all functions that are tests: they follow `#[test]` or the like, or stand inside `proptest!`.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    rust_files(&repository().join("crates"), &mut files);
    let mut names = BTreeSet::new();
    for text in files {
        let mut armed = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with('#') || line.starts_with("//") {
                armed |= ["#[test]", "#[tokio::test"]
                    .iter()
                    .any(|mark| line.starts_with(mark));
                continue;
            }
            let name = line
                .strip_prefix("async fn ")
                .or_else(|| line.strip_prefix("fn "));
            let name = name.and_then(|rest| rest.split('(').next());
            names.extend(name.filter(|_| armed).map(str::to_owned));
            armed = false;
        }
    }
    assert!(names.len() > 300, "only {} tests are found", names.len());
    names
}

/// The groups of `cargo xtask bench`.
fn benchmarks() -> BTreeSet<String> {
    let rows = repository().join("crates/bench/src/rows.rs");
    let text = std::fs::read_to_string(rows).unwrap();
    let names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
    names.map(str::to_owned).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn holds(name: &str, tests: &BTreeSet<String>) -> bool {
    match name.strip_suffix('*') {
        Some(start) => tests.iter().any(|test| test.starts_with(start)),
        None => tests.contains(name),
    }
}

#[test]
fn every_name_in_the_specification_exists() {
    let text = std::fs::read_to_string(repository().join("SPECIFICATION.md")).unwrap();
    let (tests, benchmarks) = (tests(), benchmarks());
    let mut numbers = Vec::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| P")) {
        let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").collect();
        let &[number, promise, held] = cells.as_slice() else {
            panic!("`| P7 | promise | held by |`, not `| P{row}`");
        };
        numbers.push(number.trim().parse::<usize>().unwrap());
        assert!(!promise.trim().is_empty(), "P{number} promises nothing");
        let (before, rest) = held.split_once("*pending (").unwrap_or((held, ""));
        let (why, after) = rest.split_once(")*").unwrap_or_default();
        let mut count = 0;
        for name in quoted(before).chain(quoted(after)) {
            count += 1;
            let exists = match name.strip_prefix("bench ") {
                Some(group) => benchmarks.contains(group),
                None => holds(name, &tests),
            };
            assert!(
                exists,
                "P{number} is held by `{name}`, which does not exist"
            );
        }
        assert!(
            count > 0 || why.contains("issue"),
            "P{number} is held by nothing: name a test, or write *pending (issue: what)*"
        );
    }
    assert_eq!(
        numbers,
        (1..=numbers.len()).collect::<Vec<_>>(),
        "promises are numbered from 1, in order"
    );
    assert!(numbers.len() > 40);
}

#[test]
fn names_are_looked_up_whole_or_by_their_beginning() {
    let tests = BTreeSet::from(["l2_nothing".to_owned(), "it_holds".to_owned()]);
    assert!(holds("it_holds", &tests) && holds("l2_*", &tests));
    assert!(!holds("it_hold", &tests) && !holds("l20_*", &tests));
    assert_eq!(quoted("`a`, `b` and c").collect::<Vec<_>>(), ["a", "b"]);
}

//! Style that can be counted, and promises that can be looked up.
#![expect(clippy::unwrap_used, reason = "helpers of tests may end the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bailiwick_testkit::repository;

/// Production code of one file: what comes before its inline tests.
const MAX_LINES: usize = 450;
const MAX_TEST_LINES: usize = 650;
const LESSONS: usize = 35;
/// Built or fetched, not written.
const SKIPPED: &[&str] = &[
    "target",
    ".git",
    ".cache",
    "node_modules",
    ".venv",
    "corpus",
    "artifacts",
];

/// Every text file that people wrote, by its path below the top.
fn files() -> BTreeMap<PathBuf, String> {
    let top = repository();
    let mut found = BTreeMap::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                folders.push(path);
            } else if kind.is_file()
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                found.insert(path.strip_prefix(&top).unwrap().to_owned(), text);
            }
        }
    }
    assert!(found.len() > 50, "the top folder is found");
    found
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "rs")
}

#[test]
fn no_source_file_is_long() {
    let mut long = Vec::new();
    for (path, text) in files().into_iter().filter(|(path, _)| is_rust(path)) {
        let code = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .count();
        let is_test = path
            .iter()
            .any(|part| part == "tests" || part == "tests.rs");
        if code > if is_test { MAX_TEST_LINES } else { MAX_LINES } {
            long.push((path, code));
        }
    }
    assert!(
        long.is_empty(),
        "split these (at most {MAX_LINES} lines, tests {MAX_TEST_LINES}): {long:?}"
    );
}

#[test]
fn nothing_is_left_for_later() {
    // Put together, so that this file does not find itself.
    let words = [
        ["to", "do!("],
        ["unimple", "mented!("],
        ["FIX", "ME"],
        ["XX", "X:"],
    ]
    .map(|halves| halves.concat());
    for (path, text) in files().iter().filter(|(path, _)| is_rust(path)) {
        for word in &words {
            assert!(
                !text.contains(word),
                "{} has `{word}`: do it, or open an issue",
                path.display()
            );
        }
    }
}

#[test]
fn no_registry_host_and_no_machine_is_named() {
    let words = [
        ["registry.npm", "js.org"],
        ["pypi", ".org"],
        ["files.python", "hosted"],
        ["static.crates", ".io"],
        ["index.crates", ".io"],
        ["deb.deb", "ian.org"],
        ["/tmp/", "brief"],
        ["/work/", "main"],
    ]
    .map(|halves| halves.concat());
    for (path, text) in files()
        .iter()
        .filter(|(path, _)| !path.ends_with("Cargo.lock"))
    {
        for word in &words {
            assert!(!text.contains(word), "{} names `{word}`", path.display());
        }
    }
}

#[test]
fn every_lesson_that_is_claimed_has_a_test_of_its_name() {
    let files = files();
    let table = files
        .get(Path::new("docs/lessons.md"))
        .expect("docs/lessons.md lists the lessons");
    let mut tests = BTreeSet::new();
    for text in files
        .iter()
        .filter(|(path, _)| is_rust(path))
        .map(|(_, text)| text)
    {
        for name in text.split("fn l").skip(1) {
            let number = name.split('_').next().unwrap_or_default();
            tests.extend(number.parse::<usize>());
        }
    }
    let mut listed = BTreeSet::new();
    for row in table.lines().filter_map(|line| line.strip_prefix("| L")) {
        let (number, rest) = row
            .split_once(" |")
            .expect("`| L7 | what must hold | held by … or pending |`");
        let number: usize = number.parse().expect("a lesson's number");
        assert!(listed.insert(number), "L{number} is listed twice");
        let claimed = !rest.contains("pending");
        assert!(
            !claimed || tests.contains(&number),
            "L{number} is claimed, but no test is called `l{number}_…`"
        );
        assert!(
            claimed || !tests.contains(&number) || rest.contains("pending:"),
            "L{number} has a test: claim it, or say what is `pending: …`"
        );
    }
    assert_eq!(listed, (1..=LESSONS).collect(), "every lesson has its row");
}

//! What is proposed, by example and by property.
#![expect(clippy::unwrap_used, reason = "tests")]

use bailiwick_capability::{Capability, Grant, Granted, Scope};
use bailiwick_learn::{Lessons, Proposal, Seen, propose};
use proptest::prelude::*;

fn grant(atoms: &[&str]) -> Grant {
    Grant::new(atoms.iter().map(|atom| atom.parse().unwrap()))
}

fn learned(bound: &[&str], seen: &[&str]) -> Proposal {
    let mut lessons = Lessons::default();
    for one in seen {
        let (operation, target) = one.split_once(':').unwrap();
        lessons.add(Seen::read(operation, target).unwrap(), 1, Some("tool"));
    }
    propose(&grant(bound), &lessons)
}

fn lines(bound: &[&str], seen: &[&str]) -> Vec<String> {
    let proposal = learned(bound, seen);
    proposal
        .lines
        .iter()
        .map(|line| line.capability.to_string())
        .collect()
}

#[test]
fn few_files_are_named_and_many_make_a_folder() {
    let bound = &["read_files:/data/"];
    let two = ["read_files:/data/a/1", "read_files:/data/a/2"];
    assert_eq!(lines(bound, &two), two);
    let three = [two[0], two[1], "read_files:/data/a/3"];
    assert_eq!(lines(bound, &three), ["read_files:/data/a/"]);
    let folders = [
        "read_files:/data/a/",
        "read_files:/data/b/",
        "read_files:/data/c/",
    ];
    assert_eq!(lines(bound, &folders), ["read_files:/data/"]);
    let mixed = [two[0], two[1], "read_files:/data/a/sub/"];
    assert_eq!(lines(bound, &mixed), ["read_files:/data/a/"]);
}

#[test]
fn nothing_goes_beyond_the_bound() {
    let bound = &[
        "read_files:/data/a/",
        "read_files:/data/b",
        "read_files:/data/c",
        "read_files:/data/d",
    ];
    let seen = [
        "read_files:/data/b",
        "read_files:/data/c",
        "read_files:/data/d",
        "read_files:/usr/lib/libc.so.6",
    ];
    assert_eq!(
        lines(bound, &seen),
        [
            "read_files:/data/b",
            "read_files:/data/c",
            "read_files:/data/d"
        ]
    );
}

#[test]
fn a_folder_whose_entries_come_and_go_is_asked_for_as_a_whole() {
    let bound = &["read_files:/data/", "write_files:/data/"];
    let seen = [
        "write_files:/data/out/",
        "read_files:/data/out/new",
        "write_files:/data/out/new",
        "read_files:/data/in",
    ];
    assert_eq!(
        lines(bound, &seen),
        [
            "read_files:/data/in",
            "read_files:/data/out/",
            "write_files:/data/out/"
        ]
    );
}

#[test]
fn a_folder_that_is_only_looked_at_is_there_when_something_below_is() {
    let bound = &["read_files:/data/"];
    assert_eq!(
        lines(bound, &["read_files:/data/.", "read_files:/data/a"]),
        ["read_files:/data/a"]
    );
    assert_eq!(lines(bound, &["read_files:/data/."]), ["read_files:/data/"]);
}

#[test]
fn names_that_no_manifest_can_write_take_their_folder() {
    assert_eq!(
        lines(&["read_files:/data/"], &["read_files:/data/a/what?"]),
        ["read_files:/data/a/"]
    );
}

#[test]
fn hosts_not_requests_programs_as_granted_secrets_by_name() {
    let bound = &[
        "network_access:https://*.example.com",
        "network_access:https://other.example.org/v1/ GET",
        "execute_code:/usr/bin/git status",
        "execute_shell:/bin/sh",
        "use_secret:key",
        "use_secret:other",
        "clock",
    ];
    let seen = [
        "network_access:https://api.example.com/v1/x GET",
        "network_access:https://api.example.com/v2 POST",
        "network_access:https://other.example.org/v1/a GET",
        "execute_code:/usr/bin/git status -s",
        "execute_code:/bin/sh",
        "use_secret:key",
    ];
    let mut expected = vec![
        "network_access:https://api.example.com",
        "network_access:https://other.example.org/v1/ GET",
        "execute_code:/usr/bin/git status",
        "execute_shell:/bin/sh",
        "use_secret:key",
        "clock",
    ];
    let mut found = lines(bound, &seen);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn what_was_granted_and_never_used_is_told() {
    let proposal = learned(
        &["read_files:/data/", "write_files:/data/", "clock"],
        &["read_files:/data/a"],
    );
    let unused: Vec<String> = proposal.unused.iter().map(ToString::to_string).collect();
    assert_eq!(unused, ["write_files:/data/"]);
    let evidence = proposal.lines[0].evidence.clone().unwrap();
    assert_eq!((evidence.times, evidence.targets), (1, 1));
    assert_eq!(evidence.examples, ["/data/a"]);
    assert!(evidence.tools.contains("tool"));
    assert_eq!(
        proposal.lines[1].evidence, None,
        "the clock leaves no trace"
    );
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d*"]), 1..4)
        .prop_map(|names| format!("/{}", names.join("/")))
}

/// What is a folder is no file, and only reading looks at it.
fn used() -> impl Strategy<Value = String> {
    let how = prop::sample::select(vec![
        ("read_files", "/f"),
        ("read_files", "/g"),
        ("write_files", "/f"),
        ("read_files", "/"),
        ("write_files", "/"),
        ("read_files", "/."),
    ]);
    (path(), how).prop_map(|(path, (operation, end))| format!("{operation}:{path}{end}"))
}

fn bound() -> impl Strategy<Value = Vec<String>> {
    let plain = prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..2);
    let operation = prop::sample::select(vec!["read_files", "write_files"]);
    let atom = (operation, plain).prop_map(|(operation, names)| {
        let tree: String = names.iter().map(|name| format!("{name}/")).collect();
        format!("{operation}:/{tree}")
    });
    prop::collection::vec(atom, 1..4)
}

fn wholes(capabilities: &[Capability]) -> Grant {
    Grant::new(capabilities.iter().cloned().map(Granted::whole))
}

/// Whether it would go through: a folder that is only looked at is there where anything below it is.
fn goes_through(seen: &Seen, asked: &[Capability]) -> bool {
    let below = || match seen {
        Seen::Folder(_, folder) => asked.iter().any(|one| match one.scope() {
            Scope::Path(scope) => one.kind() == seen.kind() && scope.path().is_within(folder),
            _ => false,
        }),
        _ => false,
    };
    seen.covered_by(&wholes(asked)).is_some() || below()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// All that the bound let through goes through again; nothing beyond the bound is asked for, and nothing in vain.
    #[test]
    fn a_proposal_covers_what_was_seen_and_no_more(bound in bound(), used in prop::collection::vec(used(), 0..12)) {
        let words: Vec<&str> = bound.iter().map(String::as_str).collect();
        let seen: Vec<&str> = used.iter().map(String::as_str).collect();
        let proposal = learned(&words, &seen);
        let bound = grant(&words);
        let asked: Vec<Capability> = proposal.lines.iter().map(|line| line.capability.clone()).collect();
        for capability in &asked {
            prop_assert!(bound.permits(capability), "{capability} is beyond the bound");
            prop_assert!(capability.to_string().parse::<Capability>().is_ok(), "{capability} can be written down");
        }
        let mut let_through = Vec::new();
        for one in &seen {
            let (operation, target) = one.split_once(':').unwrap();
            let seen = Seen::read(operation, target).unwrap();
            if seen.covered_by(&bound).is_some() {
                prop_assert!(goes_through(&seen, &asked), "{one} is lost in {asked:?}");
                let_through.push(seen);
            }
        }
        for without in &asked {
            let rest: Vec<Capability> = asked.iter().filter(|one| *one != without).cloned().collect();
            prop_assert!(let_through.iter().any(|seen| !goes_through(seen, &rest)), "{without} is asked for in vain");
        }
    }

    #[test]
    fn order_does_not_matter(bound in bound(), used in prop::collection::vec(used(), 0..12)) {
        let words: Vec<&str> = bound.iter().map(String::as_str).collect();
        let mut seen: Vec<&str> = used.iter().map(String::as_str).collect();
        let before = learned(&words, &seen);
        seen.reverse();
        prop_assert_eq!(before, learned(&words, &seen));
    }
}

//! What a native plugin tries in vain is in the log: who, what and where, also while nobody calls it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bailiwick_testkit::real;
use bailiwick_testkit::sdk::Sdk;
use serde_json::{Value, json};

use crate::ordinary::as_ordinary;
use crate::support::{Family, Script, World, kind, repository, text};

/// What `plugin.py` tries, as the log names it.
const TRIED: [(&str, &str); 5] = [
    ("read_files", "/etc/shadow"),
    ("write_files", "/usr/planted"),
    ("network_access", "socket(AF_INET, SOCK_STREAM)"),
    ("execute_code", "/bin/sh"),
    ("system_call", "ptrace(PTRACE_TRACEME, itself)"),
];

fn tried() -> BTreeSet<(String, String)> {
    TRIED
        .iter()
        .map(|(operation, target)| ((*operation).to_owned(), (*target).to_owned()))
        .collect()
}

/// Operation and target of each denial; what the C library asks in vain is left out.
fn denials(entries: &[Value]) -> Vec<(String, String)> {
    let denied = entries
        .iter()
        .filter(|entry| kind(entry) == "operation_denied");
    let pair = |entry: &Value| {
        let event = &entry["entry"]["event"];
        let text = |key: &str| event[key].as_str().unwrap().to_owned();
        (text("operation"), text("target"))
    };
    denied
        .map(pair)
        .filter(|(_, target)| target != "socket(AF_UNIX, SOCK_STREAM)")
        .collect()
}

fn plugin(world: &World, how: &str) {
    let script = Script {
        id: "curious",
        how,
        ..Script::WELL
    };
    world.configure(&[&script.put(world)], "");
}

fn everything_tried_is_logged() {
    let world = World::new();
    plugin(&world, "well");
    let mut gate = world.serve(Family::Modern, &[]);
    let answer = gate.call("curious__act", json!({ "how": "tries" }));
    assert_eq!(text(&answer), "tried", "and it goes on: {answer}");
    gate.end();
    let entries = world.settled();
    let found = denials(&entries);
    assert_eq!(
        found.iter().cloned().collect::<BTreeSet<_>>(),
        tried(),
        "this and no more"
    );
    assert_eq!(found.len(), TRIED.len(), "each once: {found:?}");
    for entry in entries
        .iter()
        .filter(|entry| kind(entry) == "operation_denied")
    {
        let subject = &entry["entry"]["subject"];
        assert_eq!(subject["plugin"], "curious", "{entry}");
        for key in ["session", "user", "agent", "plugin_digest"] {
            assert!(subject[key].is_string(), "{key}: {entry}");
        }
        let reason = entry["entry"]["event"]["reason"].as_str().unwrap();
        assert!(!reason.is_empty(), "{entry}");
    }
}

#[test]
fn what_a_plugin_tries_in_vain_is_in_the_log() {
    everything_tried_is_logged();
}

#[test]
fn what_a_plugin_of_an_ordinary_user_tries_in_vain_is_in_the_log() {
    if as_ordinary("seen::what_a_plugin_of_an_ordinary_user_tries_in_vain_is_in_the_log") {
        everything_tried_is_logged();
    }
}

#[test]
fn what_is_tried_between_calls_is_in_the_log_while_nobody_calls() {
    let world = World::new();
    plugin(&world, "restless");
    let mut gate = world.serve(Family::Legacy, &[]);
    assert!(!gate.tools().is_empty());
    let deadline = Instant::now() + Duration::from_secs(60);
    while !denials(&world.entries()).contains(&("read_files".to_owned(), "/etc/shadow".to_owned()))
    {
        assert!(Instant::now() < deadline, "nothing is told");
        std::thread::sleep(Duration::from_millis(50));
    }
    gate.end();
    world.settled();
}

#[test]
fn what_kept_a_plugin_from_starting_is_in_the_log() {
    let world = World::new();
    plugin(&world, "lost");
    let mut gate = world.serve(Family::Modern, &[]);
    assert!(gate.tools().is_empty());
    gate.end();
    let entries = world.settled();
    let shadow = ("read_files".to_owned(), "/etc/shadow".to_owned());
    assert!(denials(&entries).contains(&shadow), "{entries:?}");
    let at = |wanted: &str| {
        entries
            .iter()
            .position(|entry| kind(entry) == wanted)
            .unwrap()
    };
    assert!(
        at("operation_denied") < at("plugin_refused"),
        "first why, then that"
    );
}

#[test]
fn where_only_acts_are_watched_reading_is_not_told() {
    let world = World::new();
    plugin(&world, "well");
    let path = world.root().join("bailiwick.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config + "watch: acts\n").unwrap();
    let mut gate = world.serve(Family::Modern, &[]);
    gate.call("curious__act", json!({ "how": "tries" }));
    gate.end();
    let mut wanted = tried();
    assert!(wanted.remove(&("read_files".to_owned(), "/etc/shadow".to_owned())));
    let found: BTreeSet<_> = denials(&world.settled()).into_iter().collect();
    assert_eq!(found, wanted);
}

#[test]
fn real_servers_start_and_work_without_a_false_alarm() {
    let world = World::new();
    let docs = world.folder("docs");
    world.file("docs/a.txt", "here");
    let repo = repository(&world, "repo", "A commit");
    let reads = |folder: &str| format!("read_files:{folder}/");
    let mut files = real::npm("server-filesystem");
    files.push(docs.clone());
    let git = real::pypi("mcp-server-git");
    let (docs_read, repo_read) = (reads(&docs), reads(&repo));
    let sessions = [
        (
            vec!["--allow", &docs_read],
            files,
            "read_text_file",
            json!({ "path": format!("{docs}/a.txt") }),
        ),
        (
            vec!["--allow", &repo_read, "--allow", "execute_code:git"],
            git,
            "git_log",
            json!({ "repo_path": repo }),
        ),
    ];
    for (allow, command, tool, arguments) in sessions {
        let words: Vec<&str> = allow
            .into_iter()
            .chain(["--"])
            .chain(command.iter().map(String::as_str))
            .collect();
        let outcome = world.session(&words).call(tool, arguments).run(Sdk::Python);
        assert!(!outcome.failed(0), "{outcome:?}");
    }
    let found = denials(&world.settled());
    assert!(found.is_empty(), "{found:#?}");
}

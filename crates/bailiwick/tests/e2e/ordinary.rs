//! The same as an ordinary user, who has no more than everybody.

use std::path::{Path, PathBuf};
use std::process::Command;

use bailiwick_testkit::sdk::{Sdk, Session};
use bailiwick_testkit::{real, user};
use serde_json::json;

use crate::support::{Script, World};

/// What an ordinary user needs and may not reach where it lies: the binary, and the real servers.
struct Reachable {
    _dir: tempfile::TempDir,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Reachable {
    fn new() -> Self {
        let dir = bailiwick_testkit::readable_dir();
        let copy = |from: &Path, name: &str| {
            let to = dir.path().join(name);
            let copied = Command::new("cp").arg("-rP").arg(from).arg(&to).status();
            assert!(copied.unwrap().success(), "{}", from.display());
            to
        };
        let mut variables = vec![(
            "BAILIWICK_TEST_BINARY",
            copy(env!("CARGO_BIN_EXE_bailiwick").as_ref(), "bailiwick"),
        )];
        if user::is_root() {
            variables.push(("BAILIWICK_REAL", copy(&real::root(), "real")));
        }
        Self {
            _dir: dir,
            variables,
        }
    }
}

pub(crate) fn as_ordinary(test: &str) -> bool {
    if !user::is_root() {
        return true;
    }
    let reachable = Reachable::new();
    user::is_ordinary_or_rerun_with(test, &reachable.variables)
}

#[test]
fn an_ordinary_user_has_the_same_wall_around_a_node_server() {
    if !as_ordinary("ordinary::an_ordinary_user_has_the_same_wall_around_a_node_server") {
        return;
    }
    let world = World::new();
    let docs = world.folder("docs");
    world.file("docs/a.txt", "mine");
    let key = world.file("secret/key", "canary");
    let mut command = real::npm("server-filesystem");
    command.push("/".to_owned());
    let attack = |session: Session| {
        session
            .call("read_text_file", json!({ "path": key }))
            .call("read_text_file", json!({ "path": format!("{docs}/a.txt") }))
            .run(Sdk::TypeScript)
    };
    let bare = attack(Session::new(command.clone()));
    assert_eq!(bare.text(0), "canary", "bare it works: {bare:?}");
    let allow = format!("read_files:{docs}/");
    let args: Vec<&str> = ["--allow", &allow, "--"]
        .into_iter()
        .chain(command.iter().map(String::as_str))
        .collect();
    let held = attack(world.session(&args));
    assert!(
        held.failed(0) && !held.text(0).contains("canary"),
        "{held:?}"
    );
    assert_eq!(held.text(1), "mine", "{held:?}");
    world.settled();
}

#[test]
fn an_ordinary_user_has_python_servers_and_their_end() {
    if !as_ordinary("ordinary::an_ordinary_user_has_python_servers_and_their_end") {
        return;
    }
    let world = World::new();
    world.configure(&[&Script::WELL.put(&world)], "");
    let outcome = world
        .session(&[])
        .call("good__act", json!({ "how": "daemon" }))
        .call("good__echo", json!({ "text": "ordinary" }))
        .run(Sdk::Python);
    assert_eq!(outcome.text(1), "ordinary", "{outcome:?}");
    world.settled();
    // By the module: a console script names the folder that it was installed in.
    let python = real::path_text(&real::python());
    let time = world
        .session(&[
            "--",
            &python,
            "-m",
            "mcp_server_time",
            "--local-timezone",
            "Etc/UTC",
        ])
        .call("get_current_time", json!({ "timezone": "Etc/UTC" }))
        .run(Sdk::PythonLegacy);
    assert!(time.text(0).contains("Etc/UTC"), "{time:?}");
    world.settled();
}

#[test]
fn an_ordinary_user_runs_any_program_inside() {
    if !as_ordinary("ordinary::an_ordinary_user_runs_any_program_inside") {
        return;
    }
    let world = World::new();
    let key = world.file("secret/key", "canary");
    assert_eq!(world.run(&["exec", "--", "sh", "-c", "exit 3"]).status, 3);
    let ended = world.run(&["exec", "--", "cat", &key]);
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{ended:?}");
    let allow = format!("read_files:{key}");
    let ended = world.run(&["exec", "--allow", &allow, "--", "cat", &key]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (0, "canary"),
        "{ended:?}"
    );
    world.settled();
}

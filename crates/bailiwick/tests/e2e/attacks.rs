//! Attacks by way of real servers and programs: each succeeds bare, or it would prove nothing, and fails inside.

use std::net::TcpListener;
use std::path::Path;

use bailiwick_testkit::real;
use bailiwick_testkit::sdk::{Sdk, Session};
use serde_json::{Value, json};

use crate::support::{Family, PYTHON, Script, World, code, kind, real_plugin, repository, text};

const CANARY: &str = "canary-5f1c9a27e0d34b6c";

fn strings(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// `serve --allow … -- command` on an SDK's client.
fn inside(world: &World, allow: &[String], command: &[String]) -> Session {
    let allow = allow.iter().flat_map(|atom| ["--allow", atom.as_str()]);
    let args: Vec<&str> = allow.chain(["--"]).chain(strings(command)).collect();
    world.session(&args)
}

#[test]
fn a_file_server_that_may_go_anywhere_reads_no_planted_key() {
    let world = World::new();
    let key = world.file("secret/key", CANARY);
    let docs = world.folder("docs");
    world.file("docs/a.txt", "granted");
    std::os::unix::fs::symlink("../secret/key", world.root().join("docs/link")).unwrap();
    let mut command = real::npm("server-filesystem");
    command.push("/".to_owned());
    let attack = |session: Session| {
        session
            .call("read_text_file", json!({ "path": key }))
            .call("read_text_file", json!({ "path": format!("{docs}/link") }))
            .call("list_directory", json!({ "path": world.path("secret") }))
            .call(
                "write_file",
                json!({ "path": format!("{docs}/planted"), "content": "x" }),
            )
            .call("read_text_file", json!({ "path": format!("{docs}/a.txt") }))
            .run(Sdk::TypeScript)
    };
    let bare = attack(Session::new(command.clone()));
    for index in 0..5 {
        assert!(!bare.failed(index), "bare, attack {index} works: {bare:?}");
    }
    assert!(bare.text(0).contains(CANARY) && bare.text(1).contains(CANARY));
    std::fs::remove_file(world.path("docs/planted")).unwrap();
    let allow = [format!("read_files:{docs}/")];
    let held = attack(inside(&world, &allow, &command));
    for index in 0..4 {
        assert!(held.failed(index), "inside, attack {index}: {held:?}");
    }
    assert!(!format!("{held:?}").contains(CANARY));
    assert!(!Path::new(&format!("{docs}/planted")).exists());
    assert_eq!(held.text(4), "granted", "and what was granted is there");
    let entries = world.settled();
    let failed = |entry: &&Value| {
        kind(entry) == "tool_result" && entry["entry"]["event"]["is_error"] == true
    };
    assert_eq!(entries.iter().filter(failed).count(), 4);
}

#[test]
fn with_its_manifest_an_argument_outside_does_not_reach_the_server() {
    let world = World::new();
    let key = world.file("secret/key", CANARY);
    world.file("notes/a.txt", "noted");
    world.folder("notes/drafts");
    std::os::unix::fs::symlink("../secret/key", world.root().join("notes/link")).unwrap();
    let plugin = real_plugin(&world, "filesystem");
    let policy = format!(
        "@id(\"notes\") permit (principal, action == Action::\"read_files\", resource in Dir::\"{}\");",
        world.path("notes")
    );
    world.configure(&[&plugin], &policy);
    let mut gate = world.serve(Family::Modern, &[]);
    let outside = [
        key.clone(),
        world.path("notes/link"),
        world.path("notes/../secret/key"),
        "/etc/passwd".to_owned(),
        "secret/key".to_owned(),
    ];
    for path in &outside {
        let result = gate.call("filesystem__read_text_file", json!({ "path": path }));
        assert!(
            ["capability_missing", "bad_arguments"].contains(&code(&result)),
            "{path}: {result}"
        );
        // The tool declares a schema, which clients hold against every structured content.
        assert!(result["structuredContent"].is_null(), "{result}");
    }
    let many = json!({ "paths": [world.path("notes/a.txt"), key] });
    let result = gate.call("filesystem__read_multiple_files", many);
    assert_eq!(
        code(&result),
        "capability_missing",
        "each of a list is held"
    );
    gate.end();
    let refused = world.events("call_refused");
    assert_eq!(
        refused.len(),
        outside.len() + 1,
        "the log says so: {refused:?}"
    );
    world.settled();
}

#[test]
fn a_git_server_knows_no_other_repository() {
    let world = World::new();
    let mine = repository(&world, "mine", "Granted words");
    let other = repository(&world, "other", CANARY);
    let command = real::pypi("mcp-server-git");
    let attack = |session: Session| {
        session
            .call("git_log", json!({ "repo_path": other }))
            .call("git_log", json!({ "repo_path": mine }))
            .run(Sdk::Python)
    };
    let bare = attack(Session::new(command.clone()));
    assert!(bare.text(0).contains(CANARY), "bare it works: {bare:?}");
    let allow = [format!("read_files:{mine}/"), "execute_code:git".to_owned()];
    let held = attack(inside(&world, &allow, &command));
    assert!(held.failed(0), "{held:?}");
    assert!(!format!("{held:?}").contains(CANARY));
    assert!(held.text(1).contains("Granted words"), "{held:?}");
    world.settled();
}

#[test]
fn l20_a_secret_of_the_gates_environment_is_nowhere() {
    let command = real::npm("server-everything");
    let bare = Session::new(command.clone())
        .env("E2E_TOKEN", CANARY)
        .call("get-env", json!({}))
        .run(Sdk::TypeScript);
    assert!(bare.text(0).contains(CANARY), "bare it leaks");

    let world = World::new();
    world.configure(
        &[
            &real_plugin(&world, "everything"),
            &Script::WELL.put(&world),
        ],
        "",
    );
    let mut serve = world.bailiwick(&["serve"]);
    serve.env("E2E_TOKEN", CANARY).env("NODE_OPTIONS", "");
    let mut gate = crate::support::Gate::start(serve, Family::Legacy);
    let mut said = vec![
        gate.call("everything__get-env", json!({})),
        gate.call("good__env", json!({})),
        gate.call("good__act", json!({ "how": "crash" })),
        gate.call("good__nothing", json!({})),
    ];
    assert!(text(&said[0]).contains("PATH"), "{said:?}");
    let environments = environments_below(gate.pid());
    assert!(!environments.is_empty(), "the plugins' processes are seen");
    for environment in &environments {
        assert!(!environment.contains(CANARY), "{environment}");
    }
    // Nor does the log keep what an agent hands over.
    said.push(gate.call("good__echo", json!({ "text": "argument-3c8b1d77" })));
    let words = gate.end();
    assert!(!words.contains(CANARY), "{words}");
    assert!(!format!("{said:?}").contains(CANARY));
    for needle in [CANARY, "argument-3c8b1d77"] {
        let found = files_holding(&world.home(), needle);
        assert!(found.is_empty(), "{needle} in {found:?}");
    }
    world.settled();
}

/// The environments of all processes below `pid` that may be read; init's may not.
fn environments_below(pid: u32) -> Vec<String> {
    let mut below = vec![pid];
    let mut at = 0;
    while let Some(&parent) = below.get(at) {
        at += 1;
        let path = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        below.extend(
            children
                .split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
        // Each thread has its own children.
        for task in std::fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
        {
            let children = task.unwrap().path().join("children");
            for child in std::fs::read_to_string(children)
                .unwrap_or_default()
                .split_whitespace()
            {
                let child = child.parse().unwrap();
                if !below.contains(&child) {
                    below.push(child);
                }
            }
        }
    }
    let read = |pid: &u32| std::fs::read(format!("/proc/{pid}/environ")).ok();
    let environments = below.iter().skip(1).filter_map(read);
    environments
        .filter(|bytes| !bytes.is_empty())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

fn files_holding(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                if String::from_utf8_lossy(&bytes).contains(needle) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

/// Runs a Python program bare, where it must print `through`, and inside, where it must not.
fn python_is_held(program: &str, allow: &[&str]) {
    let bare = std::process::Command::new(PYTHON)
        .args(["-c", program])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&bare.stdout).trim(),
        "through",
        "bare it works: {bare:?}"
    );
    let world = World::new();
    let allow = allow.iter().flat_map(|atom| ["--allow", atom]);
    let args: Vec<&str> = ["exec"]
        .into_iter()
        .chain(allow)
        .chain(["--", PYTHON, "-c", program])
        .collect();
    let held = world.run(&args);
    assert_eq!(held.status, 1, "{held:?}");
    assert!(!held.stdout.contains("through"), "{held:?}");
    assert!(held.stderr.contains("Error"), "{held:?}");
    world.settled();
}

#[test]
fn nothing_is_sent_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    python_is_held(
        &format!(
            "import socket\nsocket.create_connection(('127.0.0.1', {port}), 20)\nprint('through')"
        ),
        &[],
    );
    python_is_held(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.sendto(b'x', ('127.0.0.1', 9))\nprint('through')",
        &[],
    );
}

#[test]
fn l10_no_socket_of_the_machine_is_reached() {
    let folder = bailiwick_testkit::readable_dir();
    let path = folder.path().canonicalize().unwrap().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let allow = format!("read_files:{}/", path.parent().unwrap().display());
    python_is_held(
        &format!(
            "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('{}')\nprint('through')",
            path.display()
        ),
        &[&allow],
    );
}

#[test]
fn no_program_is_started_besides() {
    python_is_held(
        "import subprocess\nprint(subprocess.run(['/bin/sh', '-c', 'echo through'], \
         capture_output=True, text=True, check=True).stdout)",
        &[],
    );
}

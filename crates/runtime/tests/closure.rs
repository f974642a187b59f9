//! The closure suffices in an independent sandbox, and holds nothing that is not needed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may end the test"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use bailiwick_runtime::{PRIVATE_HOME, Prepared, Settings, closure_of, resolve};
use bailiwick_testkit::real::{self, path_text};
use bailiwick_testkit::{bwrap, readable_dir};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

fn settings(cache: &Path) -> Settings {
    let mut settings = Settings::from_process(cache);
    settings.cwd = PathBuf::from("/");
    settings
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

fn run(prepared: &Prepared, input: &str, extra: &[&Path]) -> Output {
    let mut command = bwrap::command(&prepared.program, Path::new(PRIVATE_HOME), extra);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .expect("bubblewrap starts; run `cargo xtask setup`");
    // A program that ends early closes its input; what it said is judged below.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// The server answers `initialize` inside a sandbox that holds nothing but the closure and `extra`.
fn speaks(command: &[String], extra: &[&Path]) -> Prepared {
    let dir = tempfile::tempdir().unwrap();
    let prepared = resolve(command, &settings(&dir.path().join("cache"))).unwrap();
    let output = run(&prepared, &format!("{INITIALIZE}\n"), extra);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("serverInfo"),
        "{}\n{}\n{:#?}",
        text,
        String::from_utf8_lossy(&output.stderr),
        prepared.needs
    );
    prepared
}

fn all(prepared: &Prepared) -> Vec<&PathBuf> {
    prepared
        .program
        .closure
        .read
        .iter()
        .chain(&prepared.program.closure.run)
        .collect()
}

#[test]
fn node_servers_start_with_their_closure_alone() {
    let data = readable_dir();
    let mut command = real::npm("server-filesystem");
    command.push(path_text(data.path()));
    let prepared = speaks(&command, &[data.path()]);
    for path in all(&prepared) {
        let known = path.starts_with(real::root())
            || path.to_string_lossy().contains("lib")
            || path.ends_with("node");
        assert!(
            known && !path.starts_with("/etc") && !path.starts_with("/proc"),
            "{}",
            path.display()
        );
    }
    speaks(&real::npm("server-memory"), &[]);
    speaks(&real::npm("server-everything"), &[]);
}

#[test]
fn python_servers_start_with_their_closure_alone() {
    let prepared = speaks(&real::pypi("mcp-server-time"), &[]);
    assert_eq!(
        prepared.program.program.parent(),
        Some(
            real::root()
                .canonicalize()
                .unwrap()
                .join("venv/bin")
                .as_path()
        )
    );
}

/// Whatever `python3` is here: the system's, or a version manager's shim.
#[test]
fn the_machines_python_starts_with_its_closure_alone() {
    let code = "import ssl, sqlite3, ctypes, lzma, zoneinfo, asyncio, threading; print(ssl.OPENSSL_VERSION)";
    for python in ["python3", "/usr/bin/python3"] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = resolve(&words(&[python, "-c", code]), &settings(dir.path())).unwrap();
        let output = run(&prepared, "", &[]);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("SSL"),
            "{output:?} {:#?}",
            prepared.needs
        );
    }
}

#[test]
fn an_ordinary_user_gets_an_interpreter_that_it_may_run() {
    if !bailiwick_testkit::user::is_ordinary_or_rerun(
        "an_ordinary_user_gets_an_interpreter_that_it_may_run",
    ) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for line in [
        ["python3", "-c", "print(1)"],
        ["node", "-e", "console.log(1)"],
    ] {
        let prepared = resolve(&words(&line), &settings(dir.path())).unwrap();
        let output = run(&prepared, "", &[]);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "1\n",
            "{output:?} {:#?}",
            prepared.needs
        );
    }
}

#[test]
fn a_plugins_own_folder_is_its_code_and_its_working_directory() {
    let dir = readable_dir();
    let plugin = dir.path().canonicalize().unwrap().join("plugins/mine");
    std::fs::create_dir_all(plugin.join("lib")).unwrap();
    std::fs::write(
        plugin.join("server.py"),
        "import helper, os; print(helper.X, os.getcwd())",
    )
    .unwrap();
    std::fs::write(plugin.join("helper.py"), "X = 1").unwrap();
    std::fs::write(
        plugin.join("server.mjs"),
        "import { x } from './lib/x.mjs'; console.log(x, process.cwd())",
    )
    .unwrap();
    std::fs::write(plugin.join("lib/x.mjs"), "export const x = 1").unwrap();
    let mut settings = settings(&dir.path().join("cache"));
    settings.plugin_dir = Some(plugin.clone());
    for line in [
        &["python3", "server.py"][..],
        &["python3", "-m", "server"],
        &["node", "./server.mjs"],
    ] {
        let prepared = resolve(&words(line), &settings).unwrap();
        assert!(
            prepared.program.closure.read.contains(&plugin),
            "{:?}",
            prepared.needs
        );
        let output = run(&prepared, "", &[]);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("1 {}\n", plugin.display()),
            "{output:?}"
        );
    }
}

#[test]
fn the_git_server_needs_git_besides_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let command = real::pypi("mcp-server-git");
    let settings = settings(&dir.path().join("cache"));
    let mut prepared = resolve(&command, &settings).unwrap();
    let output = run(&prepared, &format!("{INITIALIZE}\n"), &[]);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("git"),
        "without git it stops"
    );
    let (git, explain) = closure_of(Path::new("/usr/bin/git"), &settings).unwrap();
    assert!(
        explain
            .iter()
            .any(|need| need.why.contains("git's own programs")),
        "{explain:?}"
    );
    prepared.program.closure.read.extend(git.read);
    prepared.program.closure.run.extend(git.run);
    let output = run(&prepared, &format!("{INITIALIZE}\n"), &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("serverInfo"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn git_itself_works_with_its_closure() {
    let repository = readable_dir();
    let dir = tempfile::tempdir().unwrap();
    let done = std::process::Command::new("/usr/bin/git")
        .args(["init", "-q"])
        .arg(repository.path())
        .status()
        .unwrap();
    assert!(done.success());
    let path = path_text(repository.path());
    let line = words(&[
        "/usr/bin/git",
        "-c",
        "safe.directory=*",
        "-C",
        &path,
        "status",
        "--short",
        "--branch",
    ]);
    let prepared = resolve(&line, &settings(&dir.path().join("cache"))).unwrap();
    let output = run(&prepared, "", &[repository.path()]);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("No commits yet"),
        "{output:?}"
    );
}

#[test]
fn shell_scripts_and_links_and_plain_binaries_start() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let settings = settings(&base.join("cache"));
    let script = base.join("server");
    std::fs::write(&script, "#!/bin/sh -e\necho \"$1-$HOME\"\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let prepared = resolve(&words(&[&path_text(&script), "x"]), &settings).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&run(&prepared, "", &[]).stdout),
        format!("x-{PRIVATE_HOME}\n")
    );
    assert!(
        prepared
            .needs
            .iter()
            .any(|need| need.why.contains("the script")),
        "{:?}",
        prepared.needs
    );
    let prepared = resolve(&words(&["/bin/echo", "plain"]), &settings).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&run(&prepared, "", &[]).stdout),
        "plain\n"
    );
    assert!(
        prepared.program.closure.read.len() + prepared.program.closure.run.len() <= 6,
        "{:?}",
        prepared.needs
    );
}

#[test]
fn every_path_of_a_closure_is_needed_or_explained() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = resolve(&words(&["node", "-e", "0"]), &settings(dir.path())).unwrap();
    assert_eq!(prepared.needs.len(), all(&prepared).len());
    assert!(
        prepared.program.closure.read.is_empty(),
        "node without a script reads nothing else: {:?}",
        prepared.needs
    );
    // Taking any one library away breaks it, so none is there for nothing. What is loaded on demand only
    // shows when threads end, so it is left out here.
    for path in prepared.program.closure.run.clone() {
        if prepared
            .needs
            .iter()
            .any(|need| need.path == path && need.why.contains("on demand"))
        {
            continue;
        }
        let mut less = prepared.clone();
        less.program.closure.run.retain(|other| *other != path);
        assert!(
            !run(&less, "", &[]).status.success(),
            "{} is not needed",
            path.display()
        );
    }
    assert!(run(&prepared, "", &[]).status.success());
}

#[test]
fn l20_nothing_of_this_process_is_inherited() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = resolve(
        &words(&["node", "-e", "console.log(JSON.stringify(process.env))"]),
        &settings(dir.path()),
    )
    .unwrap();
    let names: Vec<_> = prepared
        .program
        .env
        .iter()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["PATH", "HOME", "LANG"]);
    let seen: serde_json::Value = serde_json::from_slice(&run(&prepared, "", &[]).stdout).unwrap();
    // Bubblewrap itself sets PWD.
    let mut seen: Vec<_> = seen
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| *name != "PWD")
        .cloned()
        .collect();
    // Whether a JSON map keeps its order depends on what else is built.
    seen.sort();
    assert_eq!(seen, ["HOME", "LANG", "PATH"]);
}

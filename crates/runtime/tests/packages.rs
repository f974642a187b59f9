//! Real packages, fetched from the registries with nothing of theirs run, then started without network.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may end the test"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bailiwick_runtime::{Ecosystem, PRIVATE_HOME, Prepared, Settings, resolve};
use bailiwick_testkit::{bwrap, real, user};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

fn settings(cache: &Path) -> Settings {
    let mut settings = Settings::from_process(cache);
    settings.cwd = PathBuf::from("/");
    settings
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn speaks(prepared: &Prepared) {
    let mut command = bwrap::command(&prepared.program, Path::new(PRIVATE_HOME), &[]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .expect("bubblewrap starts; run `cargo xtask setup`");
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{INITIALIZE}\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("serverInfo"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Prepares, starts, and does both again without network; answers the first preparation.
fn twice(line: &str) -> Prepared {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(&dir.path().join("cache"));
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&said);
    settings.progress = Arc::new(move |text: &str| sink.lock().unwrap().push(text.to_owned()));
    let first = resolve(&words(line), &settings).unwrap();
    assert_eq!(
        said.lock().unwrap().len(),
        1,
        "people are told of long work"
    );
    speaks(&first);
    settings.offline = true;
    let second = resolve(&words(line), &settings).unwrap();
    assert_eq!(second, first);
    assert_eq!(said.lock().unwrap().len(), 1, "and it is done once");
    for record in &first.packages {
        assert!(
            record.path.starts_with(&settings.cache) && record.path.is_dir(),
            "{record:?}"
        );
    }
    first
}

fn npx_line() -> String {
    format!(
        "npx -y @modelcontextprotocol/server-memory@{}",
        real::npm_version("server-memory")
    )
}

fn uvx_line() -> String {
    format!(
        "uvx mcp-server-time=={}",
        real::pypi_version("mcp-server-time")
    )
}

#[test]
fn l30_an_npm_package_is_pinned_and_then_runs_without_network() {
    let prepared = twice(&npx_line());
    let main = &prepared.packages[0];
    assert_eq!(
        (main.ecosystem, main.name.as_str()),
        (Ecosystem::Npm, "@modelcontextprotocol/server-memory")
    );
    assert_eq!(main.version, real::npm_version("server-memory"));
    assert!(
        prepared
            .packages
            .iter()
            .all(|package| package.integrity.starts_with("sha512-")),
        "{:?}",
        prepared.packages
    );
    assert!(
        prepared.program.program.ends_with("node"),
        "no launcher, no shell: {:?}",
        prepared.program
    );
    assert_eq!(prepared.tree.unwrap().len(), 64);
}

#[test]
fn l30_a_python_package_is_pinned_and_then_runs_without_network() {
    let prepared = twice(&uvx_line());
    let main = &prepared.packages[0];
    assert_eq!(
        (main.ecosystem, main.name.as_str()),
        (Ecosystem::Pypi, "mcp-server-time")
    );
    assert_eq!(main.version, real::pypi_version("mcp-server-time"));
    assert!(
        prepared
            .packages
            .iter()
            .all(|package| package.integrity.starts_with("sha256=")),
        "{:?}",
        prepared.packages
    );
    assert!(
        prepared.program.args[0] == "-I",
        "{:?}",
        prepared.program.args
    );
}

#[test]
fn an_ordinary_user_without_a_home_prepares_npm_packages() {
    if user::is_ordinary_or_rerun("an_ordinary_user_without_a_home_prepares_npm_packages") {
        twice(&npx_line());
    }
}

#[test]
fn an_ordinary_user_without_a_home_prepares_python_packages() {
    if user::is_ordinary_or_rerun("an_ordinary_user_without_a_home_prepares_python_packages") {
        twice(&uvx_line());
    }
}

#[test]
fn a_package_that_does_not_exist_is_an_error_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir.path().join("cache"));
    let missing = format!("npx -y {}@99999.0.0", "@modelcontextprotocol/server-memory");
    let text = resolve(&words(&missing), &settings)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("server-memory@99999.0.0") && text.contains("hint: check the package's name"),
        "{text}"
    );
    let text = resolve(&words("uvx mcp-server-time==99999"), &settings)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("mcp-server-time==99999") && text.contains("hint:"),
        "{text}"
    );
}

#[test]
fn l20_preparation_sees_no_secret_of_the_environment() {
    // The canary is in the tools' environment only if it were inherited; npm shows all it was given.
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let npm = bin.join("npm");
    std::fs::write(&npm, "#!/bin/sh\n/usr/bin/env >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&npm, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut settings = settings(&dir.path().join("cache"));
    settings.search_path = vec![bin];
    let text = resolve(&words("npx -y some-server"), &settings)
        .unwrap_err()
        .to_string();
    assert!(text.contains("HOME=") && !text.contains("CARGO_"), "{text}");
}

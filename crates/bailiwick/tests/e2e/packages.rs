//! The lines that people have in their clients' configuration: packages are fetched once, then run without
//! network.

use std::path::{Path, PathBuf};
use std::process::Command;

use bailiwick_testkit::real::path_text;
use bailiwick_testkit::sdk::Sdk;
use serde_json::json;

use crate::support::World;

/// A registry that nobody answers at: whoever asks it, fails.
const NOWHERE: &str = "http://127.0.0.1:9/";

/// Prepares a package once for all runs of these tests, and puts a copy into the world's own cache.
fn prepared(world: &World, line: &[&str]) {
    let shared = bailiwick_testkit::real::root().join("packages");
    let words: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
    let settings = bailiwick_runtime::Settings::from_process(&shared);
    bailiwick_runtime::resolve(&words, &settings).expect("the registries are reached");
    let cache = world.home().join("cache");
    let copied = Command::new("cp")
        .args([Path::new("-a"), &shared, &cache])
        .status()
        .unwrap();
    assert!(copied.success());
}

/// The gate's command line as a client's configuration has it, and no way to a registry.
fn offline(world: &World, args: &[&str]) -> bailiwick_testkit::sdk::Session {
    let nowhere = [
        "npm_config_registry",
        "PIP_INDEX_URL",
        "HTTPS_PROXY",
        "HTTP_PROXY",
    ];
    nowhere
        .into_iter()
        .fold(world.session(args), |session, name| {
            session.env(name, NOWHERE)
        })
}

#[test]
fn npx_fetches_once_and_runs_without_network() {
    let world = World::new();
    let docs = world.folder("docs");
    world.file("docs/a.txt", "by npx");
    let line = [
        "npx",
        "-y",
        "@modelcontextprotocol/server-filesystem",
        &docs,
    ];
    prepared(&world, &line);
    let allow = format!("read_files:{docs}/");
    let args: Vec<&str> = ["--allow", &allow, "--"].into_iter().chain(line).collect();
    let outcome = offline(&world, &args)
        .call("read_text_file", json!({ "path": format!("{docs}/a.txt") }))
        .run(Sdk::TypeScript);
    assert_eq!(outcome.text(0), "by npx", "{outcome:?}");
    let packages = world.events("package_prepared");
    let own = packages
        .iter()
        .find(|event| event["package"] == "@modelcontextprotocol/server-filesystem")
        .unwrap_or_else(|| panic!("{packages:?}"));
    assert_eq!(own["registry"], "npm");
    assert!(own["integrity"].as_str().unwrap().starts_with("sha512-"));
    world.settled();
}

#[test]
fn uvx_fetches_once_and_runs_without_network() {
    let world = World::new();
    let line = ["uvx", "mcp-server-time", "--local-timezone", "Etc/UTC"];
    prepared(&world, &line);
    let args: Vec<&str> = ["--"].into_iter().chain(line).collect();
    let outcome = offline(&world, &args)
        .call("get_current_time", json!({ "timezone": "Etc/UTC" }))
        .run(Sdk::Python);
    assert!(!outcome.failed(0), "{outcome:?}");
    let packages = world.events("package_prepared");
    assert_eq!(packages[0]["package"], "mcp-server-time");
    assert_eq!(packages[0]["registry"], "pypi");
    world.settled();
}

#[test]
fn a_package_that_cannot_be_had_is_a_refused_plugin_and_said_why() {
    let world = World::new();
    let mut command = world.bailiwick(&["serve", "--", "npx", "-y", "no-such-server@1.0.0"]);
    let settings = format!("registry={NOWHERE}\nfetch-retries=0\n");
    command.env("npm_config_userconfig", world.file("npmrc", &settings));
    let mut gate = crate::support::Gate::start(command, crate::support::Family::Legacy);
    assert!(gate.tools().is_empty());
    let words = gate.end();
    assert!(words.contains("no-such-server"), "{words}");
    let refused = world.events("plugin_refused");
    assert!(
        refused[0]["reason"]
            .as_str()
            .unwrap()
            .contains("no-such-server")
    );
    assert!(world.events("plugin_start").is_empty());
    world.settled();
}

#[test]
fn l30_a_launcher_that_hands_a_line_to_a_shell_is_refused() {
    let world = World::new();
    let trace = PathBuf::from(world.path("trace"));
    let line = format!("touch {}", path_text(&trace));
    let mut gate = world.serve(
        crate::support::Family::Modern,
        &["--", "npx", "-y", "-c", &line],
    );
    assert!(gate.tools().is_empty());
    let words = gate.end();
    assert!(words.contains("shell"), "{words}");
    assert!(!trace.exists());
    world.settled();
}

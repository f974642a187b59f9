//! Keys, the state folder and the log on disk.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::support::{Family, Script, World, text};

fn mode(world: &World, rest: &str, mode: u32) {
    let path = world.home().join(rest);
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let world = World::new();
    assert_eq!(world.run(&["exec", "--", "true"]).status, 0);
    for loose in [0o644, 0o640, 0o604, 0o620] {
        mode(&world, "token.key", loose);
        let ended = world.run(&["exec", "--", "true"]);
        assert_eq!(ended.status, 2, "{loose:o}: {ended:?}");
        assert!(
            ended.stderr.contains("token.key") && ended.stderr.contains("chmod 600"),
            "it says how to mend it: {ended:?}"
        );
        let serve = world.run(&["serve", "--", "cat"]);
        assert_eq!(serve.status, 2, "{serve:?}");
    }
    mode(&world, "token.key", 0o600);
    assert_eq!(world.run(&["exec", "--", "true"]).status, 0);
    world.settled();
}

#[test]
fn a_key_that_is_a_link_or_no_key_is_refused() {
    let world = World::new();
    let other = world.file("elsewhere", "x");
    std::os::unix::fs::symlink(&other, world.home().join("token.key")).unwrap();
    assert_eq!(world.run(&["exec", "--", "true"]).status, 2);
    std::fs::remove_file(world.home().join("token.key")).unwrap();
    world.file("home/token.key", "short");
    mode(&world, "token.key", 0o600);
    let ended = world.run(&["exec", "--", "true"]);
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("is no key"), "{ended:?}");
}

#[test]
fn a_state_folder_that_others_may_enter_is_refused() {
    let world = World::new();
    mode(&world, "", 0o755);
    let ended = world.run(&["exec", "--", "true"]);
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("chmod 700"), "{ended:?}");
}

#[test]
fn a_relative_or_absent_state_folder_is_refused() {
    let world = World::new();
    let mut command = world.bailiwick(&["exec", "--", "true"]);
    command.env("BAILIWICK_HOME", "here");
    let ended = crate::support::run(command, "");
    assert_eq!(ended.status, 2, "{ended:?}");
    let mut command = world.bailiwick(&["exec", "--", "true"]);
    command.env_remove("BAILIWICK_HOME");
    let ended = crate::support::run(command, "");
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("BAILIWICK_HOME"), "{ended:?}");
}

#[test]
fn the_log_of_a_session_that_was_changed_afterwards_is_caught() {
    let world = World::new();
    world.configure(&[&Script::WELL.put(&world)], "");
    let mut gate = world.serve(Family::Modern, &[]);
    let result = gate.call("good__echo", json!({ "text": "logged" }));
    assert_eq!(text(&result), "logged");
    gate.end();
    world.settled();
    let bundle = std::process::Command::new("grep")
        .args(["-rl", "good__echo"])
        .arg(world.home().join("audit"))
        .output()
        .unwrap();
    let files = String::from_utf8(bundle.stdout).unwrap();
    let file = files.lines().next().expect("the call is in a file");
    let bytes = std::fs::read(file).unwrap();
    let at = bytes
        .windows(10)
        .position(|window| window == b"good__echo")
        .unwrap();
    let mut changed = bytes.clone();
    changed[at + 6] = b'E';
    std::fs::write(file, changed).unwrap();
    let verified = world.run(&["audit", "verify"]);
    assert_eq!(verified.status, 1, "{verified:?}");
    let shown = world.run(&["audit", "verify", "--json"]);
    assert_eq!(shown.status, 1);
    let report: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(report["logs"][0]["ok"], false);
    assert!(
        report["logs"][0]["findings"][0]["entry"].is_u64(),
        "{report}"
    );
    std::fs::write(file, bytes).unwrap();
    world.settled();
}

#[test]
fn there_is_no_log_before_the_first_gate() {
    let world = World::new();
    for command in ["verify", "tail", "query"] {
        let ended = world.run(&["audit", command]);
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.contains("there is no log yet"), "{ended:?}");
    }
}

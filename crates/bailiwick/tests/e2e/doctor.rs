//! `bailiwick doctor`: what it says is what happens.

use std::process::Command;

use serde_json::Value;

use crate::support::{Ended, World};

fn told(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

fn holds(told: &Value, list: &str, name: &str) -> bool {
    let all = told[list].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}"))["holds"] == true
}

/// The command in a user namespace whose part of the machine is its own to restrict.
fn restricted(world: &World, line: &str, args: &str) -> Ended {
    let doctor = world.bailiwick(&[]);
    let binary = doctor.get_program().to_str().unwrap().to_owned();
    let line = format!("{line} && exec '{binary}' {args}");
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "/bin/sh", "-c", &line])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("BAILIWICK_HOME", world.home())
        .current_dir(world.root());
    crate::support::run(command, "")
}

const NO_NAMESPACES: &str = "echo 0 > /proc/sys/user/max_user_namespaces";

#[test]
fn it_says_what_holds_and_its_status_agrees() {
    let world = World::new();
    let ended = world.run(&["doctor", "--json"]);
    let told = told(&ended);
    let walls = told["walls"].as_array().unwrap();
    let all = walls.iter().all(|wall| wall["holds"] == true);
    assert_eq!(ended.status, if all { 0 } else { 1 }, "{ended:?}");
    for name in [
        "native",
        "userns",
        "landlock",
        "landlock-3",
        "seccomp",
        "mount-api",
    ] {
        assert!(
            holds(&told, "facts", name),
            "{name}: this machine runs the other tests"
        );
    }
    for wall in walls {
        assert!(wall["holds"] == true || wall["mend"].is_string(), "{wall}");
    }
    let shown = world.run(&["doctor"]);
    assert_eq!(shown.status, ended.status);
    for part in [
        "Linux",
        "landlock",
        "what was refused is seen",
        "npm packages",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
}

#[test]
fn l13_without_user_namespaces_it_names_the_setting_and_nothing_runs_with_less() {
    let world = World::new();
    let ended = restricted(&world, NO_NAMESPACES, "doctor --json");
    assert_eq!(ended.status, 1, "{ended:?}");
    let told = told(&ended);
    for name in ["native", "userns", "netns", "mount-api"] {
        assert!(!holds(&told, "facts", name), "{name}");
    }
    assert!(holds(&told, "facts", "landlock"), "it stands by itself");
    for name in ["files", "no network", "programs", "memory"] {
        assert!(!holds(&told, "walls", name), "{name}");
    }
    assert!(
        ended.stdout.contains("user.max_user_namespaces"),
        "{ended:?}"
    );
    let trace = world.path("trace");
    let exec = restricted(&world, NO_NAMESPACES, &format!("exec -- touch '{trace}'"));
    assert_eq!(exec.status, 125, "{exec:?}");
    assert!(exec.stderr.contains("max_user_namespaces"), "{exec:?}");
    assert!(!std::path::Path::new(&trace).exists());
}

#[test]
fn a_policy_can_require_a_wall_and_exec_is_refused_without_it() {
    let world = World::new();
    let policy = |name: &str| {
        let text = format!(
            "@id(\"walls\") forbid (principal, action, resource) unless {{ context.machine.contains(Machine::\"{name}\") }};"
        );
        world.file(&format!("{name}.cedar"), &text)
    };
    let file = world.file("a.txt", "x");
    let allow = format!("read_files:{file}");
    let on = |name: &str| {
        world.run(&[
            "exec",
            "--policy",
            &policy(name),
            "--allow",
            &allow,
            "--",
            "cat",
            &file,
        ])
    };
    assert_eq!(on("userns").status, 0);
    let facts = told(&world.run(&["doctor", "--json"]));
    let lacking = ["apparmor", "cgroup-memory", "kvm"]
        .into_iter()
        .find(|name| !holds(&facts, "facts", name));
    // A machine that has them all shows nothing here: the gate's own test then does.
    if let Some(lacking) = lacking {
        let ended = on(lacking);
        assert_eq!(ended.status, 126, "{ended:?}");
        assert!(ended.stderr.contains("walls"), "{ended:?}");
    }
    let typo = world.run(&["exec", "--policy", &policy("usrens"), "--", "true"]);
    assert_eq!(typo.status, 2, "{typo:?}");
}

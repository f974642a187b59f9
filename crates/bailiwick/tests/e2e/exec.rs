//! `bailiwick exec`: the same wall around any program, which otherwise behaves as if it were not there.

use std::process::Command;

use crate::ordinary::as_ordinary;
use crate::support::{PYTHON, World, kind};

/// Runs a script inside, with nothing allowed but `allow`.
fn script(world: &World, allow: &[&str], script: &str, input: &str) -> crate::support::Ended {
    let allow = allow.iter().flat_map(|atom| ["--allow", atom]);
    let args: Vec<&str> = ["exec"]
        .into_iter()
        .chain(allow)
        .chain(["--", "/bin/sh", "-c", script])
        .collect();
    world.run_with_input(&args, input)
}

#[test]
fn the_exit_status_passes_through() {
    let world = World::new();
    let status = |text: &str| script(&world, &[], text, "").status;
    assert_eq!(status("exit 0"), 0);
    assert_eq!(status("exit 3"), 3);
    assert_eq!(status("kill -9 $$"), 128 + 9);
    assert_eq!(status("kill -15 $$"), 128 + 15);
    world.settled();
}

#[test]
fn standard_streams_pass_through() {
    let world = World::new();
    let ended = script(
        &world,
        &[],
        "read line; echo \"got $line\"; echo oops >&2",
        "this\n",
    );
    assert_eq!(ended.stdout, "got this\n", "{ended:?}");
    assert_eq!(ended.stderr, "oops\n", "nothing of ours between: {ended:?}");
}

#[test]
fn what_was_granted_is_there_and_nothing_else() {
    let world = World::new();
    let file = world.file("in/a.txt", "granted");
    let other = world.file("secret/key", "canary");
    let out = world.folder("out");
    let folder = world.path("in");
    let allow = [
        format!("read_files:{folder}/"),
        format!("read_files:{out}/"),
        format!("write_files:{out}/"),
    ];
    let allow: Vec<&str> = allow.iter().map(String::as_str).collect();
    let program = format!(
        "import os\nprint(open('{file}').read())\nopen('{out}/b', 'w').write('made')\n\
         for path in ['{other}', '/etc/hostname', '/root', '{folder}/new']:\n\
         \x20 try:\n    open(path, 'w' if path.endswith('new') else 'r')\n    print('through', path)\n\
         \x20 except OSError: pass\n"
    );
    let mut args = vec!["exec"];
    args.extend(allow.iter().flat_map(|atom| ["--allow", atom]));
    args.extend(["--", PYTHON, "-c", &program]);
    let ended = world.run(&args);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (0, "granted\n"),
        "{ended:?}"
    );
    assert_eq!(world.read("out/b"), "made");
    let entries = world.settled();
    // What it looked for in vain depends on the machine.
    let steps = entries.iter().map(kind);
    // The log's own first words are not of the program.
    let kinds: Vec<&str> = steps
        .filter(|kind| !["operation_denied", "key_change"].contains(kind))
        .collect();
    assert_eq!(
        kinds,
        [
            "gate_start",
            "session_start",
            "request",
            "decision",
            "token_minted",
            "plugin_start",
            "plugin_end",
            "session_end",
            "gate_stop"
        ]
    );
}

#[test]
fn a_manifest_says_what_to_ask_for() {
    let world = World::new();
    let file = world.file("in/a.txt", "granted");
    let manifest = world.file(
        "asks.yaml",
        &format!(
            "id: asks\nversion: 1.0.0\nrequired_capabilities: [\"read_files:{file}\"]\nruntime: {{command: [cat]}}\n"
        ),
    );
    let refused = world.run(&["exec", "--manifest", &manifest, "--", "cat", &file]);
    assert_eq!(refused.status, 126, "asked is not granted: {refused:?}");
    world.configure(&[], &world.files_policy());
    let granted = world.run(&["exec", "--manifest", &manifest, "--", "cat", &file]);
    assert_eq!(
        (granted.status, granted.stdout.as_str()),
        (0, "granted"),
        "{granted:?}"
    );
    world.settled();
}

/// Constants whose reading was granted, and limits, are those of the manifest.
#[test]
fn a_manifest_says_what_surrounds_the_program() {
    let world = World::new();
    let manifest = world.file(
        "asks.yaml",
        "id: asks\nversion: 1.0.0\nrequired_capabilities: [\"read_environment:GIVEN\"]\n\
         runtime: {command: [cat], env: {GIVEN: constant}, limits: {processes: 4}}\n",
    );
    let script = "import os\nprint(os.environ['GIVEN'])\nmade = 0\n\
                  for _ in range(20):\n\
                  \x20   try:\n        if os.fork() == 0: import time; time.sleep(60)\n        made += 1\n\
                  \x20   except OSError: break\nprint(made < 20, flush=True)\nos._exit(0)\n";
    let atom = "read_environment:GIVEN";
    let args = ["exec", "--allow", atom, "--manifest", &manifest];
    let ended = world.run(&[&args[..], &["--", PYTHON, "-c", script]].concat());
    assert!(ended.stdout.starts_with("constant\n"), "{ended:?}");
    assert!(!ended.stdout.contains("False"), "more than four: {ended:?}");
    world.settled();
}

#[test]
fn what_policy_forbids_is_126_also_where_a_person_allows_it() {
    let world = World::new();
    let refused = world.run(&["exec", "--allow", "read_files:/etc/shadow", "--", "cat"]);
    assert_eq!(refused.status, 126, "{refused:?}");
    assert!(refused.stderr.contains("no-secrets"), "{refused:?}");
    let events = world.events("plugin_refused");
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(world.events("plugin_start").is_empty());
    world.settled();
}

#[test]
fn what_the_wall_cannot_hold_is_126() {
    let world = World::new();
    let atom = "network_listen:127.0.0.1:8080";
    let refused = world.run(&["exec", "--allow", atom, "--", "true"]);
    assert_eq!(refused.status, 126, "{refused:?}");
    assert!(refused.stderr.contains("cannot be enforced"), "{refused:?}");
    world.settled();
}

#[test]
fn a_capability_that_is_none_is_a_usage_error() {
    let world = World::new();
    for atom in ["read_everything:/x", "read_files:x", "read_files:/a/../b"] {
        let ended = world.run(&["exec", "--allow", atom, "--", "true"]);
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.contains("--allow"), "{ended:?}");
    }
}

#[test]
fn a_program_that_is_not_there_is_2() {
    let world = World::new();
    for name in ["no-such-program", "/no/such/program"] {
        let ended = world.run(&["exec", "--", name]);
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.contains(name), "{ended:?}");
    }
    world.settled();
}

#[test]
fn l13_an_ordinary_user_without_a_wall_runs_nothing_either() {
    if as_ordinary("exec::l13_an_ordinary_user_without_a_wall_runs_nothing_either") {
        nothing_runs_without_a_wall();
    }
}

#[test]
fn l13_a_wall_that_cannot_be_built_is_125_and_nothing_runs() {
    nothing_runs_without_a_wall();
}

/// In a user namespace of its own the bound is this test's alone.
fn nothing_runs_without_a_wall() {
    let world = World::new();
    let trace = world.path("trace");
    let exec = world.bailiwick(&[]);
    let binary = exec.get_program().to_str().unwrap().to_owned();
    let line = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces && exec '{binary}' exec -- touch '{trace}'"
    );
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "/bin/sh", "-c", &line])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("BAILIWICK_HOME", world.home())
        .current_dir(world.root());
    let output = command
        .output()
        .expect("unshare (util-linux) is there; run `cargo xtask setup`");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{words}");
    assert!(
        words.contains("max_user_namespaces"),
        "it says how to mend it: {words}"
    );
    assert!(!std::path::Path::new(&trace).exists());
    let kinds: Vec<String> = world.entries().iter().map(|e| kind(e).to_owned()).collect();
    assert!(!kinds.contains(&"plugin_start".to_owned()), "{kinds:?}");
}

#[test]
fn no_descriptor_is_inherited() {
    let world = World::new();
    let secret = world.file("secret/key", "canary");
    let line =
        |program: &str| format!("exec 7< '{secret}'; {program} cat /proc/self/fd/7; cat <&7");
    let bare = Command::new("/bin/sh")
        .args(["-c", &line("")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&bare.stdout), "canarycanary");
    let exec = world.bailiwick(&[]);
    let inner = "cat <&7 || ls /proc/self/fd | grep -c 7";
    let shell = format!(
        "exec 7< '{secret}'; exec '{}' exec -- /bin/sh -c '{inner}'",
        exec.get_program().to_str().unwrap()
    );
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &shell])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("BAILIWICK_HOME", world.home())
        .current_dir(world.root());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("canary"), "{said}");
    assert_ne!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn l20_the_environment_is_made_from_nothing() {
    let world = World::new();
    let mut command = world.bailiwick(&["exec", "--allow", "read_environment:APP_*", "--", "env"]);
    command
        .env("APP_MODE", "granted")
        .env("SECRET_TOKEN", "canary");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("APP_MODE=granted"), "{output:?}");
    assert!(
        !said.contains("canary") && !said.contains("BAILIWICK"),
        "{said}"
    );
}

#[test]
fn explain_runs_nothing() {
    let world = World::new();
    let trace = world.path("trace");
    let ended = world.run(&["exec", "--explain", "--", "touch", &trace]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(!ended.stdout.is_empty());
}

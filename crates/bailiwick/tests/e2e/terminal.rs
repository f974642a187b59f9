//! `bailiwick exec` at a terminal: a real one, with somebody who types.

use std::process::Command;

use bailiwick_testkit::user;
use serde_json::{Value, json};

use crate::ordinary::as_ordinary;
use crate::support::World;

const TYPIST: &str = include_str!("typist.py");

/// What a shell with its usual helpers is granted by hand.
const SHELL: [&str; 6] = [
    "execute_shell:/bin/bash",
    "execute_code:stty",
    "execute_code:sleep",
    "execute_code:tty",
    "execute_code:cat",
    "execute_code:python3",
];

pub(crate) fn operator(world: &World) {
    let roles = "{roles: [trusted-operator]}";
    world.file(
        "bailiwick.yaml",
        &format!("users:\n  root: {roles}\n  nobody: {roles}\n  uid-65534: {roles}\n"),
    );
}

/// Types `steps` at a terminal on which `exec` runs.
pub(crate) fn at_terminal(world: &World, args: &[&str], steps: &Value) -> Value {
    let exec = world.bailiwick(&[]);
    let typist = world.file("typist.py", TYPIST);
    let mut command = Command::new("python3");
    command
        .arg(typist)
        .arg(steps.to_string())
        .arg(exec.get_program())
        .arg("exec")
        .args(args);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TERM", "ansi")
        .env("BAILIWICK_HOME", world.home())
        .current_dir(world.root());
    let ended = crate::support::run(command, "");
    let last = ended.stdout.lines().last().unwrap_or_default();
    let told: Value =
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert_eq!(told["failed"], Value::Null, "{told:#}");
    told
}

fn shell(world: &World, steps: &Value) -> Value {
    operator(world);
    let mut args: Vec<&str> = SHELL.iter().flat_map(|atom| ["--allow", atom]).collect();
    args.extend(["--", "bash", "--norc", "--noprofile", "-i"]);
    at_terminal(world, &args, steps)
}

pub(crate) fn printed(told: &Value) -> &str {
    told["printed"].as_str().unwrap()
}

fn a_shell_with_job_control(world: &World) {
    let told = shell(
        world,
        &json!([
            ["see", "$ "],
            ["type", "stty size\r"],
            ["see", "24 80"],
            ["size", 41, 101],
            ["pause", 1],
            ["type", "stty size; tty\r"],
            ["see", "41 101"],
            ["see", "/dev/pts/0"],
            ["type", "sleep 600\r"],
            ["pause", 1],
            ["type", "\u{1a}"],
            ["see", "Stopped"],
            ["type", "jobs\r"],
            ["see", "sleep 600"],
            ["type", "fg\r"],
            ["see", "sleep 600"],
            ["pause", 1],
            ["type", "\u{3}"],
            ["type", "echo ended=$?\r"],
            ["see", "ended=130"],
            ["type", "cat\r"],
            ["pause", 1],
            ["type", "typed\r"],
            ["see", "typed\r\ntyped"],
            ["type", "\u{4}"],
            ["type", "exit 7\r"],
        ]),
    );
    assert_eq!(told["status"], 7, "{told:#}");
    assert!(
        printed(&told).contains("[outside: ended, modes restored]"),
        "{told:#}"
    );
    world.settled();
}

#[test]
fn a_shell_has_size_job_control_and_end_of_file() {
    a_shell_with_job_control(&World::new());
}

#[test]
fn an_ordinary_user_has_a_shell_with_job_control() {
    if as_ordinary("terminal::an_ordinary_user_has_a_shell_with_job_control") {
        a_shell_with_job_control(&World::new());
    }
}

/// One program alone stops as it would without us: whoever started `exec` goes on, and brings it back.
#[test]
fn a_stopped_program_gives_the_terminal_back_and_goes_on() {
    let world = World::new();
    let told = at_terminal(
        &world,
        &["--", "cat"],
        &json!([
            ["pause", 2],
            ["type", "one\r"],
            ["see", "one\r\none"],
            ["type", "\u{1a}"],
            ["see", "[outside: paused, modes restored]"],
            ["type", "back\r"],
            ["pause", 1],
            ["type", "two\r"],
            ["see", "two\r\ntwo"],
            ["type", "\u{4}"],
        ]),
    );
    assert_eq!(told["status"], 0, "{told:#}");
    assert!(
        printed(&told).contains("[outside: ended, modes restored]"),
        "{told:#}"
    );
    world.settled();
}

#[test]
fn what_interrupts_ends_the_program_and_the_modes_come_back() {
    let world = World::new();
    for (key, status) in [("\u{3}", 130), ("\u{1c}", 131)] {
        let steps = json!([["pause", 2], ["type", key]]);
        let told = at_terminal(&world, &["--", "sleep", "600"], &steps);
        assert_eq!(told["status"], status, "{told:#}");
        assert!(
            printed(&told).contains("[outside: ended, modes restored]"),
            "{told:#}"
        );
    }
    let steps = json!([["see", "--limit time"]]);
    let told = at_terminal(
        &world,
        &["--limit", "time=1s", "--", "sleep", "600"],
        &steps,
    );
    assert_eq!(told["status"], 124, "{told:#}");
    assert!(
        printed(&told).contains("[outside: ended, modes restored]"),
        "{told:#}"
    );
    world.settled();
}

/// TIOCSTI types into a terminal as if its person had: outside it would become a command of theirs.
#[test]
fn nothing_is_typed_into_the_persons_terminal() {
    let world = World::new();
    let line = "import fcntl,os,sys\n\
                for path in ['/dev/tty','/dev/pts/0','/dev/fd/0','/dev/fd/1','/dev/fd/2']:\n\
                \x20try: fcntl.ioctl(os.open(path, os.O_RDWR), 0x5412, b'X'); print('TYPED', path)\n\
                \x20except OSError as error: print('held', error.errno)\n\
                print(sorted(os.listdir('/dev/pts')), os.ttyname(0))";
    let told = at_terminal(
        &world,
        &["--", "python3", "-c", line],
        &json!([["see", "/dev/pts/0"]]),
    );
    assert_eq!(told["status"], 0, "{told:#}");
    assert!(!printed(&told).contains("TYPED"), "{told:#}");
    assert!(
        printed(&told).contains("['0', 'ptmx'] /dev/pts/0"),
        "only its own: {told:#}"
    );
    world.settled();
}

/// Programs that make terminals find them, at a terminal or not.
#[test]
fn a_program_makes_terminals_of_its_own() {
    let world = World::new();
    let line = "import os,pty\npid, fd = pty.fork()\nif pid == 0: os.write(1, os.ttyname(0).encode()); os._exit(0)\n\
                print(os.read(fd, 100).decode())";
    let ended = world.run(&["exec", "--", "python3", "-c", line]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (0, "/dev/pts/0\n"),
        "{ended:?}"
    );
    world.settled();
}

/// What people trip over: a program that is a link is there under the name that was granted.
#[test]
fn a_granted_program_is_there_under_its_own_name() {
    let world = World::new();
    operator(&world);
    let line = "import os; os.execv('/bin/sh', ['sh', '-c', 'echo by its name'])";
    let bare = world.run(&["exec", "--", "python3", "-c", line]);
    assert_ne!(bare.status, 0, "nobody granted it: {bare:?}");
    let allow = "execute_shell:/bin/sh";
    let ended = world.run(&["exec", "--allow", allow, "--", "python3", "-c", line]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (0, "by its name\n"),
        "{ended:?}"
    );
    assert!(user::is_root() || ended.status == 0);
    world.settled();
}

/// What a coding agent does: a build by named programs, a look at the sources, an edit in place.
#[test]
fn a_build_and_an_edit_work_with_named_programs() {
    let world = World::new();
    operator(&world);
    let dir = world.folder("work");
    world.file(
        "work/hello.c",
        "#include <stdio.h>\nint main(void) { puts(\"built\"); return 0; }\n",
    );
    world.file("work/Makefile", "hello: hello.c\n\tcc -o hello hello.c\n");
    let (read, write) = (format!("read_files:{dir}/"), format!("write_files:{dir}/"));
    let mut args = vec![
        "exec",
        "--allow",
        &read,
        "--allow",
        &write,
        "--allow",
        "execute_shell:/bin/sh",
    ];
    for program in [
        "execute_code:cc",
        "execute_code:as",
        "execute_code:ld",
        "execute_code:sed",
        "execute_code:grep",
    ] {
        args.extend(["--allow", program]);
    }
    let run = |rest: &[&str]| {
        let mut command = world.bailiwick(&[&args[..], &["--"], rest].concat());
        command.current_dir(&dir);
        crate::support::run(command, "")
    };
    let edited = run(&["sed", "-i", "s/built/made/", "hello.c"]);
    assert_eq!(edited.status, 0, "{edited:?}");
    assert!(world.read("work/hello.c").contains("made"));
    let found = run(&["grep", "-rn", "made", "."]);
    assert!(found.stdout.contains("hello.c:2"), "{found:?}");
    let built = run(&["make"]);
    assert_eq!(built.status, 0, "{built:?}");
    let made = Command::new(format!("{dir}/hello")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&made.stdout), "made\n");
    world.settled();
}

//! The memory of what holds secrets, to other processes of the same user.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use bailiwick_testkit::user;
use serde_json::json;

use crate::ordinary::as_ordinary;
use crate::support::{Family, Gate, PYTHON, World};

const CANARY: &str = "canary-memory-81c4e0d97a";

/// Says how often the canary's two halves stand together in a process's memory.
const READER: &str = r"
import re, sys
pid, needle, found = sys.argv[1], (sys.argv[2] + sys.argv[3]).encode(), 0
with open('/proc/%s/maps' % pid) as maps, open('/proc/%s/mem' % pid, 'rb', 0) as memory:
    for line in maps:
        first, last, mode = re.match(r'([0-9a-f]+)-([0-9a-f]+) (....)', line).groups()
        if mode[0] != 'r': continue
        try:
            memory.seek(int(first, 16)); found += memory.read(int(last, 16) - int(first, 16)).count(needle)
        except (OSError, ValueError, OverflowError): pass
print('found', found)
";

/// Without the capability that reads every process, which makes root a user like others.
fn plain(command: &Command) -> Command {
    let mut plain = Command::new("setpriv");
    if user::is_root() {
        plain.args(["--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"]);
    }
    plain
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    plain.env_clear();
    for (name, value) in command.get_envs() {
        plain.env(name, value.unwrap_or_default());
    }
    if let Some(dir) = command.get_current_dir() {
        plain.current_dir(dir);
    }
    plain
}

/// What a reader of the same user finds of the canary in `pid`: how often, or why not.
fn read(pid: u32) -> Result<u32, String> {
    let (first, last) = CANARY.split_at(9);
    let mut reader = Command::new(PYTHON);
    reader.args(["-c", READER, &pid.to_string(), first, last]);
    let read = plain(&reader).output().unwrap();
    let said = String::from_utf8_lossy(&read.stdout).into_owned();
    match said.trim().strip_prefix("found ") {
        Some(count) => Ok(count.parse().unwrap()),
        None => Err(String::from_utf8_lossy(&read.stderr).into_owned()),
    }
}

/// The same reader finds it in a process that does nothing about it.
fn reader_finds_it_elsewhere() {
    let mut careless = Command::new(PYTHON);
    careless.args([
        "-c",
        "import sys; print('up', flush=True); sys.stdin.read()",
        CANARY,
    ]);
    let mut careless = up(&mut plain(&careless));
    let found = read(careless.id());
    careless.kill().unwrap();
    careless.wait().unwrap();
    assert!(matches!(found, Ok(1..)), "{found:?}");
}

fn up(command: &mut Command) -> Child {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "up\n");
    child
}

fn closed(pid: u32) {
    let found = read(pid);
    assert!(
        found
            .as_ref()
            .is_err_and(|why| why.contains("PermissionError")),
        "{found:?}"
    );
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let cores = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let cores: Vec<&str> = cores.unwrap().split_whitespace().skip(4).take(2).collect();
    assert_eq!(cores, ["0", "0"], "{limits}");
}

const GRANTS: [&str; 4] = [
    "--allow",
    "network_access:https://api.example.com",
    "--allow",
    "use_secret:api_token",
];

fn keep(world: &World) {
    let set = [
        "secret",
        "set",
        "api_token",
        "--to",
        "https://api.example.com",
    ];
    let kept = world.run_with_input(&set, &format!("{CANARY}\n"));
    assert_eq!(kept.status, 0, "{kept:?}");
}

fn exec_is_closed() {
    reader_finds_it_elsewhere();
    let world = World::new();
    keep(&world);
    let words = [
        &["exec"],
        &GRANTS[..],
        &["--", "sh", "-c", "echo up; read -r end"],
    ]
    .concat();
    let mut exec = up(&mut plain(&world.bailiwick(&words)));
    closed(exec.id());
    drop(exec.stdin.take());
    exec.wait().unwrap();
    world.settled();
}

fn serve_is_closed() {
    reader_finds_it_elsewhere();
    let world = World::new();
    keep(&world);
    let script = world.file("plugin.py", include_str!("plugin.py"));
    let reads = format!("read_files:{script}");
    let command = ["--allow", &reads, "--", PYTHON, &script];
    let words = [&["serve"], &GRANTS[..], &command[..]].concat();
    let mut gate = Gate::start(plain(&world.bailiwick(&words)), Family::Legacy);
    let said = gate.call("echo", json!({ "text": "hello" }));
    if !said.to_string().contains("hello") {
        panic!("{said}: {}", gate.end());
    }
    closed(gate.pid());
    gate.end();
    world.settled();
}

#[test]
fn no_other_process_reads_a_secret_out_of_exec() {
    exec_is_closed();
}

#[test]
fn no_other_process_reads_a_secret_out_of_exec_of_an_ordinary_user() {
    if as_ordinary("memory::no_other_process_reads_a_secret_out_of_exec_of_an_ordinary_user") {
        exec_is_closed();
    }
}

#[test]
fn no_other_process_reads_a_secret_out_of_serve() {
    serve_is_closed();
}

#[test]
fn no_other_process_reads_a_secret_out_of_serve_of_an_ordinary_user() {
    if as_ordinary("memory::no_other_process_reads_a_secret_out_of_serve_of_an_ordinary_user") {
        serve_is_closed();
    }
}

//! The host's own standard streams, and what they must not bring along.

use std::fs::File;
use std::process::{Command, Stdio};

use bailiwick_jail::{Native, Stdio as Streams};
use bailiwick_wall::{Limits, Program};

use crate::world::{BLOCKED, World, program};

/// Runs an attack with this stdin: bare, or in a host of its own that hands it its streams.
fn run(world: &World, attack: &str, stdin: &str, inside: bool) -> (Option<i32>, String) {
    let entry = ["probe_entry", "streams::inherit_entry"][usize::from(inside)];
    let output = Command::new(world.probe())
        .args(["--exact", entry, "--nocapture", "--test-threads=1"])
        .env(
            ["BAILIWICK_PROBE", "BAILIWICK_INHERIT"][usize::from(inside)],
            attack,
        )
        .stdin(Stdio::from(File::open(stdin).unwrap()))
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// Not a test of its own: a host that lets the probe inherit.
#[test]
fn inherit_entry() {
    let Some(attack) = std::env::var_os("BAILIWICK_INHERIT") else {
        return;
    };
    let own = std::env::current_exe().unwrap();
    let arguments = ["--exact", "probe_entry", "--nocapture", "--test-threads=1"];
    let program = Program {
        args: arguments.map(Into::into).into(),
        env: vec![("BAILIWICK_PROBE".into(), attack)],
        ..program(&own)
    };
    let grant = crate::world::grant(&[]);
    let code =
        match Native::probe()
            .unwrap()
            .spawn(&program, &grant, &Limits::default(), Streams::Inherit)
        {
            Ok(mut jailed) => jailed.wait().unwrap().code().unwrap_or(1),
            Err(error) => {
                println!("not started: {error}");
                BLOCKED
            }
        };
    std::process::exit(code);
}

fn attack(world: &World, attack: &str, stdin: &str) {
    let (bare, output) = run(world, attack, stdin, false);
    assert_eq!(bare, Some(0), "bare, `{attack}` must succeed: {output}");
    let (inside, output) = run(world, attack, stdin, true);
    assert_eq!(
        inside,
        Some(BLOCKED),
        "inside, `{attack}` must fail: {output}"
    );
}

#[test]
fn l20_a_folder_as_stdin_does_not_lead_past_the_wall() {
    let world = World::new();
    let folder = world.path("secret").display().to_string();
    attack(&world, "chmod-below-stdin key", &folder);
}

#[test]
fn l16_the_hosts_null_device_as_stdin_stays_as_it_is() {
    if rustix::process::geteuid().is_root() {
        attack(&World::new(), "chmod-stdin", "/dev/null");
    }
}

#[test]
fn ordinary_streams_are_handed_over() {
    let world = World::new();
    let file = world.path("read/data").display().to_string();
    for stdin in [file.as_str(), "/dev/null"] {
        let (code, output) = run(&world, "stdin-and-stdout-work", stdin, true);
        assert_eq!(code, Some(0), "{stdin}: {output}");
    }
}

//! Beginning and end: statuses, signals, orphans, limits, failures.

use std::io::{Read, Write};
use std::time::Duration;

use bailiwick_jail::{Native, Stdio};
use bailiwick_wall::{Limits, Program, WallError};

use crate::world::{World, copy_program, grant, program, run};

fn sh(script: &str) -> Program {
    Program {
        args: vec!["-c".into(), script.into()],
        ..program("/bin/sh".as_ref())
    }
}

fn none() -> bailiwick_capability::Grant {
    grant(&[])
}

fn code(script: &str, limits: &Limits) -> Option<i32> {
    run(&sh(script), &none(), limits).unwrap().status.code()
}

#[test]
fn the_exit_status_passes_through() {
    assert_eq!(code("exit 0", &Limits::default()), Some(0));
    assert_eq!(code("exit 7", &Limits::default()), Some(7));
    assert_eq!(code("kill -9 $$", &Limits::default()), Some(137));
}

#[test]
fn stdio_passes_through() {
    let mut jailed = Native::probe()
        .unwrap()
        .spawn(
            &sh("cat; echo done >&2"),
            &none(),
            &Limits::default(),
            Stdio::Piped,
        )
        .unwrap();
    let mut stdin = std::fs::File::from(jailed.stdin.take().unwrap());
    stdin.write_all(b"through").unwrap();
    drop(stdin);
    let read = |end: Option<std::os::fd::OwnedFd>| {
        let mut text = String::new();
        std::fs::File::from(end.unwrap())
            .read_to_string(&mut text)
            .unwrap();
        text
    };
    assert_eq!(read(jailed.stdout.take()), "through");
    assert_eq!(read(jailed.stderr.take()), "done\n");
    assert!(jailed.wait().unwrap().success());
}

#[test]
fn orphans_are_reaped_and_end_with_the_program() {
    // The orphan ignores what the shell's end would send; its output pipe closes only with it.
    let ended = run(
        &sh("(trap '' HUP TERM; sleep 1000) & exit 3"),
        &none(),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(ended.status.code(), Some(3));
    let script = "sh -c 'sleep 0.05 & exit 0'; sleep 0.3
        for round in $(seq 100); do ps ax -o stat= | grep -q Z || exit 0; sleep 0.1; done; exit 1";
    assert_eq!(code(script, &Limits::default()), Some(0));
}

#[test]
fn kill_ends_everything_inside() {
    let mut jailed = Native::probe()
        .unwrap()
        .spawn(
            &sh("sleep 1000 & echo up; wait"),
            &none(),
            &Limits::default(),
            Stdio::Piped,
        )
        .unwrap();
    let mut stdout = std::fs::File::from(jailed.stdout.take().unwrap());
    let mut line = [0; 3];
    stdout.read_exact(&mut line).unwrap();
    jailed.kill().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&jailed.wait().unwrap()),
        Some(9)
    );
    // End of file: nobody inside holds the pipe any more.
    assert_eq!(stdout.read(&mut line).unwrap(), 0);
}

#[test]
fn terminate_reaches_the_program() {
    let script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done";
    let mut jailed = Native::probe()
        .unwrap()
        .spawn(&sh(script), &none(), &Limits::default(), Stdio::Piped)
        .unwrap();
    let mut line = [0; 3];
    std::fs::File::from(jailed.stdout.take().unwrap())
        .read_exact(&mut line)
        .unwrap();
    assert!(jailed.try_wait().unwrap().is_none());
    jailed.terminate().unwrap();
    assert_eq!(jailed.wait().unwrap().code(), Some(5));
}

#[test]
fn dropping_ends_it() {
    let mut jailed = Native::probe()
        .unwrap()
        .spawn(
            &sh("echo up; sleep 1000"),
            &none(),
            &Limits::default(),
            Stdio::Piped,
        )
        .unwrap();
    let mut stdout = std::fs::File::from(jailed.stdout.take().unwrap());
    let mut line = [0; 3];
    stdout.read_exact(&mut line).unwrap();
    drop(jailed);
    assert_eq!(stdout.read(&mut line).unwrap(), 0);
}

/// No thread that started a program needs to live on for it.
#[test]
fn the_program_outlives_the_thread_that_started_it() {
    let start = || {
        Native::probe()
            .unwrap()
            .spawn(
                &sh("read line; echo $line"),
                &none(),
                &Limits::default(),
                Stdio::Piped,
            )
            .unwrap()
    };
    let mut jailed = std::thread::spawn(start).join().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    std::fs::File::from(jailed.stdin.take().unwrap())
        .write_all(b"alive\n")
        .unwrap();
    let mut text = String::new();
    std::fs::File::from(jailed.stdout.take().unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "alive\n");
}

/// The host is a process of its own here, killed without any chance to clean up.
pub(crate) fn ends_with_its_host(script: &str) {
    let world = World::new();
    let mut host = std::process::Command::new(world.probe())
        .args([
            "--exact",
            "life::host_entry",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("BAILIWICK_HOST", script)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = host.stdout.take().unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"inside\n") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    host.kill().unwrap();
    host.wait().unwrap();
    // The program inside holds the pipe, and would for a long time.
    let end = stdout.read_to_end(&mut seen).map(drop);
    assert_eq!(end.map_err(|error| error.kind()), Ok(()));
}

#[test]
fn the_program_ends_when_the_host_is_killed() {
    ends_with_its_host("echo inside; sleep 1000");
}

/// Without any descriptor allowed to it, init could no longer poll; an orphan's end wakes it up to that.
#[test]
fn l11_a_program_that_works_against_its_init_ends_with_the_host_all_the_same() {
    ends_with_its_host(
        "prlimit --pid 1 --nofile=0:0; renice -n 19 -p 1; (sleep 0.1 &); sleep 0.5; echo inside; sleep 1000",
    );
}

/// Not a test of its own: the host of the tests above.
#[test]
fn host_entry() {
    if let Ok(script) = std::env::var("BAILIWICK_HOST") {
        let mut jailed = Native::probe()
            .unwrap()
            .spawn(&sh(&script), &none(), &Limits::default(), Stdio::Inherit)
            .unwrap();
        jailed.wait().unwrap();
    }
}

#[test]
fn many_threads_start_programs_at_once() {
    let threads: Vec<_> = (0..8)
        .map(|number| {
            std::thread::spawn(move || {
                for round in 0..5 {
                    let wanted = (number * 5 + round) % 100;
                    assert_eq!(
                        code(&format!("exit {wanted}"), &Limits::default()),
                        Some(wanted)
                    );
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_program_that_cannot_be_run_is_an_error_and_not_an_exit() {
    let world = World::new();
    let path = world.path("script");
    std::fs::write(world.path("source"), "#!/no/such/interpreter\n").unwrap();
    copy_program(&world.path("source"), &path);
    match run(&program(&path), &none(), &Limits::default()) {
        Err(WallError::Build { what, why }) => assert!(
            what.contains("program itself") && why.contains("interpreter"),
            "{what}: {why}"
        ),
        other => panic!("{:?}", other.map(|ended| ended.status)),
    }
}

#[test]
fn what_cannot_be_held_is_refused_before_anything_starts() {
    let refused = run(
        &sh("exit 0"),
        &grant(&[
            "network_access:https://example.com",
            "read_files:/no/such/place/",
        ]),
        &Limits::default(),
    );
    match refused {
        Err(WallError::Refused(atoms)) => assert_eq!(atoms.len(), 2),
        other => panic!("{:?}", other.map(|ended| ended.status)),
    }
}

#[test]
fn limits_hold() {
    let small = Limits {
        memory_bytes: 64 << 20,
        open_files: 32,
        file_bytes: 1 << 20,
        ..Limits::default()
    };
    assert_ne!(
        code("exec python3 -c 'b\"x\" * (200 << 20)'", &small),
        Some(0)
    );
    assert_eq!(
        code("exec python3 -c 'b\"x\" * (10 << 20)'", &small),
        Some(0)
    );
    assert_ne!(code("head -c 2000000 /dev/zero > /tmp/f", &small), Some(0));
    assert_eq!(
        code("test $(ulimit -n) = 32 && test $(ulimit -c) = 0", &small),
        Some(0)
    );
    // The scratch space is bounded apart from single files: an eighth of the memory.
    assert_ne!(
        code(
            "for i in 1 2 3 4 5 6 7 8 9; do head -c 1000000 /dev/zero > /tmp/$i || exit 1; done",
            &small
        ),
        Some(0)
    );
}

#[test]
fn a_fork_bomb_stays_inside_its_bound() {
    let small = Limits {
        processes: 20,
        ..Limits::default()
    };
    let script = "import os,time
made = 0
try:
    while made < 2000:
        if os.fork() == 0:
            time.sleep(100)
            os._exit(0)
        made += 1
except OSError:
    pass
print(made, flush=True)
os._exit(0)";
    let bomb = Program {
        args: vec!["-c".into(), script.into()],
        ..program("/usr/bin/python3".as_ref())
    };
    let made: u32 = run(&bomb, &none(), &small)
        .unwrap()
        .output
        .trim()
        .parse()
        .unwrap();
    assert!(made <= 20 + 300, "{made} processes were made");
}

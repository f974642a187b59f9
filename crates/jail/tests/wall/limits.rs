//! Bombs. Each takes an amount that no machine minds; bare it gets all of it, inside it ends at its limit.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio as Piping};
use std::time::{Duration, Instant};

use bailiwick_jail::{Extras, Native, Stdio};
use bailiwick_wall::{Denials, Denied, Limit, LimitHit, Limits, Program};

use crate::world::{World, grant, program};

const BOMBS: &str = include_str!("bombs.py");
const MIB: u64 = 1 << 20;

struct Bombed {
    status: ExitStatus,
    output: String,
    hit: Option<LimitHit>,
    denied: Vec<Denied>,
}

impl Bombed {
    /// Ended by `limit`, and that was told.
    fn ended_by(&self, limit: Limit) {
        let Self {
            status,
            output,
            hit,
            denied,
        } = self;
        assert_eq!(
            hit.as_ref().map(|hit| hit.limit),
            Some(limit),
            "{status}: {output}"
        );
        assert!(!output.contains("held"), "{status}: {output}");
        assert!(
            !status.success() || !output.contains("held"),
            "{status}: {output}"
        );
        self.told(limit);
        assert_eq!(
            denied
                .iter()
                .filter(|denied| denied.operation == "limit")
                .count(),
            1
        );
    }

    fn told(&self, limit: Limit) {
        let told = self.denied.iter().any(|denied| {
            denied.operation == "limit"
                && denied.target.starts_with(limit.name())
                && denied.reason.contains("--limit")
        });
        assert!(told, "{:?}", self.denied);
    }
}

fn bomb(words: &[&str]) -> Program {
    let mut args = vec!["-c".into(), BOMBS.into()];
    args.extend(words.iter().map(Into::into));
    Program {
        args,
        ..program("/usr/bin/python3".as_ref())
    }
}

fn bare(words: &[&str]) {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", BOMBS])
        .args(words)
        .stdout(Piping::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it left behind ends by itself or holds nothing but a few pages; bombs with children are not run bare.
    assert_eq!(line, "took\n", "bare, {words:?} must succeed");
}

fn inside(world: &World, words: &[&str], limits: &Limits) -> Bombed {
    let denials = Denials::new();
    let extras = Extras {
        denials: denials.clone(),
        ..Extras::default()
    };
    let mut jailed = Native::probe()
        .unwrap()
        .spawn_with(&bomb(words), &world.grant(), limits, Stdio::Piped, &extras)
        .unwrap();
    let mut output = String::new();
    std::fs::File::from(jailed.stdout.take().unwrap())
        .read_to_string(&mut output)
        .unwrap();
    let status = jailed.wait().unwrap();
    Bombed {
        status,
        output,
        hit: jailed.ended_by(),
        denied: denials.take(),
    }
}

fn small() -> Limits {
    Limits {
        memory_bytes: 64 * MIB,
        ..Limits::default()
    }
}

/// More than the limit, and less than what each process may have by itself.
const TOO_MUCH: &str = "104857600";

fn memory_bomb(name: &str) {
    bare(&[name, TOO_MUCH]);
    inside(&World::new(), &[name, TOO_MUCH], &small()).ended_by(Limit::Memory);
}

#[test]
fn a_memory_bomb_ends_at_its_limit() {
    memory_bomb("private");
}

#[test]
fn memory_that_is_shared_counts() {
    memory_bomb("shared");
}

#[test]
fn page_tables_count() {
    memory_bomb("tables");
}

#[test]
fn buffers_of_sockets_count() {
    bare(&["sockets", TOO_MUCH]);
    let bombed = inside(&World::new(), &["sockets", TOO_MUCH], &small());
    bombed.ended_by(Limit::Memory);
}

/// A user who may make no control group is given no memory files: they can be hidden from any meter.
#[test]
fn memory_files_count() {
    bare(&["memory_file", TOO_MUCH]);
    let bombed = inside(&World::new(), &["memory_file", TOO_MUCH], &small());
    if bombed.hit.is_some() {
        bombed.ended_by(Limit::Memory);
    } else {
        assert!(bombed.output.starts_with("refused"), "{}", bombed.output);
    }
}

#[test]
fn the_scratch_space_ends_before_the_memory() {
    let bombed = inside(&World::new(), &["scratch", TOO_MUCH], &small());
    assert!(
        bombed.hit.is_some() || bombed.output.starts_with("refused"),
        "{}",
        bombed.output
    );
}

/// Buffers of pipes: a user has few in all, beyond which each takes two pages.
#[test]
fn buffers_of_pipes_end() {
    let bombed = inside(&World::new(), &["pipes", TOO_MUCH], &small());
    assert!(
        bombed.hit.is_some() || bombed.output.starts_with("refused"),
        "{}",
        bombed.output
    );
}

#[test]
fn memory_of_all_processes_counts_together() {
    inside(&World::new(), &["by_children", TOO_MUCH], &small()).ended_by(Limit::Memory);
}

#[test]
fn nobody_hides_from_the_limit() {
    inside(&World::new(), &["hidden", TOO_MUCH], &small()).ended_by(Limit::Memory);
}

/// What processes share is theirs once: a large parent with children is no bomb.
#[test]
fn what_processes_share_counts_once() {
    let script = "import os,time
kept = b'x' * (30 << 20)
children = [os.fork() for _ in range(3)] if True else []
time.sleep(1)
os._exit(0)";
    let program = Program {
        args: vec!["-c".into(), script.into()],
        ..program("/usr/bin/python3".as_ref())
    };
    let mut jailed = Native::probe()
        .unwrap()
        .spawn(
            &program,
            &grant(&[]),
            &Limits {
                memory_bytes: 128 * MIB,
                ..small()
            },
            Stdio::Inherit,
        )
        .unwrap();
    assert!(jailed.wait().unwrap().success());
    assert_eq!(jailed.ended_by(), None);
}

fn crowd(name: &str) {
    let few = Limits {
        processes: 20,
        ..Limits::default()
    };
    let bombed = inside(&World::new(), &[name, "400"], &few);
    assert!(!bombed.output.contains("took"), "{}", bombed.output);
    bombed.told(Limit::Processes);
}

#[test]
fn a_fork_bomb_is_told() {
    crowd("forks");
}

#[test]
fn a_thread_bomb_is_told() {
    bare(&["threads", "100"]);
    crowd("threads");
}

#[test]
fn descriptors_end_at_their_limit() {
    bare(&["descriptors", "200"]);
    let few = Limits {
        open_files: 64,
        ..Limits::default()
    };
    for name in ["descriptors", "watches"] {
        let bombed = inside(&World::new(), &[name, "200"], &few);
        assert!(
            bombed.output.starts_with("refused"),
            "{name}: {}",
            bombed.output
        );
    }
}

#[test]
fn processor_time_counts_for_all_processes_together() {
    let short = Limits {
        cpu_seconds: Some(2),
        ..Limits::default()
    };
    inside(&World::new(), &["spin", "0"], &short).ended_by(Limit::Cpu);
}

fn disk(name: &str, rest: &[&str]) {
    let world = World::new();
    let place = world.path("write");
    let mut words = vec![name, "41943040", place.to_str().unwrap()];
    words.extend(rest);
    let little = Limits {
        disk_bytes: Some(16 * MIB),
        ..Limits::default()
    };
    let bombed = inside(&world, &words, &little);
    bombed.ended_by(Limit::Disk);
}

#[test]
fn one_file_fills_no_disk() {
    disk("one_file", &[]);
}

#[test]
fn many_files_fill_no_disk() {
    disk("many_files", &[]);
}

#[test]
fn files_of_processes_that_have_ended_count() {
    disk("files_of_orphans", &[]);
}

/// It is over before anybody looks: still the end says so.
#[test]
fn writing_too_much_and_leaving_at_once_is_told() {
    disk("one_file", &["at-once"]);
}

#[test]
fn a_file_over_its_limit_is_told() {
    let world = World::new();
    let denials = Denials::new();
    let extras = Extras {
        denials: denials.clone(),
        ..Extras::default()
    };
    let program = Program {
        args: vec!["-c".into(), "head -c 3000000 /dev/zero > /tmp/f".into()],
        ..program("/bin/sh".as_ref())
    };
    let limits = Limits {
        file_bytes: MIB,
        ..Limits::default()
    };
    let mut jailed = Native::probe()
        .unwrap()
        .spawn_with(&program, &world.grant(), &limits, Stdio::Inherit, &extras)
        .unwrap();
    assert!(!jailed.wait().unwrap().success());
    assert_eq!(jailed.ended_by().unwrap().target(), "file-size 1 MiB");
    assert_eq!(denials.take().len(), 1);
}

#[test]
fn who_keeps_within_the_limits_met_none() {
    let bombed = inside(
        &World::new(),
        &["private", "1000000", "/tmp", "at-once"],
        &small(),
    );
    assert!(bombed.status.success() && bombed.hit.is_none() && bombed.denied.is_empty());
}

/// Somebody else on the machine goes on while bombs go off.
#[test]
fn others_on_the_machine_go_on_meanwhile() {
    let mut victim = Command::new("/bin/sh")
        .args(["-c", "while :; do echo alive; sleep 0.01; done"])
        .stdout(Piping::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut alive = || (0..10).all(|_| lines.next().unwrap().unwrap() == "alive");
    assert!(alive());
    for name in ["private", "shared", "by_children", "sockets"] {
        inside(&World::new(), &[name, TOO_MUCH], &small()).ended_by(Limit::Memory);
        assert!(alive());
    }
    crowd("forks");
    assert!(alive());
    victim.kill().unwrap();
    victim.wait().unwrap();
}

/// Groups of ours, by the names of this process.
fn groups_of(pid: u32) -> Vec<PathBuf> {
    let mark = format!("-{pid}-");
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("bailiwick-") && name.contains(&mark) {
                found.push(entry.path());
            } else {
                todo.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn no_control_group_is_left_behind() {
    let world = World::new();
    let host = |script: &str| {
        let mut host = Command::new(world.probe());
        host.args([
            "--exact",
            "life::host_entry",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("BAILIWICK_HOST", script)
        .stdout(Piping::piped());
        host.spawn().unwrap()
    };
    let mut orderly = host("exit 0");
    assert!(orderly.wait().unwrap().success());
    assert_eq!(groups_of(orderly.id()), Vec::<PathBuf>::new());
    // Killed without any chance to clean up; the next host does.
    let mut killed = host("echo inside; sleep 1000");
    let mut output = BufReader::new(killed.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("inside\n") {
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "{line}");
    }
    if rustix::process::geteuid().is_root() {
        assert_ne!(groups_of(killed.id()), Vec::<PathBuf>::new());
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    // What was killed with it may take a moment to be gone.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        host("exit 0").wait().unwrap();
        let left = groups_of(killed.id());
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{left:?}");
    }
}

/// What a program sees of its group tells nothing of the host's.
#[test]
fn a_group_is_the_root_of_what_is_seen_inside() {
    let program = Program {
        args: vec!["/proc/self/cgroup".into()],
        ..program("/bin/cat".as_ref())
    };
    let mut jailed = Native::probe()
        .unwrap()
        .spawn(&program, &grant(&[]), &Limits::default(), Stdio::Piped)
        .unwrap();
    let mut text = String::new();
    std::fs::File::from(jailed.stdout.take().unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert!(!text.is_empty());
    for line in text.lines() {
        assert!(line.ends_with(":/"), "{text}");
    }
}

//! `bailiwick audit query`, `tail`, `timeline` and `index` through the real binary, on logs of a writer of their own.

#![expect(clippy::unwrap_used, reason = "helpers of tests may end the test")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use bailiwick_audit::{Event, Log, Options, Subject};
use serde_json::Value;

const SESSION: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A state folder with logs.
struct Scene(tempfile::TempDir);

struct Ended {
    status: i32,
    out: String,
    err: String,
}

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(scene.home()).unwrap();
        std::fs::set_permissions(scene.home(), std::fs::Permissions::from_mode(0o700)).unwrap();
        scene
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn log(&self, name: &str) -> Log {
        let options = Options {
            key_file: Some(self.home().join(format!("{name}.key"))),
            ..Options::default()
        };
        Log::open(&self.home().join(name), options).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command
            .arg("audit")
            .args(args)
            .env("BAILIWICK_HOME", self.home());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        let output = self.command(args).output().unwrap();
        Ended {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn count(&self, args: &[&str]) -> usize {
        let ended = self.run(&[&["query", "--count"], args].concat());
        assert_eq!(ended.status, 0, "{}", ended.err);
        ended.out.trim().parse().unwrap()
    }
}

fn subject(session: &str, plugin: &str) -> Subject {
    Subject::session(session)
        .with_plugin(plugin, "d")
        .with_user("ann")
        .with_agent("claude 2")
}

fn denied(target: &str) -> Event {
    Event::OperationDenied {
        operation: "read_files".into(),
        target: target.into(),
        reason: "not granted".into(),
        dropped: 2,
    }
}

fn call(log: &Log, subject: &Subject, id: &str, tool: &str) {
    let (call, tool) = (id.to_owned(), tool.to_owned());
    let begun = Event::ToolCall {
        call: call.clone(),
        tool: tool.clone(),
        arguments: [].into(),
    };
    log.append(subject, &begun).unwrap();
    let answer = Event::ToolResult {
        call,
        tool,
        bytes: 7,
        sha256: "00".into(),
        is_error: false,
        millis: 3,
    };
    log.append(subject, &answer).unwrap();
}

/// Two sessions in two logs.
fn told() -> Scene {
    let scene = Scene::new();
    let log = scene.log("audit");
    let notes = subject(SESSION, "notes");
    let start = Event::PluginStart {
        wall: "native".into(),
        grant: vec!["read_files:/data/ except /data/hr/".into()],
        tools: vec![],
        watched: false,
        program: None,
        arguments: vec![],
    };
    log.append(&notes, &start).unwrap();
    call(&log, &notes, "1", "notes.search");
    call(&log, &notes, "2", "notes.search");
    log.append(&notes, &denied("/etc/shadow\u{1b}[2J")).unwrap();
    let used = Event::SecretUse {
        secret: "github_token".into(),
        destination: "https://api.github.com:443".into(),
    };
    log.append(&notes, &used).unwrap();
    log.append(
        &notes,
        &Event::PluginCrash {
            reason: "it closed its pipe".into(),
        },
    )
    .unwrap();
    log.close().unwrap();
    let other = scene.log("audit-1");
    call(&other, &subject(OTHER, "git"), "1", "git.log");
    other.close().unwrap();
    scene
}

#[test]
fn entries_are_found_by_what_they_are_about() {
    let scene = told();
    for (args, count) in [
        (&[] as &[&str], 10),
        (&["--session", "0af76519"], 8),
        (&["--plugin", "git"], 2),
        (&["--user", "ann"], 10),
        (&["--agent", "claude 2"], 10),
        (&["--tool", "notes.search"], 4),
        (&["--kind", "secret_use"], 1),
        (&["--decision", "deny"], 1),
        (&["--capability", "read_files"], 2),
        // What was refused is no path that could be read: it may concern any.
        (&["--capability", "/data/hr/x"], 2),
        (&["--capability", "read_files:/data/**"], 2),
        (&["--capability", "/srv/"], 1),
        (&["--capability", "write_files:/data/**"], 0),
        (&["--capability", "network_access:api.github.com"], 1),
        (&["--capability", "use_secret:github_token"], 1),
        (&["--text", "PIPE"], 0),
        (&["--text", "PIPE", "--ignore-case"], 1),
        (&["--since", "1h"], 10),
        (&["--until", "1h"], 0),
        (&["--since", "2020-01-01", "--no-index"], 10),
    ] {
        assert_eq!(scene.count(args), count, "{args:?}");
    }
}

#[test]
fn entries_of_several_logs_come_in_order_from_either_end() {
    let scene = told();
    let times = |args: &[&str]| -> Vec<String> {
        let ended = scene.run(&[&["query", "--json"], args].concat());
        let lines = ended
            .out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| line["entry"]["time"].as_str().unwrap().to_owned())
            .collect()
    };
    let forward = times(&[]);
    assert!(forward.is_sorted() && forward.len() == 10);
    assert!(times(&["--reverse"]).is_sorted_by(|a, b| a >= b));
    assert_eq!(times(&["--reverse", "--limit", "1"])[0], forward[9]);
    let first: Value = serde_json::from_str(
        scene
            .run(&["query", "--json", "--plugin", "git"])
            .out
            .lines()
            .next()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (first["log"].as_str(), first["index"].as_u64()),
        (Some("audit-1"), Some(0))
    );
}

#[test]
fn what_is_asked_wrongly_is_said_and_not_answered_with_nothing() {
    let scene = told();
    for (args, hint) in [
        (["--kind", "tool_cal"], "tool_call"),
        (["--capability", "read_file:/x"], "read_files"),
        (["--decision", "no"], "deny"),
        (["--since", "yesterday"], "2026-11-23"),
    ] {
        let ended = scene.run(&[&["query"], args.as_slice()].concat());
        assert!(
            ended.status == 2 && ended.err.contains(hint),
            "{args:?}: {}",
            ended.err
        );
    }
}

#[test]
fn entries_that_cannot_be_read_or_are_gone_are_told_of_whatever_is_asked() {
    let scene = told();
    let log = scene.home().join("audit");
    std::fs::remove_dir_all(log.join("journal")).unwrap();
    let bundle = log.join("tile/entries/000.p/8");
    let mut bytes = std::fs::read(&bundle).unwrap();
    // The version of the first entry.
    bytes[7] = b'9';
    std::fs::write(&bundle, &bytes).unwrap();
    let ended = scene.run(&["query", "--plugin", "nobody"]);
    assert!(
        ended.status == 0 && ended.out.contains("#0 cannot be read"),
        "{}{}",
        ended.out,
        ended.err
    );
    assert!(ended.out.contains("version 9"), "{}", ended.out);
    let ended = scene.run(&["query", "--plugin", "nobody", "--json"]);
    let line: Value = serde_json::from_str(ended.out.trim()).unwrap();
    assert!(line["raw"].as_str().unwrap().starts_with("{\"v\":9"));
    assert!(scene.run(&["tail"]).out.contains("#0 cannot be read"));
    assert!(
        scene
            .run(&["timeline", SESSION])
            .err
            .contains("1 entries cannot be read")
    );

    std::fs::remove_file(&bundle).unwrap();
    let ended = scene.run(&["query", "--plugin", "nobody"]);
    assert!(
        ended.status == 1 && ended.err.contains("entries 0 to 255 were not looked at"),
        "{}",
        ended.err
    );
}

#[test]
fn a_timeline_tells_what_was_done_and_what_was_stopped() {
    let scene = told();
    let ended = scene.run(&["timeline", "0af76519"]);
    assert_eq!(ended.status, 0, "{}", ended.err);
    for part in [
        SESSION,
        "user ann · agent claude 2",
        "notes behind the native wall",
        "notes.search  2 ×, 2 ok, 3 ms to 3 ms, 6 ms in all",
        "read_files /etc/shadow\\u{1b}[2J  3 ×",
        "github_token → https://api.github.com:443  1 ×",
        "crashed: it closed its pipe",
        "ok  2 ×",
    ] {
        assert!(ended.out.contains(part), "{part} in {}", ended.out);
    }
    assert!(
        !ended.out.contains('\u{1b}') && !ended.out.contains("git.log"),
        "{}",
        ended.out
    );
    let story: Value =
        serde_json::from_str(&scene.run(&["timeline", "0af76519", "--json"]).out).unwrap();
    assert_eq!(story["plugins"]["notes"]["calls"]["notes.search"]["ok"], 2);
    assert_eq!(story["plugins"]["notes"]["stopped"][0]["times"], 3);

    let of_plugin = scene.run(&["timeline", "--plugin", "git", "--since", "1h"]);
    assert!(
        of_plugin.out.contains("Plugin git in 1 sessions"),
        "{}",
        of_plugin.out
    );
    let nobody = scene.run(&["timeline", "ffffffff"]);
    assert!(
        nobody.status == 2 && nobody.err.contains("session_start"),
        "{}",
        nobody.err
    );
    assert_eq!(scene.run(&["timeline"]).status, 2);
}

#[test]
fn a_session_that_is_not_named_in_full_must_be_the_only_one() {
    let scene = Scene::new();
    let log = scene.log("audit");
    for id in ["0af76519aaaa", "0af76519bbbb"] {
        log.append(&subject(id, "notes"), &denied("/x")).unwrap();
    }
    log.close().unwrap();
    let ended = scene.run(&["timeline", "0af76519"]);
    assert!(
        ended.status == 2 && ended.err.contains("0af76519bbbb"),
        "{}",
        ended.err
    );
    assert_eq!(scene.run(&["timeline", "0af76519a"]).status, 0);
}

#[test]
fn a_tail_shows_each_entry_once_across_bundles_and_writers() {
    let scene = Scene::new();
    let plugin = subject(SESSION, "notes");
    let log = scene.log("audit");
    log.append(&plugin, &denied("/before")).unwrap();
    let mut child = scene
        .command(&["tail", "--follow", "--plugin", "notes"])
        .env("CLICOLOR_FORCE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (send, lines) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        out.lines()
            .map_while(Result::ok)
            .try_for_each(|line| send.send(line))
    });
    let wait = || lines.recv_timeout(Duration::from_secs(60)).unwrap();
    let day = wait();
    assert!(day.starts_with("20") && day.len() == 10, "{day}");
    let first = wait();
    assert!(
        first.contains("0af76519  notes") && first.contains("stopped: not granted"),
        "{first}"
    );
    assert!(!first.contains('\u{1b}'), "no colours but on a terminal");

    let mut log = log;
    for number in 0..600 {
        log.append(&plugin, &denied(&format!("/after/{number}")))
            .unwrap();
        log.append(&subject(OTHER, "git"), &denied("/not-asked-for"))
            .unwrap();
        if number % 150 == 149 {
            log.close().unwrap();
            drop(log);
            log = scene.log("audit");
        }
    }
    for number in 0..600 {
        let line = wait();
        let line = if line.len() == 10 { wait() } else { line };
        assert!(
            line.contains(&format!("/after/{number} ")),
            "{number}: {line}"
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
    log.close().unwrap();
    let newest = scene.run(&["tail", "-n", "3", "--plugin", "notes"]).out;
    assert!(
        newest.lines().count() == 4 && newest.contains("/after/599"),
        "{newest}"
    );
}

#[test]
fn the_index_is_made_checked_and_never_needed() {
    let scene = told();
    let log = scene.log("audit");
    let plugin = subject(OTHER, "git");
    for number in 0..16_400 {
        log.append(&plugin, &denied(&format!("/git/{}", number % 100)))
            .unwrap();
    }
    log.append(&subject(SESSION, "notes"), &denied("/the/end"))
        .unwrap();
    log.close().unwrap();
    let made = scene.run(&["index"]);
    assert!(
        made.status == 0 && made.out.contains("the first 16384 entries are indexed"),
        "{}",
        made.out
    );
    let (with, without) = (
        scene.count(&["--plugin", "notes"]),
        scene.count(&["--plugin", "notes", "--no-index"]),
    );
    assert_eq!((with, without), (9, 9));
    assert!(
        scene
            .run(&["index", "--check"])
            .out
            .contains("all as the log has them")
    );
    assert!(
        scene
            .run(&["index", "--rebuild"])
            .out
            .contains("16384 of them just now")
    );

    let folder = scene.home().join("cache/index");
    let files = || {
        std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path())
    };
    for file in files() {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(file, "no index").unwrap();
    }
    assert_eq!(scene.count(&["--plugin", "notes"]), 9);
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    let ended = scene.run(&["query", "--count", "--plugin", "notes"]);
    assert!(
        ended.out.trim() == "9" && ended.err.contains("without an index"),
        "{}",
        ended.err
    );
}

//! `bailiwick audit export` and `audit.export` of a configuration: killed, stalled, and complete all the same.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bailiwick_audit::{Event, Log, Options, Subject};
use serde_json::Value;

const LONG: Duration = Duration::from_secs(120);

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Self { dir };
        // The state folder belongs to its owner alone.
        std::fs::create_dir(home.path("state")).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(home.path("state"), std::fs::Permissions::from_mode(0o700))
            .unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> Log {
        let options = Options {
            key_file: Some(self.path("state/audit.key")),
            ..Options::default()
        };
        Log::open(&self.path("state/audit"), options).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("BAILIWICK_HOME", self.path("state"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdout(Stdio::piped()).output().unwrap()
    }

    fn out(&self) -> String {
        std::fs::read_to_string(self.path("out.jsonl")).unwrap_or_default()
    }
}

fn append(log: &Log, count: usize) {
    for _ in 0..count {
        log.append(
            &Subject::session("s"),
            &Event::GateStop {
                reason: "x".repeat(200),
            },
        )
        .unwrap();
    }
}

/// The indices in OCSF lines that are whole.
fn indices(lines: &str) -> BTreeSet<u64> {
    let events = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let entries = events.filter(|event| event["unmapped"]["entry"].is_object());
    entries
        .map(|event| event["metadata"]["sequence"].as_u64().unwrap())
        .collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_exporter_that_is_killed_again_and_again_leaves_nothing_out() {
    let home = Home::new();
    let log = home.log();
    append(&log, 3000);
    let start = || {
        home.command(&[
            "audit",
            "export",
            "--format",
            "ocsf",
            "--to",
            "out.jsonl",
            "--follow",
        ])
        .spawn()
        .unwrap()
    };
    for round in 0..12 {
        let before = home.out().len();
        let child = start();
        append(&log, 200);
        // In the middle of its work, at a place that differs from round to round.
        until("an export", || {
            home.out().len() > before + round * 7001
                || indices(&home.out()).len() >= 3000 + round * 200
        });
        kill(child);
    }
    log.close().unwrap();
    let child = start();
    until("the rest", || {
        home.out().ends_with('\n') && indices(&home.out()).len() >= 3000 + 12 * 200
    });
    kill(child);
    let found = indices(&home.out());
    assert!(found.iter().copied().eq(0..found.len() as u64), "no hole");
    assert!(
        home.out()
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "no torn line"
    );
    assert!(home.out().contains("export_begin") && home.out().contains("export_resumed"));
}

#[test]
fn a_gate_exports_while_it_runs_and_a_stalled_target_holds_it_up_in_nothing() {
    let home = Home::new();
    // What an earlier gate left behind is sent as well.
    let log = home.log();
    append(&log, 300);
    log.close().unwrap();
    // The lock as well: else the gate takes a log of its own.
    drop(log);
    let stalled = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stalled.local_addr().unwrap().port();
    let config = format!(
        "plugins: []\naudit:\n  mode: strict\n  export:\n    - {{format: ocsf, to: out.jsonl}}\n    - {{format: syslog, to: 'tcp://127.0.0.1:{port}'}}\n"
    );
    std::fs::write(home.path("bailiwick.yaml"), config).unwrap();
    let said = std::fs::File::create(home.path("said")).unwrap();
    let mut gate = home
        .command(&["serve"])
        .stdin(Stdio::piped())
        .stderr(said)
        .spawn()
        .unwrap();
    until("the gate's start in the export", || {
        let said = std::fs::read_to_string(home.path("said")).unwrap();
        assert!(gate.try_wait().unwrap().is_none(), "{said}");
        home.out().contains("gate_start")
    });
    // The stalled one took a connection and reads nothing.
    let held = stalled.accept().unwrap();
    drop(gate.stdin.take());
    let status = gate.wait().unwrap();
    assert!(status.success());
    drop(held);
    let verified = home.run(&["audit", "verify"]);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
    // What the gate's end left over is sent by the next gate.
    let mut gate = home
        .command(&["serve"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    until("the refill", || {
        home.out().matches("\"event_code\":\"gate_stop\"").count() > 300
    });
    drop(gate.stdin.take());
    gate.wait().unwrap();
    let found = indices(&home.out());
    assert!(found.iter().copied().eq(0..found.len() as u64), "no hole");
}

#[test]
fn secrets_of_headers_are_named_and_never_written_down() {
    let home = Home::new();
    let wrong = [
        ("{authorization: Bearer abc}", "audit"),
        ("{authorization: {}}", "write where its value is kept"),
        (
            "{authorization: {env: A, secret: b}}",
            "write where its value is kept",
        ),
        (
            "{authorization: {env: BAILIWICK_TEST_NOT_SET}}",
            "is not set",
        ),
        ("{authorization: {secret: missing}}", "there is no secret"),
    ];
    for (headers, said) in wrong {
        let config = format!(
            "audit: {{export: [{{format: otlp, to: 'http://127.0.0.1:1', headers: {headers}}}]}}"
        );
        std::fs::write(home.path("bailiwick.yaml"), config).unwrap();
        let output = home
            .command(&["serve", "--", "/bin/true"])
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && error.contains(said),
            "{headers}: {error}"
        );
    }
}

#[test]
fn one_dump_needs_no_place_and_replaces_no_file() {
    let home = Home::new();
    let log = home.log();
    append(&log, 5);
    log.close().unwrap();
    let dump = |args: &[&str]| home.run(&[&["audit", "export", "--format", "cef"], args].concat());
    let output = dump(&[]);
    assert_eq!(
        String::from_utf8(output.stdout)
            .unwrap()
            .matches("CEF:0|Bailiwick|")
            .count(),
        5
    );
    assert_eq!(
        String::from_utf8(dump(&["--session", "none"]).stdout).unwrap(),
        ""
    );
    assert!(dump(&["--to", "new.cef"]).status.success());
    let again = dump(&["--to", "new.cef"]);
    assert!(
        !again.status.success() && String::from_utf8_lossy(&again.stderr).contains("there already")
    );
    assert!(!home.path("state/export").exists());
    let nobody = dump(&["--to", "tcp://127.0.0.1:1"]);
    assert!(
        !nobody.status.success()
            && String::from_utf8_lossy(&nobody.stderr).contains("did not take it")
    );
}

#[test]
fn a_report_has_proofs_that_the_command_line_checks() {
    let home = Home::new();
    let log = home.log();
    append(&log, 400);
    log.append(
        &Subject::session("s").with_plugin("p", "d"),
        &Event::PluginRefused {
            reason: "<script>".into(),
        },
    )
    .unwrap();
    log.close().unwrap();
    let report = |form: &str| {
        let args = [
            "audit",
            "report",
            "--framework",
            "nist-800-53",
            "--from",
            "1d",
            "--to",
            "2100-01-01",
            "--format",
            form,
        ];
        home.run(&[&args[..], &["-o", "reports/"]].concat())
    };
    for form in ["md", "html", "oscal"] {
        let output = report(form);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for file in ["nist-800-53.md", "nist-800-53.html", "nist-800-53.json"] {
        assert!(home.path("reports").join(file).is_file(), "{file}");
    }
    let page = std::fs::read_to_string(home.path("reports/nist-800-53.html")).unwrap();
    assert!(!page.contains("<script"));
    let proofs = home.path("reports/nist-800-53-proofs");
    let key = text(&proofs.join("log-0.verifier.key"));
    let checked = std::fs::read_dir(&proofs)
        .unwrap()
        .map(|file| file.unwrap().path());
    let checked = checked.filter(|path| {
        path.extension()
            .is_some_and(|ending| ending == "tlog-proof")
    });
    let mut count = 0;
    for proof in checked {
        let output = home.run(&["audit", "check-proof", &text(&proof), "--key", &key]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        count += 1;
    }
    assert!(count >= 2, "{count}");
    let bundle = home.path("state/audit/tile/entries/000");
    let mut bytes = Vec::new();
    std::fs::File::open(&bundle)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let output = report("md");
    assert_eq!(output.status.code(), Some(1));
    let page = std::fs::read_to_string(home.path("reports/nist-800-53.md")).unwrap();
    assert!(
        page.lines()
            .take(4)
            .any(|line| line.contains("Do not rely on this report"))
    );
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

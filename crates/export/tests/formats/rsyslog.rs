//! A real syslog daemon reads what is sent, as it was meant.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_audit::{Filter, Log, Subject};
use bailiwick_export::{Exporter, Format, Options, Target};
use serde_json::Value;

use crate::samples;

const PROGRAM: &str = "/usr/sbin/rsyslogd";
const LONG: Duration = Duration::from_secs(60);

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the daemon: what it reads, by its own parsers, is in `out` as JSON.
fn daemon(dir: &Path, out: &Path) -> (Daemon, u16) {
    assert!(
        Path::new(PROGRAM).exists(),
        "there is no rsyslogd: run cargo xtask setup"
    );
    for attempt in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let work = dir.join(format!("work-{attempt}"));
        std::fs::create_dir(&work).unwrap();
        let config = work.join("rsyslog.conf");
        let text = format!(
            r#"global(workDirectory="{work}" maxMessageSize="256k" parser.escapeControlCharactersOnReceive="off")
module(load="imptcp")
module(load="mmpstrucdata")
template(name="seen" type="string" string="{{%msgid:::jsonf%,%pri:::jsonf%,%msg:::jsonf%,\"sd\":%$!all-json%}}\n")
input(type="imptcp" address="127.0.0.1" port="{port}" supportOctetCountedFraming="on")
action(type="mmpstrucdata" sd_name.lowercase="off")
action(type="omfile" file="{out}" template="seen")
"#,
            work = work.display(),
            out = out.display(),
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["-n", "-f"])
            .arg(&config)
            .arg("-i")
            .arg(work.join("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + LONG;
        while child.try_wait().unwrap().is_none() && Instant::now() < end {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (Daemon(child), port);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = child.kill();
    }
    panic!("rsyslogd does not start");
}

fn log(dir: &Path, text: &str) -> PathBuf {
    let options = bailiwick_audit::Options {
        key_file: Some(dir.join("audit.key")),
        ..Default::default()
    };
    let log = Log::open(&dir.join("audit"), options).unwrap();
    for event in samples::events(text) {
        log.append(
            &Subject::session(text).with_plugin(text, "sha256:0"),
            &event,
        )
        .unwrap();
    }
    log.close().unwrap();
    dir.join("audit")
}

#[test]
fn a_real_syslog_daemon_reads_every_kind_of_event_as_it_was_meant() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("seen");
    let (_daemon, port) = daemon(dir.path(), &out);
    let text = "x\"]\\ [evil@1 a=\"b\"]\n<13>1 - evil - - - - forged é";
    let options = Options {
        log: log(dir.path(), text),
        format: Format::Syslog,
        target: Target::parse(&format!("tcp://127.0.0.1:{port}"), Format::Syslog).unwrap(),
        headers: vec![],
        roots: vec![],
        filter: Filter::default(),
        places: None,
        tell: Arc::new(|_| ()),
    };
    let log = options.log.clone();
    let sent = Exporter::new(options).unwrap().run().unwrap();
    let end = Instant::now() + LONG;
    let seen = || std::fs::read_to_string(&out).unwrap_or_default();
    while seen().lines().count() < usize::try_from(sent).unwrap() {
        assert!(Instant::now() < end, "{}", seen());
        std::thread::sleep(Duration::from_millis(50));
    }
    let stored = bailiwick_audit::query(&log, Filter::default()).map(Result::unwrap);
    let mut lines = 0;
    for (line, stored) in seen().lines().zip(stored) {
        let message: Value = serde_json::from_str(line).unwrap();
        let entry = stored.entry().unwrap();
        let ours = &message["sd"]["rfc5424-sd"]["bailiwick@32473"];
        assert_eq!(message["msgid"], entry.event.kind());
        assert_eq!(ours["index"], stored.index.to_string());
        assert_eq!(ours["kind"], entry.event.kind());
        assert_eq!(
            message["sd"]["rfc5424-sd"].as_object().unwrap().len(),
            2,
            "ours and origin: {line}"
        );
        if entry.subject.plugin.is_some() {
            assert_eq!(ours["plugin"], text.replace('\n', "\\n"));
        }
        let said = message["msg"]
            .as_str()
            .unwrap()
            .trim_start_matches([' ', '\u{feff}']);
        assert_eq!(
            serde_json::from_str::<Value>(said).unwrap(),
            serde_json::to_value(&entry).unwrap()
        );
        lines += 1;
    }
    assert_eq!(lines, sent);
}

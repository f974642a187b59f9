//! Exports of real logs: complete after every failure of the target, the log or the exporter.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

#[path = "formats/parse.rs"]
mod parse;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bailiwick_audit::{Event, Filter, Log, Subject};
use bailiwick_export::{ExportError, Exporter, Format, Handle, Options, Target};
use serde_json::Value;

/// Far more than any machine needs; what does not happen until then, does not happen.
const LONG: Duration = Duration::from_secs(60);

struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> Log {
        let options = bailiwick_audit::Options {
            key_file: Some(self.path("audit.key")),
            ..Default::default()
        };
        Log::open(&self.path("audit"), options).unwrap()
    }

    /// A closed log with so many entries more.
    fn write(&self, count: usize) {
        let log = self.log();
        append(&log, count);
        log.close().unwrap();
    }

    fn options(&self, format: Format, target: &str) -> Options {
        Options {
            log: self.path("audit"),
            format,
            target: Target::parse(target, format).unwrap(),
            headers: vec![],
            roots: vec![],
            filter: Filter::default(),
            places: Some(self.path("export")),
            tell: Arc::new(|_| ()),
        }
    }

    fn start(&self, format: Format, target: &str) -> Handle {
        Exporter::new(self.options(format, target)).unwrap().start()
    }
}

fn append(log: &Log, count: usize) {
    for number in 0..count {
        let event = Event::GateStop {
            reason: format!("entry {number}\n\"]|="),
        };
        log.append(&Subject::session("s").with_user("ann"), &event)
            .unwrap();
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The kinds and indices of OCSF lines.
fn read(lines: &str) -> Vec<(String, u64)> {
    lines
        .lines()
        .map(|line| {
            let event: Value = serde_json::from_str(line).expect("a whole line");
            let kind = event["metadata"]["event_code"].as_str().unwrap().to_owned();
            (kind, event["metadata"]["sequence"].as_u64().unwrap())
        })
        .collect()
}

fn entries(records: &[(String, u64)]) -> Vec<u64> {
    records
        .iter()
        .filter(|(kind, _)| !kind.starts_with("export_"))
        .map(|(_, index)| *index)
        .collect()
}

fn markers(records: &[(String, u64)]) -> Vec<&str> {
    records
        .iter()
        .filter(|(kind, _)| kind.starts_with("export_"))
        .map(|(kind, _)| kind.as_str())
        .collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run(stage: &Stage, format: Format, target: &str) -> u64 {
    Exporter::new(stage.options(format, target))
        .unwrap()
        .run()
        .unwrap()
}

#[test]
fn a_file_goes_on_where_it_ended() {
    let stage = Stage::new();
    stage.write(300);
    let out = stage.path("out.jsonl");
    assert_eq!(run(&stage, Format::Ocsf, &text(&out)), 300);
    stage.write(10);
    let size = std::fs::metadata(&out).unwrap().len();
    // What a crash left of a line is not what anybody was told is there.
    std::fs::OpenOptions::new()
        .append(true)
        .open(&out)
        .unwrap()
        .write_all(b"{\"torn")
        .unwrap();
    assert!(run(&stage, Format::Ocsf, &text(&out)) >= 10);
    assert_eq!(run(&stage, Format::Ocsf, &text(&out)), 0);
    let lines = std::fs::read_to_string(&out).unwrap();
    assert!(lines.len() as u64 > size);
    let records = read(&lines);
    let indices = entries(&records);
    assert!(indices.len() >= 310);
    assert!(
        indices.iter().copied().eq(0..indices.len() as u64),
        "each once, in order"
    );
    assert_eq!(markers(&records), ["export_begin", "export_resumed"]);
}

#[test]
fn without_a_place_an_export_is_all_of_it_and_a_filter_leaves_out() {
    let stage = Stage::new();
    stage.write(20);
    let out = stage.path("out");
    let mut options = stage.options(Format::Ocsf, &text(&out));
    options.places = None;
    options.filter.session = Some("s".into());
    let exporter = Exporter::new(options.clone()).unwrap();
    assert_eq!(exporter.run().unwrap(), 20);
    assert_eq!(exporter.run().unwrap(), 20);
    assert!(markers(&read(&std::fs::read_to_string(&out).unwrap())).is_empty());
    options.filter.session = Some("other".into());
    assert_eq!(Exporter::new(options).unwrap().run().unwrap(), 0);
}

#[test]
fn one_exporter_at_a_time_sends_a_log_to_a_target() {
    let stage = Stage::new();
    stage.write(1);
    let out = text(&stage.path("out"));
    let handle = stage.start(Format::Ocsf, &out);
    until("the export", || {
        std::fs::read_to_string(&out).is_ok_and(|lines| lines.contains("gate_stop"))
    });
    let second = Exporter::new(stage.options(Format::Ocsf, &out))
        .unwrap()
        .run();
    assert!(
        matches!(second, Err(ExportError::Busy { .. })),
        "{second:?}"
    );
    // Another format is another export.
    run(&stage, Format::Cef, &text(&stage.path("out.cef")));
    assert!(handle.finish(Instant::now() + LONG));
    run(&stage, Format::Ocsf, &out);
}

/// A receiver that takes what comes, as long as it is well.
struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<u8>>>,
}

fn receive(listener: TcpListener) -> Receiver {
    let got = Arc::new(Mutex::new(Vec::new()));
    let (port, into) = (listener.local_addr().unwrap().port(), got.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut bytes = Vec::new();
            // Half a batch counts for nothing: its sender was not told that it arrived.
            if stream.unwrap().read_to_end(&mut bytes).is_ok() {
                into.lock().unwrap().extend(bytes);
            }
        }
    });
    Receiver { port, got }
}

fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn syslog_over_tcp_is_framed_by_its_octets() {
    let stage = Stage::new();
    stage.write(600);
    let receiver = receive(local());
    let target = format!("tcp://127.0.0.1:{}", receiver.port);
    for format in [Format::Syslog, Format::Cef] {
        receiver.got.lock().unwrap().clear();
        assert_eq!(run(&stage, format, &target), 600);
        let messages = parse::frames(&receiver.got.lock().unwrap()).unwrap();
        assert_eq!(messages.len(), 601);
        assert_eq!(messages[0].id, "export_begin");
        assert_eq!(messages[0].priority / 8, 13);
        assert!(
            messages
                .iter()
                .skip(1)
                .all(|message| message.id == "gate_stop" && !message.host.is_empty())
        );
        if format == Format::Cef {
            for message in messages.iter().skip(1) {
                let event = parse::cef(&message.text).unwrap();
                assert_eq!(event.head[3], "gate_stop");
                assert_eq!(event.fields["externalId"], message.data[0].1[1].1);
            }
        }
    }
}

#[test]
fn what_a_target_lost_mid_stream_comes_again_and_nothing_is_missing() {
    let stage = Stage::new();
    let log = stage.log();
    let listener = local();
    let port = listener.local_addr().unwrap().port();
    let handle = stage.start(Format::Syslog, &format!("tcp://127.0.0.1:{port}"));
    append(&log, 700);
    // Dies after a few bytes of each of the first connections: with a reset, and by closing early.
    for bytes in [0, 1, 4000] {
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = vec![0; bytes];
        let _ = stream.read_exact(&mut some);
        drop(stream);
    }
    append(&log, 300);
    let receiver = receive(listener);
    until("the refill", || {
        let messages = parse::frames(&receiver.got.lock().unwrap()).unwrap();
        let found: BTreeSet<String> = messages
            .iter()
            .map(|message| message.data[0].1[1].1.clone())
            .collect();
        found.len() >= 1000
    });
    assert!(handle.finish(Instant::now() + LONG));
    let messages = parse::frames(&receiver.got.lock().unwrap()).unwrap();
    let index = |message: &parse::Message| message.data[0].1[1].1.parse::<u64>().unwrap();
    let found: Vec<u64> = messages
        .iter()
        .filter(|message| message.id == "gate_stop")
        .map(index)
        .collect();
    assert!(
        found.iter().copied().eq(0..1000),
        "every entry, in order, once: none was acknowledged before"
    );
}

#[test]
fn a_target_that_stalls_holds_up_neither_the_log_nor_the_end_of_the_gate() {
    let stage = Stage::new();
    let log = stage.log();
    let listener = local();
    let port = listener.local_addr().unwrap().port();
    let handle = stage.start(Format::Syslog, &format!("tcp://127.0.0.1:{port}"));
    append(&log, 500);
    // Takes the connection, reads nothing, says nothing.
    let (stalled, _) = listener.accept().unwrap();
    append(&log, 5000);
    let verified = {
        log.close().unwrap();
        let key = bailiwick_audit::read_verifier_key(&stage.path("audit")).unwrap();
        bailiwick_audit::verify(&stage.path("audit"), &key, None).unwrap()
    };
    assert!(verified.size >= 5500, "the log of record has everything");
    assert!(
        !handle.finish(Instant::now() + Duration::from_millis(50)),
        "the exporter is still at it"
    );
    drop(stalled);
}

#[test]
fn a_target_that_never_reads_to_the_end_has_taken_nothing() {
    let stage = Stage::new();
    stage.write(5);
    let listener = local();
    let port = listener.local_addr().unwrap().port();
    let talker = std::thread::spawn(move || {
        // Talks without end instead of listening, then resets.
        for stream in listener.incoming().take(5) {
            let mut stream: TcpStream = stream.unwrap();
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    let error = Exporter::new(stage.options(Format::Syslog, &format!("tcp://127.0.0.1:{port}")))
        .unwrap()
        .run();
    assert!(
        matches!(error, Err(ExportError::Failed { .. })),
        "{error:?}"
    );
    talker.join().unwrap();
    let out = text(&stage.path("out"));
    assert_eq!(run(&stage, Format::Ocsf, &out), 5);
}

#[test]
fn datagrams_reach_a_local_socket_whole() {
    let stage = Stage::new();
    stage.write(40);
    let path = stage.path("log.socket");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let (send, messages) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 18];
        while let Ok(read) = socket.recv(&mut buffer) {
            send.send(parse::syslog(&buffer[..read]).unwrap()).unwrap();
        }
    });
    assert_eq!(
        run(&stage, Format::Syslog, &format!("unix:{}", path.display())),
        40
    );
    for index in 0..41_u64 {
        let message = messages.recv_timeout(LONG).unwrap();
        assert_eq!(message.data[0].1[1].1, index.saturating_sub(1).to_string());
    }
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = format!("udp://127.0.0.1:{}", udp.local_addr().unwrap().port());
    assert_eq!(run(&stage, Format::Cef, &target), 40);
    let mut buffer = vec![0; 1 << 16];
    let read = udp.recv(&mut buffer).unwrap();
    assert!(parse::cef(&parse::syslog(&buffer[..read]).unwrap().text).is_ok());
}

#[test]
fn what_was_archived_away_is_a_gap_and_is_refilled_when_it_is_back() {
    let stage = Stage::new();
    stage.write(1000);
    let bundle = stage.path("audit/tile/entries/001");
    let aside = stage.path("aside");
    std::fs::rename(&bundle, &aside).unwrap();
    let out = text(&stage.path("out"));
    run(&stage, Format::Ocsf, &out);
    let records = read(&std::fs::read_to_string(&out).unwrap());
    assert_eq!(markers(&records), ["export_begin", "export_gap"]);
    assert!(!entries(&records).contains(&256) && entries(&records).contains(&512));
    let gap = std::fs::read_to_string(&out).unwrap();
    let gap = gap
        .lines()
        .find(|line| line.contains("export_gap"))
        .unwrap();
    let gap: Value = serde_json::from_str(gap).unwrap();
    assert_eq!(
        (
            &gap["unmapped"]["marker"]["from"],
            &gap["unmapped"]["marker"]["to"]
        ),
        (&256.into(), &512.into())
    );
    assert_eq!(gap["severity_id"], 4);
    std::fs::rename(&aside, &bundle).unwrap();
    run(&stage, Format::Ocsf, &out);
    let records = read(&std::fs::read_to_string(&out).unwrap());
    assert_eq!(markers(&records).last(), Some(&"export_refilled"));
    let all: BTreeSet<u64> = entries(&records).into_iter().collect();
    assert!(all.into_iter().eq(0..1000));
    assert_eq!(run(&stage, Format::Ocsf, &out), 0);
}

#[test]
fn a_log_that_was_rewritten_is_said_to_be_and_comes_again() {
    let stage = Stage::new();
    stage.write(20);
    let copy = stage.path("copy");
    copy_dir(&stage.path("audit"), &copy);
    stage.write(5);
    let out = text(&stage.path("out"));
    run(&stage, Format::Ocsf, &out);
    // An older state is put back, and other entries follow, all properly signed.
    std::fs::remove_dir_all(stage.path("audit")).unwrap();
    std::fs::rename(&copy, stage.path("audit")).unwrap();
    for more in [0, 50] {
        stage.write(more);
        run(&stage, Format::Ocsf, &out);
        let records = read(&std::fs::read_to_string(&out).unwrap());
        let changes = markers(&records)
            .iter()
            .filter(|kind| **kind == "export_log_changed")
            .count();
        assert_eq!(changes, 1, "{:?}", markers(&records));
    }
    let records = read(&std::fs::read_to_string(&out).unwrap());
    let at = records
        .iter()
        .position(|(kind, _)| kind == "export_log_changed")
        .unwrap();
    assert!(entries(&records[at..]).len() >= 70);
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let to = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_dir(&entry, &to)
        } else {
            std::fs::copy(&entry, &to).unwrap();
        }
    }
}

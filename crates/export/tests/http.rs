//! HTTP receivers: a real OpenTelemetry collector, and ones that fail, lie and refuse.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bailiwick_audit::{Event, Filter, Log, Subject};
use bailiwick_export::{ExportError, Exporter, Format, Header, Options, Target};
use zeroize::Zeroizing;

const LONG: Duration = Duration::from_secs(60);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn log(dir: &std::path::Path, count: usize) -> PathBuf {
    let options = bailiwick_audit::Options {
        key_file: Some(dir.join("audit.key")),
        ..Default::default()
    };
    let log = Log::open(&dir.join("audit"), options).unwrap();
    let mut subject = Subject::session("s")
        .with_plugin("notes", "sha256:1")
        .with_trace(TRACE);
    subject.span = Some(SPAN.to_owned());
    for number in 0..count {
        let event = Event::SecretUse {
            secret: format!("secret-{number}-é\n\"]"),
            destination: "https://x".into(),
        };
        log.append(&subject, &event).unwrap();
    }
    log.close().unwrap();
    dir.join("audit")
}

fn options(dir: &std::path::Path, log: PathBuf, format: Format, target: &str) -> Options {
    Options {
        log,
        format,
        target: Target::parse(target, format).unwrap(),
        headers: vec![],
        roots: vec![],
        filter: Filter::default(),
        places: Some(dir.join("export")),
        tell: Arc::new(|_| ()),
    }
}

#[derive(Debug)]
struct Request {
    head: String,
    body: Vec<u8>,
}

/// Reads one request. Only what our client and the collector send: a length, or chunks.
fn request(stream: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower
        .split_once("content-length:")
        .map(|(_, rest)| rest.lines().next().unwrap().trim().parse().unwrap());
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body).ok()?;
    if lower.contains("content-encoding: gzip") {
        let mut whole = Vec::new();
        flate2::read::GzDecoder::new(&*body)
            .read_to_end(&mut whole)
            .ok()?;
        body = whole;
    }
    Some(Request { head, body })
}

/// A server that answers each request as told; the last answer goes on for ever.
fn server(answers: &[&str]) -> (u16, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let (send, requests) = channel();
    std::thread::spawn(move || serve(&listener, &answers, &send));
    (port, requests)
}

fn serve(listener: &TcpListener, answers: &[String], send: &Sender<Request>) {
    let count = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for stream in listener.incoming() {
            let (count, mut stream) = (&count, stream.unwrap());
            threads.spawn(move || {
                while let Some(request) = request(&mut stream) {
                    let answer = &answers[count.fetch_add(1, SeqCst).min(answers.len() - 1)];
                    let _ = send.send(request);
                    if answer.is_empty() || stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

const PROTOBUF: &str = "application/x-protobuf";

struct Collector(Child);

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real collector that passes logs on to `to`, and the port that it listens on.
fn collector(to: u16) -> (Collector, u16) {
    let script =
        "import rotel, os; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let found = Command::new(bailiwick_testkit::real::python())
        .args(["-I", "-c", script])
        .output()
        .unwrap();
    assert!(
        found.status.success(),
        "there is no rotel: run cargo xtask setup"
    );
    let program = String::from_utf8(found.stdout).unwrap();
    for _ in 0..5 {
        let free = || {
            TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port()
        };
        let (port, grpc) = (free(), free());
        let mut child = Command::new(program.trim())
            .args([
                "start",
                "--otlp-http-endpoint",
                &format!("127.0.0.1:{port}"),
            ])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args([
                "--otlp-exporter-endpoint",
                &format!("http://127.0.0.1:{to}"),
                "--disable-batching",
            ])
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + LONG;
        while child.try_wait().unwrap().is_none() && Instant::now() < end {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (Collector(child), port);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = child.kill();
    }
    panic!("the collector does not start");
}

/// Bytes that must be in what the collector passes on: it decoded our records and wrote them anew.
fn passed_on(requests: &Receiver<Request>, wanted: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    let end = Instant::now() + LONG;
    let has = |all: &[u8], one: &Vec<u8>| all.windows(one.len()).any(|window| window == one);
    while !wanted.iter().all(|one| has(&all, one)) {
        let left = end.saturating_duration_since(Instant::now());
        let request = requests
            .recv_timeout(left)
            .expect("the collector passes all of it on");
        all.extend(request.body);
    }
    all
}

#[test]
fn a_real_collector_takes_the_records_and_passes_them_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 600);
    let (sink, requests) = server(&[&answer("200 OK", PROTOBUF, "")]);
    let (_collector, port) = collector(sink);
    let target = format!("http://127.0.0.1:{port}");
    let exporter = Exporter::new(options(dir.path(), log.clone(), Format::Otlp, &target)).unwrap();
    assert_eq!(exporter.run().unwrap(), 600);
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    };
    // Field 9 and 10 of LogRecord, with their lengths.
    let tagged = |tag: u8, id: Vec<u8>| [vec![tag, u8::try_from(id.len()).unwrap()], id].concat();
    let mut wanted: Vec<Vec<u8>> = (0..600)
        .map(|number| format!("secret-{number}-é\n\"]").into_bytes())
        .collect();
    wanted.push(tagged(0x4a, hex(TRACE)));
    wanted.push(tagged(0x52, hex(SPAN)));
    wanted.push(b"bailiwick.leaf_hash".to_vec());
    wanted.push(b"service.instance.id".to_vec());
    wanted.push(b"bailiwick.export_begin".to_vec());
    passed_on(&requests, &wanted);
}

#[test]
fn the_collector_reads_the_json_of_files_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 3);
    let out = dir.path().join("out");
    Exporter::new(options(
        dir.path(),
        log,
        Format::Otlp,
        out.to_str().unwrap(),
    ))
    .unwrap()
    .run()
    .unwrap();
    let (sink, requests) = server(&[&answer("200 OK", PROTOBUF, "")]);
    let (_collector, port) = collector(sink);
    for line in std::fs::read_to_string(out).unwrap().lines() {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!(
            "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            line.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    passed_on(&requests, &[b"secret-0-".to_vec(), b"secret-2-".to_vec()]);
}

#[test]
fn a_liar_an_overloaded_one_and_a_dead_one_only_delay() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 3);
    let good = answer("200 OK", PROTOBUF, "");
    let answers = [
        &answer("200 OK", "text/html", "<html>please log in"),
        &answer("503 Service Unavailable", "text/plain", ""),
        "",
        &answer("302 Found", "text/plain", ""),
        &good,
    ];
    let (port, requests) = server(&answers);
    let target = format!("http://127.0.0.1:{port}/v1/logs");
    assert_eq!(
        Exporter::new(options(dir.path(), log, Format::Otlp, &target))
            .unwrap()
            .run()
            .unwrap(),
        3
    );
    assert_eq!(
        requests.try_iter().count(),
        5,
        "the same batch until it was taken"
    );
}

#[test]
fn an_entry_that_is_refused_for_good_is_marked_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 12);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(Mutex::new(String::new()));
    let into = taken.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some(request) = request(&mut stream) {
                let body = String::from_utf8(request.body).unwrap();
                let bad = body.contains("secret-7-");
                if !bad {
                    into.lock().unwrap().push_str(&body);
                }
                let status = if bad {
                    "400 Bad Request"
                } else {
                    "204 No Content"
                };
                let _ = stream.write_all(answer(status, "text/plain", "").as_bytes());
            }
        }
    });
    let target = format!("http://127.0.0.1:{port}/in");
    let exporter = Exporter::new(options(dir.path(), log, Format::Ocsf, &target)).unwrap();
    assert_eq!(exporter.run().unwrap(), 11);
    let taken = taken.lock().unwrap();
    let refused = taken
        .lines()
        .find(|line| line.contains("export_refused"))
        .unwrap();
    assert!(
        refused.contains("\"from\":7") && refused.contains("\"to\":8"),
        "{refused}"
    );
    for number in (0..12).filter(|number| *number != 7) {
        assert!(taken.contains(&format!("secret-{number}-")), "{number}");
    }
}

#[test]
fn dropped_records_are_a_refusal_even_when_the_answer_is_200() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 1);
    // ExportLogsServiceResponse { partial_success { rejected_log_records: 1 } }.
    let partial = answer("200 OK", PROTOBUF, "\u{a}\u{2}\u{8}\u{1}");
    let good = answer("200 OK", PROTOBUF, "");
    // With its marker, without it, and then the marker that says so.
    let (port, requests) = server(&[&partial, &good, &partial, &good]);
    let target = format!("http://127.0.0.1:{port}");
    assert_eq!(
        Exporter::new(options(dir.path(), log, Format::Otlp, &target))
            .unwrap()
            .run()
            .unwrap(),
        0
    );
    let bodies: Vec<Vec<u8>> = requests.try_iter().map(|request| request.body).collect();
    assert_eq!(bodies.len(), 4);
    assert!(String::from_utf8_lossy(&bodies[3]).contains("export_refused"));
}

#[test]
fn l35_secrets_go_out_in_their_header_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 1);
    let (port, requests) = server(&[&answer("401 Unauthorized", "text/plain", "")]);
    let canary = "Bearer canary-5f1c";
    let header = || Header::new("authorization", Zeroizing::new(canary.into())).unwrap();
    let mut options = options(
        dir.path(),
        log,
        Format::Otlp,
        &format!("http://127.0.0.1:{port}"),
    );
    options.headers.push(header());
    let said = Arc::new(Mutex::new(String::new()));
    let into = said.clone();
    options.tell = Arc::new(move |line| into.lock().unwrap().push_str(line));
    let error = Exporter::new(options.clone()).unwrap().run().unwrap_err();
    assert!(
        matches!(error, ExportError::Failed { .. }) && error.to_string().contains("401"),
        "{error}"
    );
    let request = requests.recv().unwrap();
    assert!(
        request.head.contains(&format!("authorization: {canary}")),
        "{}",
        request.head
    );
    let seen = format!(
        "{}{error}{error:?}{:?}",
        said.lock().unwrap(),
        options.headers
    );
    assert!(!seen.contains("canary"), "{seen}");
    // In the clear it goes to this machine alone.
    options.target = Target::parse("http://192.0.2.1/v1/logs", Format::Otlp).unwrap();
    assert!(
        Exporter::new(options.clone())
            .err()
            .unwrap()
            .to_string()
            .contains("write https")
    );
    options.target = Target::parse("https://192.0.2.1/v1/logs", Format::Otlp).unwrap();
    assert!(Exporter::new(options).is_ok());
}

//! The witness over HTTP: asked by our client, by hand, and by those who mean no good.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_tlog::SignedNote;
use bailiwick_witness::{
    Client, HttpError, Limits, Method, Peer, Refusal, Url, Witnesses, cosigned_by, log_id, serve,
};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::support::{House, Log};

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Serves a witness for as long as the runtime lives.
fn start(runtime: &Runtime, house: &House, log: &Log, limits: Limits) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(serve(listener, Arc::new(house.witness(log)), limits));
    address
}

fn peer(address: SocketAddr, house: &House) -> Peer {
    let url: Url = format!("http://{address}/").parse().unwrap();
    Peer {
        url,
        key: house.key.clone(),
    }
}

fn witnesses(peers: Vec<Peer>) -> Witnesses {
    Witnesses::new(Client::new(&[]).unwrap(), peers)
}

/// Asks all for the checkpoint of this size.
fn ask(
    runtime: &Runtime,
    all: &mut Witnesses,
    count: usize,
    log: &Log,
    size: u64,
) -> Vec<Result<String, Refusal>> {
    let places: Vec<usize> = (0..count).collect();
    let (note, checkpoint, proofs) = (log.note(size), log.checkpoint(size), log.proofs());
    let answers = runtime.block_on(all.ask(&places, &note, &checkpoint, &proofs));
    assert_eq!(
        answers.iter().map(|(place, _)| *place).collect::<Vec<_>>(),
        places
    );
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Sends bytes as they are and reads until the other side closes.
fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let _ = stream.write_all(bytes);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn post(address: SocketAddr, body: &str) -> String {
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    raw(address, format!("{head}{body}").as_bytes())
}

#[test]
fn witnesses_are_asked_all_at_once_and_their_lines_make_a_quorum() {
    let (runtime, log) = (runtime(), Log::new("log.example/a", 300, 1));
    let houses = [House::new(), House::new()];
    let peers: Vec<Peer> = houses
        .iter()
        .map(|house| peer(start(&runtime, house, &log, Limits::default()), house))
        .collect();
    let mut all = witnesses(peers);
    for size in [1, 70, 70, 300] {
        let lines: Vec<String> = ask(&runtime, &mut all, 2, &log, size)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let mut note: SignedNote = log.note(size);
        note.add_lines(&lines.concat()).unwrap();
        let keys: Vec<_> = houses.iter().map(|house| house.key.clone()).collect();
        assert_eq!(cosigned_by(&note, &keys, 2).unwrap().len(), 2);
        // The same key under another name is the same witness.
        let twice = [keys[0].clone(), keys[0].clone()];
        assert!(cosigned_by(&note, &twice, 2).is_err());
    }
}

#[test]
fn a_client_that_knows_nothing_learns_what_a_witness_has_seen() {
    let (runtime, log, house) = (runtime(), Log::new("log.example/a", 300, 1), House::new());
    let address = start(&runtime, &house, &log, Limits::default());
    assert!(
        ask(
            &runtime,
            &mut witnesses(vec![peer(address, &house)]),
            1,
            &log,
            100
        )[0]
        .is_ok()
    );
    assert!(
        ask(
            &runtime,
            &mut witnesses(vec![peer(address, &house)]),
            1,
            &log,
            300
        )[0]
        .is_ok()
    );
}

#[test]
fn a_witness_accuses_a_log_that_was_rolled_back_or_forked() {
    let (runtime, log, house) = (runtime(), Log::new("log.example/a", 300, 1), House::new());
    let peers = vec![peer(
        start(&runtime, &house, &log, Limits::default()),
        &house,
    )];
    let mut all = witnesses(peers);
    assert!(ask(&runtime, &mut all, 1, &log, 200)[0].is_ok());
    for (history, size) in [
        (&log, 150),
        (&log.forked(100), 200),
        (&log.forked(100), 300),
    ] {
        let answer = ask(&runtime, &mut all.clone(), 1, history, size).remove(0);
        let error = answer.unwrap_err();
        assert!(error.accuses(), "{error}");
    }
    assert!(
        ask(&runtime, &mut all, 1, &log, 300)[0].is_ok(),
        "the honest one goes on"
    );
}

#[test]
fn what_does_not_answer_or_answers_falsely_is_said_and_no_cosignature() {
    let (runtime, log, house) = (runtime(), Log::new("log.example/a", 300, 1), House::new());
    let address = start(&runtime, &house, &log, Limits::default());
    let impostor = House::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let foreign = Log::new("log.example/b", 300, 1);
    let mut all = witnesses(vec![
        Peer {
            key: impostor.key.clone(),
            ..peer(address, &house)
        },
        peer(closed, &house),
    ]);
    let answers = ask(&runtime, &mut all, 2, &log, 100);
    assert!(matches!(answers[0], Err(Refusal::Cosignature(_))));
    assert!(matches!(
        answers[1],
        Err(Refusal::Unreachable(HttpError::Connect { .. }))
    ));
    let mut all = witnesses(vec![peer(address, &house)]);
    assert!(matches!(
        ask(&runtime, &mut all, 1, &foreign, 100)[0],
        Err(Refusal::Status { status: 404, .. })
    ));
}

/// A server that says whatever a test wants, to every request.
fn liar(reply: &'static str) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 65536]);
            let head = format!("HTTP/1.1 {reply}");
            let _ = stream.write_all(head.as_bytes());
        }
    });
    address
}

#[test]
fn a_lying_witness_neither_loops_nor_fools_the_client() {
    let (runtime, log, house) = (runtime(), Log::new("log.example/a", 300, 1), House::new());
    for reply in [
        "409 Conflict\r\ncontent-type: text/x.tlog.size\r\ncontent-length: 2\r\n\r\n5\n",
        "409 Conflict\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n5\n",
        "409 Conflict\r\ncontent-type: text/x.tlog.size\r\ncontent-length: 3\r\n\r\n05\n",
        "200 OK\r\ncontent-length: 0\r\n\r\n",
        "200 OK\r\ncontent-length: 23\r\n\r\n— witness.example/w AA",
        "301 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        "500 \x1b[31mred\r\ncontent-length: 4\r\n\r\n\x1b[2J",
        "200 OK\r\ncontent-length: 99999999\r\n\r\nx",
        "no HTTP at all\r\n\r\n",
    ] {
        let mut all = witnesses(vec![peer(liar(reply), &house)]);
        let answer = ask(&runtime, &mut all, 1, &log, 100).remove(0);
        let told = answer.unwrap_err().to_string();
        assert!(!told.contains('\x1b'), "{told:?}");
    }
}

#[test]
fn every_status_comes_as_the_specification_says() {
    let (runtime, log, house) = (runtime(), Log::new("log.example/a", 300, 1), House::new());
    let address = start(&runtime, &house, &log, Limits::default());
    let hash = "0".repeat(64);
    assert!(
        raw(
            address,
            format!("GET /{hash}/checkpoint HTTP/1.0\r\n\r\n").as_bytes()
        )
        .starts_with("HTTP/1.0 404")
    );
    assert!(post(address, &log.submission(0, 100)).starts_with("HTTP/1.1 200"));
    let conflict = post(address, &log.submission(0, 200));
    assert!(
        conflict.starts_with("HTTP/1.1 409") && conflict.ends_with("\r\n\r\n100\n"),
        "{conflict}"
    );
    assert!(
        conflict.contains("content-type: text/x.tlog.size\r\n"),
        "{conflict}"
    );
    assert!(post(address, &log.forked(50).submission(100, 200)).starts_with("HTTP/1.1 422"));
    assert!(post(address, "nonsense").starts_with("HTTP/1.1 400"));
    assert!(
        post(
            address,
            &log.submission(100, 200).replace("\n200\n", "\n201\n")
        )
        .starts_with("HTTP/1.1 403")
    );
    assert!(raw(address, b"GET /add-checkpoint HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 405"));
    assert!(raw(address, b"GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 404"));
    assert!(raw(address, b"GET /../witness.vkey HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 404"));
    // The monitor's side: the newest one, under the whole SHA-256 of the origin.
    let listed: Vec<_> = std::fs::read_dir(house.state())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let name = listed
        .iter()
        .find(|name| name.starts_with(&log_id("log.example/a")))
        .unwrap();
    let seen = raw(
        address,
        format!("GET /{name}/checkpoint HTTP/1.0\r\n\r\n").as_bytes(),
    );
    let note: SignedNote = seen.split_once("\r\n\r\n").unwrap().1.parse().unwrap();
    assert_eq!(
        note.verify(log.verifier()).unwrap(),
        log.checkpoint(100).text()
    );
    assert!(note.verify_cosignature(&house.key).is_ok());
}

#[test]
fn the_connection_stays_open_for_more_requests() {
    let (runtime, log, house) = (runtime(), Log::new("log.example/a", 300, 1), House::new());
    let address = start(&runtime, &house, &log, Limits::default());
    let both: String = [(0, 100), (100, 200)]
        .map(|(old, new)| {
            let body = log.submission(old, new);
            let last = if new == 200 { "connection: close\r\n" } else { "" };
            format!("POST /add-checkpoint HTTP/1.1\r\nhost: w\r\n{last}content-length: {}\r\n\r\n{body}", body.len())
        })
        .concat();
    assert_eq!(
        raw(address, both.as_bytes())
            .matches("HTTP/1.1 200")
            .count(),
        2
    );
}

#[test]
fn the_slow_the_long_and_the_many_are_turned_away() {
    let (runtime, log, house) = (runtime(), Log::new("log.example/a", 300, 1), House::new());
    let limits = Limits {
        connections: 4,
        patience: Duration::from_millis(300),
        life: Duration::from_secs(5),
    };
    let address = start(&runtime, &house, &log, limits);
    // Heads and bodies that never end: each of them holds a place only for a while.
    let slow: Vec<_> = (0..12)
        .map(|number| {
            let head = if number % 2 == 0 {
                "POST /add-chec"
            } else {
                "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 9\r\n\r\nold"
            };
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert!(post(address, &log.submission(0, 100)).starts_with("HTTP/1.1 200"));
    drop(slow);
    let long = format!(
        "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 99999999\r\n\r\n{}",
        "x".repeat(1 << 19)
    );
    let answer = raw(address, long.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "{answer:.100}"
    );
    let headers = format!(
        "POST /add-checkpoint HTTP/1.1\r\n{}\r\n",
        "x: y\r\n".repeat(5000)
    );
    let answer = raw(address, headers.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer:.100}"
    );
    assert!(
        post(address, &log.submission(100, 200)).starts_with("HTTP/1.1 200"),
        "it goes on serving"
    );
}

#[test]
fn names_are_verified_where_tls_is_spoken() {
    let runtime = runtime();
    let plain = liar("200 OK\r\ncontent-length: 0\r\n\r\n");
    let url: Url = format!("https://{plain}/").parse().unwrap();
    let client = Client::new(&[]).unwrap();
    let answer = runtime.block_on(client.send(Method::Put, &url, "text/plain", Vec::new()));
    assert!(
        matches!(answer, Err(HttpError::Connect { .. })),
        "{answer:?}"
    );
    assert!(matches!(
        Client::new(&[vec![1, 2, 3]]),
        Err(HttpError::Authority(_))
    ));
}

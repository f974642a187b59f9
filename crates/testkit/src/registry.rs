//! A registry on loopback that serves what it is given, for tests of preparing packages.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Serves until the test ends.
pub struct Registry {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Registry {
    /// `pages` is told its address and gives what lies at which path.
    pub fn serve(pages: impl FnOnce(SocketAddr) -> BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be listened on");
        let address = listener.local_addr().expect("loopback can be listened on");
        let pages = Arc::new(pages(address));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let pages = Arc::clone(&pages);
                std::thread::spawn(move || answer(stream, &pages));
            }
        });
        Self { address }
    }
}

/// One request for each connection. A client that goes away is no failure of a test.
fn answer(mut stream: TcpStream, pages: &BTreeMap<String, Vec<u8>>) {
    let mut lines =
        BufReader::new(stream.try_clone().expect("loopback can be listened on")).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    for line in lines.map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
    }
    let (status, kind, body) = match pages.get(&path) {
        Some(body) if path.starts_with("/simple/") => ("200 OK", "text/html", body.as_slice()),
        Some(body) => ("200 OK", "application/json", body.as_slice()),
        None => ("404 Not Found", "text/plain", &b""[..]),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

//! Bytes a second through one relayed connection, as a ratio to a direct one over loopback.
//!
//! `unshare -Urn sh -c 'ip link set lo up; target/release/examples/throughput'`
#![expect(clippy::unwrap_used, reason = "a measurement may end")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Instant;

use bailiwick_capability::{DnsName, Grant};
use bailiwick_egress::{Listeners, Prepared, Settings};
use bailiwick_wall::{Addresses, Denials, Resolve};

const BYTES: usize = 2 << 30;
const CHUNK: usize = 128 << 10;
const ROUNDS: usize = 9;

struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _: &DnsName) -> Addresses {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

/// Sends everything it can to whoever connects.
fn source() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let chunk = vec![7; CHUNK];
        while stream.write_all(&chunk).is_ok() {}
    });
    port
}

/// Gigabytes a second of one transfer.
fn measure(address: IpAddr, port: u16) -> f64 {
    let mut stream = TcpStream::connect((address, port)).unwrap();
    let mut chunk = vec![0; CHUNK];
    let (mut heard, start) = (0, Instant::now());
    while heard < BYTES {
        heard += stream.read(&mut chunk).unwrap();
    }
    heard as f64 / start.elapsed().as_secs_f64() / 1e9
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let direct = measure(Ipv4Addr::LOCALHOST.into(), source());
        let port = source();
        let atom = format!("network_access:tcp://localhost:{port}");
        let settings = Settings {
            resolver: std::sync::Arc::new(Loopback),
            ..Settings::default()
        };
        let grant = Grant::new([atom.parse().unwrap()]);
        let prepared = Prepared::new(&grant, Vec::new(), settings)
            .unwrap()
            .unwrap();
        let listeners = Listeners {
            dns_udp: UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            dns_tcp: TcpListener::bind("127.0.0.1:0").unwrap().into(),
            tcp: vec![(port, TcpListener::bind(("::1", port)).unwrap().into())],
        };
        let _egress = prepared.serve(listeners, Denials::new()).unwrap();
        let relayed = measure(Ipv6Addr::LOCALHOST.into(), port);
        println!(
            "direct {direct:.2} GB/s, relayed {relayed:.2} GB/s, ratio {:.2}",
            relayed / direct
        );
        ratios.push(relayed / direct);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median {:.2}", ratios.get(ROUNDS / 2).unwrap());
}

//! Bytes through one connection that is carried as it is: by the egress, by the barest relay, and directly.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use bailiwick_capability::Grant;
use bailiwick_egress::{Egress, Listeners, Prepared, Settings};
use bailiwick_wall::Denials;

use super::Effort;
use super::egress::Loopback;
use crate::Outcome;
use crate::sample::{Row, Side, compare};

/// Bytes of one transfer.
const TRANSFER: usize = 64 << 20;
/// Bytes that both ends handle at once.
const CHUNK: usize = 128 << 10;

/// A transfer through the egress against a direct one, and against a thread that only copies.
pub(super) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let origin = origin()?;
    let _inside = runtime.enter();
    let (egress, wall) = carried(origin.port())?;
    let relay = relay(origin)?;
    let mut clients = [wall, origin, relay]
        .map(TcpStream::connect)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?
        .into_iter();
    let mut next = || clients.next().ok_or("three clients are connected");
    let (mut carried, mut direct, mut copied) = (next()?, next()?, next()?);
    let rows = compare(
        "64 MiB over one TCP connection",
        effort.plan(31, 1),
        &mut [
            Side::new("egress, carried as it is", || receive(&mut carried)),
            Side::new("directly over loopback", || receive(&mut direct)),
            Side::new("barest relay, a thread that copies", || {
                receive(&mut copied)
            }),
        ],
    );
    drop((carried, egress));
    rows
}

/// Asks for one transfer and takes it.
fn receive(stream: &mut TcpStream) -> Outcome<()> {
    stream.write_all(b"x")?;
    let mut chunk = vec![0; CHUNK];
    let mut left = TRANSFER;
    while left > 0 {
        let most = left.min(CHUNK);
        let count = stream.read(chunk.get_mut(..most).unwrap_or_default())?;
        if count == 0 {
            return Err("the transfer ended early".into());
        }
        left -= count;
    }
    Ok(())
}

/// Sends one transfer for each byte that it hears.
fn origin() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || send(stream));
        }
    });
    Ok(address)
}

fn send(mut stream: TcpStream) -> std::io::Result<()> {
    let chunk = vec![7; CHUNK];
    loop {
        stream.read_exact(&mut [0])?;
        for _ in 0..TRANSFER / CHUNK {
            stream.write_all(&chunk)?;
        }
    }
}

/// Copies both ways with one thread each, and looks at nothing.
fn relay(origin: SocketAddr) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for inside in listener.incoming().flatten() {
            let outside = TcpStream::connect(origin)?;
            for (mut from, mut to) in [
                (inside.try_clone()?, outside.try_clone()?),
                (outside.try_clone()?, inside.try_clone()?),
            ] {
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 2 * CHUNK];
                    while let Ok(count @ 1..) = from.read(&mut buffer)
                        && to
                            .write_all(buffer.get(..count).unwrap_or_default())
                            .is_ok()
                    {}
                });
            }
        }
        Ok::<_, std::io::Error>(())
    });
    Ok(address)
}

/// The egress, and where it listens.
fn carried(port: u16) -> Outcome<(Egress, SocketAddr)> {
    let atom = format!("network_access:tcp://localhost:{port}").parse()?;
    let settings = Settings {
        resolver: Arc::new(Loopback),
        ..Settings::default()
    };
    let prepared = Prepared::new(&Grant::new([atom]), Vec::new(), settings)?;
    let prepared = prepared.ok_or("nothing is granted")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let listeners = Listeners {
        dns_udp: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.into(),
        dns_tcp: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.into(),
        tcp: vec![(port, listener.into())],
    };
    Ok((prepared.serve(listeners, Denials::new())?, address))
}

//! A plugin's network and a world outside, both on the loopback device of one namespace: the world has its
//! public addresses, the plugin those of the resolver and of granted names.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bailiwick_capability::{DnsName, Grant};
use bailiwick_egress::{Egress, Listeners, Prepared, Settings};
use bailiwick_testkit::netns::is_alone_or_rerun;
use bailiwick_wall::{Addresses, Denials, Resolve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Where the world's servers are.
pub(crate) const PUBLIC: &str = "93.184.216.34";
/// Another of the world's addresses.
pub(crate) const OTHER: &str = "93.184.216.35";
/// Where cloud machines find their credentials.
pub(crate) const METADATA: &str = "169.254.169.254";
/// The resolver, and the addresses of the first two names.
pub(crate) const RESOLVER: &str = "198.18.0.1";
pub(crate) const FIRST: &str = "198.18.0.2";
pub(crate) const SECOND: &str = "198.18.0.3";

/// Runs the test in a namespace of its own.
pub(crate) fn alone(test: &str, work: impl Future<Output = ()>) {
    let addresses = [
        "198.18.0.0/15",
        "93.184.216.34/32",
        "93.184.216.35/32",
        "169.254.169.254/32",
        "10.0.0.1/32",
    ];
    if is_alone_or_rerun(test, &addresses) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.unwrap().block_on(work);
    }
}

/// A resolver of the host's whose answers the test writes, and which counts how often it was asked.
#[derive(Clone, Default)]
pub(crate) struct World {
    names: Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>,
    asked: Arc<AtomicUsize>,
}

impl World {
    pub(crate) fn of(names: &[(&str, &[&str])]) -> Self {
        let world = Self::default();
        for (name, addresses) in names {
            world.set(name, addresses);
        }
        world
    }

    pub(crate) fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.names
            .lock()
            .unwrap()
            .insert(name.to_owned(), addresses);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for World {
    fn resolve(&self, name: &DnsName) -> Addresses {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.names.lock().unwrap().get(name.as_str()).cloned();
        Box::pin(async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// One plugin's network.
pub(crate) struct Net {
    pub(crate) egress: Egress,
    pub(crate) denials: Denials,
    pub(crate) world: World,
}

/// Serves `atoms` of `network_access`, listening on `listen`.
pub(crate) async fn serve(atoms: &[&str], world: World, listen: &[(&str, u16)]) -> Net {
    let atom = |atom: &&str| format!("network_access:{atom}").parse().unwrap();
    let settings = Settings {
        resolver: Arc::new(world.clone()),
        ..Settings::default()
    };
    let grant = Grant::new(atoms.iter().map(atom));
    let prepared = Prepared::new(&grant, Vec::new(), settings)
        .unwrap()
        .unwrap();
    let denials = Denials::new();
    let udp = UdpSocket::bind((RESOLVER, 53)).await.unwrap();
    let mut tcp = Vec::new();
    for (address, port) in listen {
        tcp.push((*port, socket(listener(address, *port).await)));
    }
    let listeners = Listeners {
        dns_udp: udp.into_std().unwrap().into(),
        dns_tcp: socket(listener(RESOLVER, 53).await),
        tcp,
    };
    let egress = prepared.serve(listeners, denials.clone()).unwrap();
    Net {
        egress,
        denials,
        world,
    }
}

impl Net {
    /// What was refused since the last time: targets and reasons.
    pub(crate) fn refused(&self) -> Vec<(String, String)> {
        let denied = self.denials.take().into_iter();
        denied
            .inspect(|denied| assert_eq!(denied.operation, "network_access"))
            .map(|denied| (denied.target, denied.reason))
            .collect()
    }
}

pub(crate) async fn listener(address: &str, port: u16) -> TcpListener {
    let address = SocketAddr::new(address.parse().unwrap(), port);
    TcpListener::bind(address).await.unwrap()
}

fn socket(listener: TcpListener) -> OwnedFd {
    listener.into_std().unwrap().into()
}

/// A server of the world that sends back what it hears, and counts who came.
pub(crate) async fn echo(address: &str, port: u16) -> Arc<AtomicUsize> {
    let listener = listener(address, port).await;
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    came
}

/// Sends a word and answers what comes back until the end.
pub(crate) async fn exchange(address: &str, port: u16, word: &[u8]) -> io::Result<Vec<u8>> {
    let address = SocketAddr::new(address.parse().unwrap(), port);
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(word).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// A DNS query.
pub(crate) fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut out = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.extend([0, 0, u8::try_from(kind).unwrap(), 0, 1]);
    out
}

/// Asks the resolver inside for an address, over UDP.
pub(crate) async fn lookup(name: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind("198.18.0.9:0").await.unwrap();
    socket.connect((RESOLVER, 53)).await.unwrap();
    socket.send(&query(name, 1)).await.unwrap();
    let mut answer = [0; 512];
    let len = socket.recv(&mut answer).await.unwrap();
    let last: [u8; 4] = *answer[..len].last_chunk().unwrap();
    (answer[3] & 15 == 0 && answer[7] == 1).then(|| IpAddr::from(last))
}

/// The files that a plugin with these atoms is shown.
pub(crate) fn files(atoms: &[&str]) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let atom = |atom: &&str| format!("network_access:{atom}").parse().unwrap();
    let grant = Grant::new(atoms.iter().map(atom));
    let prepared = Prepared::new(&grant, Vec::new(), Settings::default());
    prepared.unwrap().unwrap().files()
}

//! What a world may hold besides the grant's files and programs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_wall::{Denials, WallError};

use crate::child::NetworkPlan;
use crate::supervise::Programs;
use crate::sys::MAX_PASSED;

/// Where DNS is answered inside a networked wall.
pub const DNS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// Covers 198.18.0.0/15 (RFC 2544): addresses that stand for granted names, all of them on `lo`.
const SYNTHETIC_MASK: [u8; 4] = [255, 254, 0, 0];

/// Most literal addresses and most ports of one world.
const MAX_ADDRESSES: usize = 256;
const MAX_PORTS: usize = 100;

/// Beyond the grant: parts of a world that somebody else serves or watches. Empty is the tightest.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// A network of granted ports only. Whoever asks for it serves the listeners, and so holds the grant's
    /// network atoms and secrets; without it both are refused.
    pub network: Option<Network>,
    /// Files shown besides, readable, in place of the host's own: path inside and content.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Whether it may make terminals of its own, as `script`, `tmux` and tests of command lines do.
    pub terminals: bool,
    /// Runs programs of which only some arguments are granted; without it such atoms are refused.
    pub programs: Option<Arc<dyn Programs>>,
    /// What the program's standard streams are, where they are inherited: the host's own unless given.
    pub streams: Option<Arc<[OwnedFd; 3]>>,
    /// Where the wall tells what it refused; and what it let through, if that is wanted, which needs all of it watched.
    pub denials: Denials,
    /// What is watched so that it can be told.
    pub watch: Watch,
}

/// How much of what the program tries passes by the host, which tells what was refused. It decides
/// nothing: whatever is watched, the kernel refuses the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// Refused operations are stopped, not told.
    #[default]
    Nothing,
    /// Refused system calls, programs, connections, and what writes.
    Acts,
    /// Opening for reading, too, which makes every open dearer.
    Everything,
    /// Also what only looks whether something is there, for telling what a program needs.
    Looks,
}

/// The network inside: `lo` and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// TCP ports that are listened on, on every address of `lo`.
    pub ports: BTreeSet<u16>,
    /// Address literals that were granted, put on `lo` so that dialling them arrives at the listeners.
    pub addresses: Vec<IpAddr>,
}

/// The listening sockets of a network inside. They lie in the program's network namespace, and only the
/// host holds them. Non-blocking.
#[derive(Debug)]
pub struct Listeners {
    /// DNS over UDP, on [`DNS`] port 53.
    pub dns_udp: OwnedFd,
    /// DNS over TCP, on [`DNS`] port 53.
    pub dns_tcp: OwnedFd,
    /// The ports; one that listens on IPv6 as well is there twice.
    pub tcp: Vec<(u16, OwnedFd)>,
}

fn refused(why: String) -> WallError {
    WallError::Build {
        what: "planning the network".to_owned(),
        why,
    }
}

impl Network {
    /// The plan for the child; `socket` takes the listeners.
    pub(crate) fn plan(&self, socket: i32, abi: u32) -> Result<NetworkPlan, WallError> {
        if self.ports.len() > MAX_PORTS || self.addresses.len() > MAX_ADDRESSES {
            return Err(refused(format!(
                "more than {MAX_PORTS} ports or {MAX_ADDRESSES} addresses: grant fewer at once"
            )));
        }
        if self.ports.contains(&53) {
            return Err(refused(
                "port 53 answers names inside and cannot be granted".to_owned(),
            ));
        }
        let mut v4 = vec![(DNS.octets(), SYNTHETIC_MASK)];
        let mut v6 = Vec::new();
        for address in &self.addresses {
            match address {
                // `lo` has these by itself.
                IpAddr::V4(address) if address.is_loopback() => {}
                IpAddr::V6(address) if address.is_loopback() => v6.push(None),
                IpAddr::V4(address) => v4.push((address.octets(), [255; 4])),
                IpAddr::V6(address) => v6.push(Some(address.octets())),
            }
        }
        let on = |v6| self.ports.iter().map(move |port| (*port, v6));
        let mut listeners: Vec<_> = on(false).collect();
        if !v6.is_empty() {
            listeners.extend(on(true));
        }
        debug_assert!(listeners.len() + 2 <= MAX_PASSED);
        Ok(NetworkPlan {
            socket,
            v4,
            v6: v6.into_iter().flatten().collect(),
            dns: DNS.octets(),
            listeners,
            landlock: abi >= 4,
        })
    }
}

impl Listeners {
    /// Puts names to descriptors in the order in which the child sends them.
    pub(crate) fn from_passed(plan: &NetworkPlan, passed: Vec<OwnedFd>) -> Option<Self> {
        let mut passed = passed.into_iter();
        let (dns_udp, dns_tcp) = (passed.next()?, passed.next()?);
        let tcp: Vec<_> = plan
            .listeners
            .iter()
            .map(|(port, _)| *port)
            .zip(passed)
            .collect();
        (tcp.len() == plan.listeners.len()).then_some(Self {
            dns_udp,
            dns_tcp,
            tcp,
        })
    }
}

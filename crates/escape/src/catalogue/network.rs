//! Sockets: without any network, and with one host and port granted.

use super::{Canary, Probe, SAID, probe};
use crate::probe::{Program, Sight, Streams};

const fn told(text: &'static str) -> Canary {
    Canary::Told(text)
}

const PYTHON: Program = Program::Machine("/usr/bin/python3");
const NODE: Program = Program::Machine("/usr/bin/node");

pub(super) const INTERNET: &[Probe] = &[
    probe("TCP", &["stream", "0", "127.0.0.1", "{tcp}"], told("tcp: {mark}")),
    probe("TCP to any address of this machine", &["stream", "0", "0.0.0.0", "{tcp}"], told("tcp: {mark}")),
    probe("TCP over IPv6", &["stream", "0", "::1", "{tcp6}"], told("tcp6: {mark}")),
    probe("TCP to a mapped address", &["stream", "0", "::ffff:127.0.0.1", "{tcp}"], told("tcp: {mark}")),
    probe("multipath TCP", &["stream", "262", "127.0.0.1", "{tcp}"], told("tcp: {mark}")),
    probe("TCP fast open, without connect", &["fast-open", "127.0.0.1", "{tcp}"], told("tcp: {mark}")),
    probe("UDP", &["datagram", "127.0.0.1", "{udp}"], told("udp: {mark}")),
    probe("UDP over IPv6", &["datagram", "::1", "{udp6}"], told("udp6: {mark}")),
    probe("UDP to all", &["broadcast", "{udp}"], told("udp: {mark}")),
    probe("a raw packet", &["raw-udp", "127.0.0.1", "{udp}"], told("udp: {mark}")),
    probe("a raw frame", &["packet", "{udp6}"], told("udp6: {mark}")),
    probe("serve TCP", &["serve", "{port}"], Canary::Seen(Sight::Port)),
    probe("netlink to a process", &["netlink", "{netlink}"], told("netlink: ")),
    probe("netlink: another address", &["route", "127.77.66.55"], Canary::Line("/proc/net/fib_trie", "127.77.66.55"))
        .alone(),
    probe("netlink: names of all sockets", &["socket-diagnostics"], SAID),
    probe(
        "Python's own sockets",
        &[
            "-c",
            "print('started')\nimport socket\nsocket.create_connection(('127.0.0.1', {tcp})).sendall(b'{mark}')",
        ],
        told("tcp: {mark}"),
    )
    .program(PYTHON),
    probe(
        "Node's own sockets",
        &[
            "-e",
            "console.log('started');const s=require('net').connect({tcp},'127.0.0.1',()=>s.write('{mark}',()=>process.exit()));\
             s.on('error',e=>console.log(e.message))",
        ],
        told("tcp: {mark}"),
    )
    .program(NODE),
];

pub(super) const LOCAL: &[Probe] = &[
    probe(
        "a socket in what may be written",
        &["local", "1", "@/write/socket"],
        told("unix: {mark}"),
    ),
    probe(
        "a socket in what may be read",
        &["local", "1", "@/read/socket"],
        told("unix: {mark}"),
    ),
    probe(
        "a socket elsewhere",
        &["local", "1", "@/secret/socket"],
        told("unix: {mark}"),
    ),
    probe(
        "a socket through /proc/self/root",
        &["local", "1", "/proc/self/root@/write/socket"],
        told("unix: {mark}"),
    ),
    probe(
        "a datagram by path",
        &["local", "2", "@/write/datagrams"],
        told("datagrams: {mark}"),
    ),
    probe(
        "packets by path",
        &["local", "5", "@/write/packets"],
        told("packets: {mark}"),
    ),
    probe(
        "an abstract socket",
        &["local", "1", "=escape-{mark}"],
        told("abstract: {mark}"),
    ),
    probe(
        "an abstract datagram",
        &["local", "2", "=escape-datagrams-{mark}"],
        told("abstract datagrams: {mark}"),
    ),
    probe(
        "half of a datagram pair, by path",
        &["local-from-pair", "2", "@/write/datagrams"],
        told("datagrams: {mark}"),
    ),
    probe(
        "half of a datagram pair, abstract",
        &["local-from-pair", "2", "=escape-datagrams-{mark}"],
        told("abstract datagrams: {mark}"),
    ),
    probe(
        "half of a pair connects elsewhere",
        &["pair-connects", "2", "@/write/datagrams"],
        told("datagrams: {mark}"),
    ),
    probe(
        "standard input as a way out",
        &["by-stdin", "@/write/datagrams"],
        told("datagrams: {mark}"),
    )
    .streams(Streams::Socket)
    .refusable(),
    probe(
        "serve by path",
        &["serve-unix", "@/write/served"],
        Canary::Seen(Sight::Socket("@/write/served")),
    ),
    probe(
        "serve abstractly",
        &["serve-unix", "=served-{mark}"],
        Canary::Seen(Sight::Socket("=served-{mark}")),
    ),
];

const SOCKET: Canary = Canary::Seen(Sight::Descriptor("socket:"));

pub(super) const FAMILIES: &[Probe] = &[
    probe("VSOCK to the machine below", &["vsock", "2"], SOCKET),
    probe("VSOCK to itself", &["vsock", "1"], SOCKET),
    probe("PACKET", &["family", "17"], SOCKET),
    probe("XDP", &["family", "44"], SOCKET),
    probe("ALG", &["family", "38"], SOCKET),
    probe("BLUETOOTH", &["family", "31"], SOCKET),
    probe("every other family", &["other-families"], SOCKET),
];

/// One address and port: whatever else is reached has come around it.
const ONE: &[&str] = &["network_access:tcp://127.0.0.1:{tcp}"];

pub(super) const GRANTED: &[Probe] = &[
    probe(
        "what is granted",
        &["stream", "0", "127.0.0.1", "{tcp}"],
        told("tcp: {mark}"),
    )
    .grants(ONE)
    .granted(),
    probe(
        "another port",
        &["stream", "0", "127.0.0.1", "{second}"],
        told("second: {mark}"),
    )
    .grants(ONE),
    probe(
        "another address",
        &["stream", "0", "::1", "{tcp6}"],
        told("tcp6: {mark}"),
    )
    .grants(ONE),
    probe(
        "UDP besides",
        &["datagram", "127.0.0.1", "{udp}"],
        told("udp: {mark}"),
    )
    .grants(ONE),
    probe(
        "UDP to a resolver of one's own",
        &["resolve", "127.0.0.1", "{udp}"],
        told("udp: "),
    )
    .grants(ONE),
    probe(
        "TCP to a resolver of one's own",
        &["stream", "0", "127.0.0.1", "{second}"],
        told("second: "),
    )
    .grants(ONE),
    probe(
        "fast open besides",
        &["fast-open", "127.0.0.1", "{second}"],
        told("second: {mark}"),
    )
    .grants(ONE),
    probe(
        "multipath TCP besides",
        &["stream", "262", "127.0.0.1", "{second}"],
        told("second: {mark}"),
    )
    .grants(ONE),
    probe(
        "raw packets besides",
        &["raw-udp", "127.0.0.1", "{udp}"],
        told("udp: {mark}"),
    )
    .grants(ONE),
    probe(
        "raw frames besides",
        &["packet", "{udp6}"],
        told("udp6: {mark}"),
    )
    .grants(ONE),
    probe(
        "netlink besides",
        &["netlink", "{netlink}"],
        told("netlink: "),
    )
    .grants(ONE),
    probe("socket names besides", &["socket-diagnostics"], SAID).grants(ONE),
    probe(
        "a local socket besides",
        &["local", "1", "@/write/socket"],
        told("unix: {mark}"),
    )
    .grants(ONE),
    probe(
        "a local datagram besides",
        &["local", "2", "@/write/datagrams"],
        told("datagrams: {mark}"),
    )
    .grants(ONE),
    probe(
        "an abstract socket besides",
        &["local", "1", "=escape-{mark}"],
        told("abstract: {mark}"),
    )
    .grants(ONE),
    probe(
        "an abstract datagram besides",
        &["local", "2", "=escape-datagrams-{mark}"],
        told("abstract datagrams: {mark}"),
    )
    .grants(ONE),
    probe(
        "a datagram pair besides",
        &["local-from-pair", "2", "@/write/datagrams"],
        told("datagrams: {mark}"),
    )
    .grants(ONE),
    probe(
        "a descriptor passed besides",
        &["passed", "@/write/socket"],
        SAID,
    )
    .grants(ONE),
    probe("packet sockets besides", &["family", "17"], SOCKET).grants(ONE),
    probe("VSOCK besides", &["vsock", "2"], SOCKET).grants(ONE),
    probe("every other family besides", &["other-families"], SOCKET).grants(ONE),
    probe(
        "a ring besides",
        &["uring-local", "@/write/socket"],
        told("unix: {mark}"),
    )
    .grants(ONE),
    probe(
        "int 0x80 besides",
        &["i386-tcp", "{second}"],
        told("second: {mark}"),
    )
    .grants(ONE),
    probe(
        "serve besides",
        &["serve", "{port}"],
        Canary::Seen(Sight::Port),
    )
    .grants(ONE),
    probe(
        "the hole through a network",
        &["cat", "@/read/hr/salary"],
        SAID,
    )
    .grants(ONE),
    probe(
        "a new network namespace besides",
        &["unshare", "40000000"],
        Canary::Seen(Sight::Apart("net")),
    )
    .grants(ONE),
];

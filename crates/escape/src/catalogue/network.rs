//! Sockets. Attacks on what a granted network opens belong into a class of their own here, with `.grants(…)`.

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
    probe("a raw frame", &["packet", "{udp}"], told("udp: {mark}")),
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

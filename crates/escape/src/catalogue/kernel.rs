//! Parts of the kernel that plugins have no use for, and other doors to the same calls.

use super::{Canary, Probe, SAID, probe};
use crate::probe::{Sight, Streams};

const fn told(text: &'static str) -> Canary {
    Canary::Told(text)
}

const fn holds(what: &'static str) -> Canary {
    Canary::Seen(Sight::Descriptor(what))
}

pub(super) const RINGS: &[Probe] = &[
    probe("a ring", &["uring-hold"], holds("anon_inode:[io_uring]")),
    probe("open by ring", &["uring-cat", "@/secret/key"], SAID),
    probe(
        "socket and connect by ring",
        &["uring-local", "@/write/socket"],
        told("unix: {mark}"),
    ),
    probe(
        "rename by ring",
        &["uring-rename", "@/secret/key", "@/write/own"],
        SAID,
    ),
];

pub(super) const FOREIGN: &[Probe] = &[
    probe("int 0x80: open", &["i386-cat", "@/secret/key"], SAID),
    probe(
        "int 0x80: socketcall",
        &["i386-local", "@/write/socket"],
        told("unix: {mark}"),
    ),
    probe(
        "int 0x80: socket and connect",
        &["i386-tcp", "{tcp}"],
        told("tcp: {mark}"),
    ),
    probe("x32: open", &["x32-cat", "@/secret/key"], SAID),
    probe(
        "x32: socket",
        &["x32-local", "@/write/socket"],
        told("unix: {mark}"),
    ),
    probe(
        "personality: no random addresses",
        &["persona", "00040000"],
        Canary::Seen(Sight::Personality),
    ),
    probe(
        "personality: what is read can be run",
        &["persona", "00400000"],
        Canary::Seen(Sight::Personality),
    ),
];

pub(super) const DOORS: &[Probe] = &[
    probe("bpf: a map", &["bpf-map"], holds("anon_inode:bpf-map")),
    probe(
        "bpf: a program",
        &["bpf-program"],
        holds("anon_inode:bpf-prog"),
    ),
    probe(
        "perf_event_open on oneself",
        &["perf", "0"],
        holds("anon_inode:[perf_event]"),
    ),
    probe(
        "perf_event_open on the victim",
        &["perf", "{pid}"],
        holds("anon_inode:[perf_event]"),
    ),
    probe(
        "userfaultfd",
        &["fault-handler", "0"],
        holds("anon_inode:[userfaultfd]"),
    ),
    probe(
        "userfaultfd for user memory",
        &["fault-handler", "1"],
        holds("anon_inode:[userfaultfd]"),
    ),
    probe(
        "/dev/userfaultfd",
        &["fault-handler-by-device"],
        holds("anon_inode:[userfaultfd]"),
    ),
    probe(
        "fanotify",
        &["watch-everything", "@/read"],
        holds("anon_inode:[fanotify]"),
    ),
    probe(
        "modify_ldt",
        &["segment", "{mark}-by-segment"],
        Canary::Answered("by segment: {mark}-by-segment"),
    ),
    probe(
        "swapon",
        &["swap-on", "@/write/swap"],
        Canary::Line("/proc/swaps", "@/write/swap"),
    )
    .alone(),
    probe(
        "reboot: control-alt-delete",
        &["reboot-key", "{cad}"],
        Canary::Changed("/proc/sys/kernel/ctrl-alt-del"),
    )
    .alone(),
    probe(
        "the clock's error",
        &["clock-error", "77777"],
        Canary::Clock(77777),
    )
    .alone(),
    probe(
        "the machine's domain",
        &["domain-name"],
        Canary::Changed("/proc/sys/kernel/domainname"),
    )
    .alone(),
    probe("the kernel's log", &["log-read"], SAID).alone(),
    probe(
        "accounting of all processes",
        &["accounting", "@/write/preload.so"],
        Canary::Changed("@/write/preload.so"),
    )
    .alone(),
    probe(
        "another user",
        &["set-user", "12345"],
        Canary::Seen(Sight::OtherUser),
    ),
    probe(
        "/dev/kmsg",
        &["device", "/dev/kmsg", "0"],
        holds("/dev/kmsg"),
    ),
    probe("/dev/mem", &["device", "/dev/mem", "0"], holds("/dev/mem")),
    probe("/dev/kvm", &["device", "/dev/kvm", "2"], holds("/dev/kvm")),
    probe(
        "/dev/fuse",
        &["device", "/dev/fuse", "2"],
        holds("/dev/fuse"),
    ),
    probe(
        "/dev/net/tun",
        &["device", "/dev/net/tun", "2"],
        holds("/dev/net/tun"),
    ),
];

pub(super) const KEYS: &[Probe] = &[
    probe(
        "a key of the user by name",
        &["key-read", "escape-{mark}"],
        SAID,
    ),
    probe(
        "a key of the user by number",
        &["key-read-by-number", "{key}"],
        SAID,
    ),
    probe(
        "leave a key with the user",
        &["key-add"],
        Canary::Line("/proc/keys", "{mark}: 1"),
    ),
];

pub(super) const TERMINALS: &[Probe] = &[
    probe(
        "type (TIOCSTI)",
        &["type", "-"],
        Canary::Terminal("typed: {mark}"),
    )
    .streams(Streams::Terminal),
    probe(
        "type, with high bits in the request",
        &["type", "-", "1"],
        Canary::Terminal("typed: {mark}"),
    )
    .streams(Streams::Terminal),
    probe(
        "type by /dev/tty",
        &["type", "/dev/tty"],
        Canary::Terminal("typed: {mark}"),
    )
    .streams(Streams::Terminal),
    probe(
        "take a free terminal (TIOCSCTTY)",
        &["take"],
        Canary::Seen(Sight::ControllingTerminal),
    )
    .streams(Streams::FreeTerminal),
    probe(
        "another line discipline",
        &["discipline"],
        Canary::Terminal("discipline: 27"),
    )
    .streams(Streams::FreeTerminal),
    probe(
        "write to another's terminal",
        &["write-to", "{pts}"],
        told("pts: {mark}"),
    ),
];

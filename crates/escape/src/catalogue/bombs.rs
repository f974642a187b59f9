//! Using up the machine. A bomb goes a little above the limit that is set, and what it got hold of must last: it works
//! bare without hurting anybody, and a wall that ends it at once has held it.

use super::{Canary, Probe, probe};
use crate::probe::Sight;

const fn seen(sight: Sight) -> Canary {
    Canary::Seen(sight)
}

const MEMORY: &[&str] = &["memory=256MiB"];
const PROCESSES: &[&str] = &["processes=64"];

pub(super) const BOMBS: &[Probe] = &[
    probe("processes", &["forks", "400"], seen(Sight::Processes(72))).limits(PROCESSES),
    probe("threads", &["threads", "400"], seen(Sight::Processes(72))).limits(PROCESSES),
    probe("the dead", &["zombies", "400"], seen(Sight::Zombies(72))).limits(PROCESSES),
    probe("processor time", &["spin", "3"], seen(Sight::Processes(1))).limits(&["cpu=1s"]),
    probe("time", &["held"], seen(Sight::Processes(0))).limits(&["time=1s"]),
    probe(
        "memory of one",
        &["memory-of", "1", "400"],
        seen(Sight::Memory(320)),
    )
    .limits(MEMORY),
    probe(
        "memory of many",
        &["memory-of", "8", "50"],
        seen(Sight::Memory(320)),
    )
    .limits(MEMORY),
    probe(
        "shared memory",
        &["shared-memory", "400"],
        seen(Sight::Memory(320)),
    )
    .limits(MEMORY),
    probe(
        "memory files",
        &["memory-files", "416"],
        seen(Sight::HeldFiles(320)),
    )
    .limits(MEMORY),
    probe("locked memory", &["locked", "64"], seen(Sight::Locked(32))).limits(MEMORY),
    probe(
        "scratch space",
        &["scratch", "/tmp", "416"],
        seen(Sight::HeldFiles(320)),
    )
    .limits(MEMORY),
    probe(
        "one large file",
        &["big-file", "@/write/large", "17"],
        Canary::Long("@/write/large", 16),
    )
    .limits(&["file-size=16MiB"]),
    probe(
        "many files",
        &["fill", "@/write", "192"],
        Canary::Fills("@/write", 144),
    )
    .limits(&["disk=32MiB"]),
    probe(
        "many files, set aside without writing",
        &["disk", "@/write", "192"],
        Canary::Fills("@/write", 144),
    )
    .limits(&["disk=32MiB"]),
    probe(
        "descriptors",
        &["many-descriptors", "400"],
        seen(Sight::Descriptors(140)),
    )
    .limits(&["files=128"]),
    probe(
        "a core file",
        &["core", "@/write"],
        Canary::Changed("@/write/core"),
    ),
    probe("output without end", &["output", "64"], Canary::Output(4)).limits(&["output=2MiB"]),
    probe(
        "output without end: the gate",
        &["output", "256"],
        Canary::GateMemory(400),
    )
    .alone()
    .not_bare("bare there is no gate to fill"),
    probe(
        "refusals without end: the gate",
        &["refusals", "@/secret", "50000"],
        Canary::GateMemory(400),
    )
    .alone()
    .not_bare("bare nobody refuses"),
    probe(
        "refusals without end: the log",
        &["refusals", "@/other", "50000"],
        Canary::Fills("@/state", 64),
    )
    .alone()
    .not_bare("bare nobody refuses"),
];

const ROOM: Canary = Canary::Told("starved of room in pipes");

pub(super) const STARVING: &[Probe] = &[
    probe("inotify", &["watches"], Canary::Told("starved of inotify")).alone(),
    probe("room in pipes", &["pipes"], ROOM).alone(),
    probe("room in pipes, by large ones", &["large-pipes"], ROOM).alone(),
    probe(
        "room in pipes, on their way in sockets",
        &["hidden-pipes"],
        ROOM,
    )
    .alone(),
    probe(
        "descriptors on the way",
        &["passing"],
        Canary::Told("starved of descriptors on the way"),
    )
    .alone(),
    probe(
        "pending signals",
        &["pending-signals", "200000"],
        Canary::Told("starved of timers"),
    )
    .alone(),
    probe(
        "timers",
        &["timers", "200000"],
        Canary::Told("starved of timers"),
    )
    .alone(),
];

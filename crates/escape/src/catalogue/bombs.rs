//! Using up the machine. A bomb stops a little above the gate's default bound (256 processes, 2 GiB, 1024 descriptors,
//! 1 GiB a file), so that it can be seen to work bare without hurting anybody.

use super::{Canary, Probe, probe};
use crate::probe::Sight;

const fn seen(sight: Sight) -> Canary {
    Canary::Seen(sight)
}

pub(super) const BOMBS: &[Probe] = &[
    probe("processes", &["forks", "400"], seen(Sight::Processes(256))).alone(),
    probe("threads", &["threads", "400"], seen(Sight::Processes(256))),
    probe("the dead", &["zombies", "700"], seen(Sight::Zombies(512))).alone(),
    probe(
        "memory of one",
        &["memory-of", "1", "2400"],
        seen(Sight::Memory(2048)),
    )
    .heavy(),
    probe(
        "memory of many",
        &["memory-of", "8", "300"],
        seen(Sight::Memory(2304)),
    )
    .heavy(),
    probe(
        "shared memory",
        &["shared-memory", "2400"],
        seen(Sight::Memory(2304)),
    )
    .heavy(),
    probe(
        "memory files",
        &["memory-files", "2560"],
        seen(Sight::HeldFiles(2304)),
    )
    .heavy(),
    probe("locked memory", &["locked", "64"], seen(Sight::Locked(32))),
    probe(
        "scratch space",
        &["scratch", "/tmp", "640"],
        seen(Sight::HeldFiles(512)),
    ),
    probe(
        "one large file",
        &["big-file", "@/write/large", "1025"],
        Canary::Changed("@/write/large"),
    ),
    probe(
        "many files",
        &["disk", "@/write", "5120"],
        Canary::Fills("@/write", 4608),
    )
    .heavy(),
    probe(
        "descriptors",
        &["many-descriptors", "1500"],
        seen(Sight::Descriptors(1100)),
    ),
    probe(
        "a core file",
        &["core", "@/write"],
        Canary::Changed("@/write/core"),
    ),
    probe(
        "output without end",
        &["output", "1024"],
        Canary::GateMemory(400),
    )
    .heavy()
    .not_bare("bare there is no gate to fill"),
    probe(
        "refusals without end: the gate",
        &["refusals", "@/secret", "200000"],
        Canary::GateMemory(400),
    )
    .heavy()
    .not_bare("bare nobody refuses"),
    probe(
        "refusals without end: the log",
        &["refusals", "@/other", "200000"],
        Canary::Fills("@/state", 64),
    )
    .heavy()
    .not_bare("bare nobody refuses"),
];

pub(super) const STARVING: &[Probe] = &[
    probe("inotify", &["watches"], Canary::Told("starved of inotify")).alone(),
    probe(
        "room in pipes",
        &["pipes"],
        Canary::Told("starved of room in pipes"),
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

//! Outliving the session. Whatever is left is found by its mark, or by its beats on a granted file.

use super::{Canary, Probe, probe};

const BEATS: &str = "@/write/beats";
const LIVES: Canary = Canary::Lives(BEATS);

pub(super) const LEFTOVERS: &[Probe] = &[
    probe("an orphan", &["orphan", BEATS], LIVES),
    probe("an orphan that ignores signals", &["deaf", BEATS], LIVES),
    probe("forked twice", &["twice-forked", BEATS], LIVES),
    probe(
        "a daemon without descriptors",
        &["daemonised", BEATS],
        LIVES,
    ),
    probe("under another name", &["renamed", BEATS], LIVES),
    probe("stopped", &["stopped", BEATS], LIVES),
    probe("by vfork", &["by-vfork", BEATS], LIVES),
    probe("under a reaper of its own", &["subreaper", BEATS], LIVES),
    probe("a sibling (CLONE_PARENT)", &["sibling", BEATS], LIVES),
    probe("a new process every moment", &["hopping", BEATS], LIVES),
    probe(
        "threads without their leader",
        &["leaderless", BEATS],
        LIVES,
    ),
    probe("holding the output open", &["keeps-output", BEATS], LIVES),
    probe(
        "in a pid namespace of its own",
        &["in-own-namespace", BEATS],
        LIVES,
    ),
    probe("the gate is killed", &["stays", BEATS], LIVES).kill_starter(),
    probe(
        "the gate is killed; signals ignored",
        &["stays-deaf", BEATS],
        LIVES,
    )
    .kill_starter(),
    probe(
        "the gate is killed; init blinded before",
        &["stays-and-blinds", BEATS],
        LIVES,
    )
    .kill_starter()
    .not_bare("it would blind the machine's own init"),
    probe(
        "the gate is killed; many dead around",
        &["stays-among-zombies", BEATS],
        LIVES,
    )
    .kill_starter(),
    probe(
        "the gate is killed; init's pipes held",
        &["stays-and-holds-pipes", BEATS],
        LIVES,
    )
    .kill_starter()
    .not_bare("it would hold pipes of the machine's own init"),
];

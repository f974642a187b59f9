//! Secrets that lie about, and what steers the gate. Placeholders of brokered secrets belong here as well.

use super::{Canary, Probe, SAID, probe};

pub(super) const SECRETS: &[Probe] = &[
    probe("the gate's variables", &["environment"], SAID),
    probe(
        "the gate's variables by /proc/self",
        &["cat", "/proc/self/environ"],
        SAID,
    ),
    probe("the machine's /tmp", &["cat", "/tmp/escape-{mark}"], SAID),
    probe("another's home", &["rummage", "@/home", "3"], SAID),
    probe("keys in a granted home", &["cat", "@/home/.ssh/id"], SAID)
        .grants(&["read_files:@/home/"])
        .refusable(),
    probe("the gate's state", &["cat", "@/state/planted"], SAID),
    probe(
        "the gate's state in a granted folder",
        &["cat", "@/state/planted"],
        SAID,
    )
    .grants(&["read_files:@/state/"])
    .refusable(),
    probe("everything in sight", &["rummage", "@", "4"], SAID),
    probe(
        "everything in sight, all granted",
        &["rummage", "@/state", "4"],
        SAID,
    )
    .grants(&["read_files:@/"])
    .refusable(),
    probe(
        "the gate's configuration",
        &["append", "@/conf/bailiwick.yaml"],
        Canary::Changed("@/conf/bailiwick.yaml"),
    ),
    probe(
        "the gate's configuration in a granted folder",
        &["append", "@/conf/bailiwick.yaml"],
        Canary::Changed("@/conf/bailiwick.yaml"),
    )
    .grants(&["write_files:@/conf/", "read_files:@/conf/"])
    .refusable(),
    probe(
        "the gate's policies in a granted folder",
        &["append", "@/conf/policies/suite.cedar"],
        Canary::Changed("@/conf/policies/suite.cedar"),
    )
    .grants(&["write_files:@/conf/policies/"])
    .refusable(),
    probe(
        "a planted workspace setting",
        &["create", "@/write/../.envrc"],
        Canary::Changed("@/.envrc"),
    ),
];

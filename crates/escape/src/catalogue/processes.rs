//! Other processes, and the kernel's files about them.

use super::{Canary, Probe, SAID, probe};
use crate::probe::{Digits, Sight, Streams};

const fn told(text: &'static str) -> Canary {
    Canary::Told(text)
}

pub(super) const PROC: &[Probe] = &[
    probe(
        "variables of all processes",
        &["of-everyone", "environ"],
        SAID,
    ),
    probe(
        "arguments of all processes",
        &["of-everyone", "cmdline"],
        SAID,
    ),
    probe(
        "a process's root",
        &["cat", "/proc/{pid}/root@/secret/key"],
        SAID,
    ),
    probe(
        "a process's working directory",
        &["cat", "/proc/{pid}/cwd/key"],
        SAID,
    ),
    probe(
        "a process's descriptor",
        &["cat", "/proc/{pid}/fd/{fd}"],
        SAID,
    ),
    probe(
        "a process's memory",
        &["memory", "{pid}", "{address}"],
        SAID,
    ),
    probe(
        "write a process's memory",
        &["write-memory", "{pid}", "{word}"],
        told("memory changed"),
    ),
    probe(
        "names of abstract sockets",
        &["cat", "/proc/net/unix"],
        SAID,
    ),
    probe(
        "the machine's boot",
        &["cat", "/proc/sys/kernel/random/boot_id"],
        Canary::SaidFile("/proc/sys/kernel/random/boot_id", Digits::Text),
    ),
    probe(
        "where the kernel lies",
        &["hex", "/proc/kallsyms"],
        Canary::SaidFile("/proc/kallsyms", Digits::Hex),
    ),
    probe(
        "all memory (/proc/kcore)",
        &["hex", "/proc/kcore"],
        Canary::SaidFile("/proc/kcore", Digits::Hex),
    ),
    probe(
        "disks (/proc/diskstats)",
        &["hex", "/proc/partitions"],
        Canary::SaidFile("/proc/partitions", Digits::Hex),
    ),
    probe(
        "the machine's /sys",
        &["hex", "/sys/kernel/notes"],
        Canary::SaidFile("/sys/kernel/notes", Digits::Hex),
    ),
    probe(
        "what handles crashes",
        &["set", "/proc/sys/kernel/core_pattern", "core.{mark}"],
        Canary::Changed("/proc/sys/kernel/core_pattern"),
    )
    .alone(),
    probe(
        "a setting of the kernel",
        &["set", "/proc/sys/vm/page-cluster", "2"],
        Canary::Changed("/proc/sys/vm/page-cluster"),
    )
    .alone(),
    probe(
        "a control group's agent",
        &["set", "/sys/fs/cgroup/freezer/release_agent", "/{mark}"],
        Canary::Changed("/sys/fs/cgroup/freezer/release_agent"),
    )
    .alone(),
    probe(
        "spared when memory is short",
        &["set-own", "/proc/self/oom_score_adj", "-500"],
        Canary::Seen(Sight::Spared),
    ),
    probe(
        "sysrq",
        &["set", "/proc/sysrq-trigger", "9"],
        Canary::Changed("/proc/sys/kernel/printk"),
    )
    .alone(),
    probe(
        "the victim's other threads' files",
        &["cat", "/proc/{pid}/task/{pid}/root@/secret/key"],
        SAID,
    ),
    probe(
        "score of another process",
        &["set", "/proc/{pid}/oom_score_adj", "1000"],
        Canary::Line("/proc/{pid}/oom_score_adj", "1000"),
    ),
];

pub(super) const DESCRIPTORS: &[Probe] = &[
    probe("an inherited descriptor", &["inherited", "3"], SAID)
        .streams(Streams::Leak("@/secret/key", 3)),
    probe(
        "an inherited descriptor far up",
        &["inherited", "300"],
        SAID,
    )
    .streams(Streams::Leak("@/secret/key", 300)),
    probe("any inherited descriptor", &["any-inherited"], SAID)
        .streams(Streams::Leak("@/secret/key", 77)),
    probe(
        "an inherited folder",
        &["beside-inherited", "5", "../secret/key"],
        SAID,
    )
    .streams(Streams::Leak("@/read", 5)),
    probe(
        "a folder as standard input",
        &["beside-inherited", "0", "../secret/key"],
        SAID,
    )
    .streams(Streams::Folder)
    .refusable(),
    probe(
        "a descriptor passed by a socket",
        &["passed", "@/write/socket"],
        SAID,
    ),
    probe(
        "a descriptor taken (pidfd_getfd)",
        &["taken", "{pid}", "{fd}"],
        SAID,
    ),
    probe(
        "a file by handle, by inode number",
        &["by-handle", "@/write", "@/secret/key"],
        SAID,
    ),
    probe(
        "a file by its own handle",
        &["own-handle", "@/read/data", "@/read"],
        Canary::Changed("@/read/data"),
    ),
];

pub(super) const MEMORY: &[Probe] = &[
    probe(
        "attach and peek",
        &["attach-peek", "{pid}", "{address}"],
        SAID,
    ),
    probe("seize", &["seize", "{pid}"], told("traced")),
    probe(
        "debug a child",
        &["traced-child"],
        Canary::Seen(Sight::Traced),
    ),
    probe("process_vm_readv", &["vm-read", "{pid}", "{address}"], SAID),
    probe(
        "process_vm_writev",
        &["vm-write", "{pid}", "{word}"],
        told("memory changed"),
    ),
];

pub(super) const SIGNALS: &[Probe] = &[
    probe("kill", &["kill", "{pid}"], told("signal 10")),
    probe("kill a group", &["kill-group", "{pgrp}"], told("signal 10")),
    probe("tgkill", &["tgkill", "{pid}"], told("signal 10")),
    probe("tkill", &["tkill", "{pid}"], told("signal 10")),
    probe("rt_sigqueueinfo", &["sigqueue", "{pid}"], told("signal 10")),
    probe(
        "pidfd_send_signal",
        &["pidfd-signal", "{pid}"],
        told("signal 10"),
    ),
    probe(
        "an owner who is told of input",
        &["signal-by-owner", "{pid}"],
        told("signal 10"),
    ),
    probe(
        "the group of whoever started it",
        &["kill-own-group"],
        told("signal 10"),
    )
    .with_victims_group(),
    probe("everybody", &["kill-all"], told("signal 10"))
        .not_bare("it would reach every process of the user"),
];

pub(super) const SHARE: &[Probe] = &[
    probe("lower its priority", &["lower", "{pid}"], told("lowered")),
    probe(
        "lower its limit of files",
        &["starve-files", "{pid}"],
        told("starved of files by limit"),
    ),
    probe(
        "lower its share of the disk",
        &["idle", "{pid}"],
        told("idle disk"),
    ),
    probe("pin it to one core", &["pin", "{pid}"], told("pinned")),
    probe(
        "run it only when idle",
        &["batch", "{pid}"],
        told("idle class"),
    ),
    probe(
        "raise one's own priority",
        &["nicer"],
        Canary::Seen(Sight::Favoured),
    ),
    probe(
        "run in real time",
        &["real-time"],
        Canary::Seen(Sight::Favoured),
    ),
];

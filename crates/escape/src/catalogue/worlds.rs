//! Mounts, roots, namespaces, and what namespaces keep apart.

use super::{Canary, Probe, SAID, probe};
use crate::probe::Sight;

const MOUNTED: Canary = Canary::Seen(Sight::Mounted);

const fn apart(name: &'static str) -> Canary {
    Canary::Seen(Sight::Apart(name))
}

pub(super) const MOUNTS: &[Probe] = &[
    probe("mount over a grant", &["over", "@/write"], MOUNTED),
    probe("mount by the new calls", &["new-api", "@/write"], MOUNTED),
    probe(
        "mount control groups",
        &["release-agent", "@/write"],
        MOUNTED,
    )
    .alone(),
    probe(
        "bind a secret",
        &["bind-cat", "@/secret", "@/write", "key"],
        SAID,
    ),
    probe(
        "bind and write",
        &["bind-put", "@/read", "@/write", "data"],
        Canary::Changed("@/read/data"),
    ),
    probe(
        "remount for writing",
        &["remount-put", "@/read", "@/read/data"],
        Canary::Changed("@/read/data"),
    ),
    probe(
        "mount_setattr for writing",
        &["attributes-put", "@/read", "@/read/data"],
        Canary::Changed("@/read/data"),
    ),
    probe(
        "clone a tree and look beside",
        &["tree-cat", "@/secret", "key"],
        SAID,
    ),
    probe(
        "clone a tree for writing",
        &["tree-put", "@/read", "data"],
        Canary::Changed("@/read/data"),
    ),
    probe(
        "take a mount away",
        &["detach-cat", "@/write", "@/secret/key"],
        SAID,
    ),
    probe("chroot", &["chroot", "@/write"], apart("root")),
    probe(
        "chroot and climb out",
        &["chroot-cat", "@/write", "@/secret/key"],
        SAID,
    ),
    probe("pivot_root", &["pivot", "@/write"], apart("root")),
];

pub(super) const NAMESPACES: &[Probe] = &[
    probe("a user namespace", &["unshare", "10000000"], apart("user")),
    probe("a mount namespace", &["unshare", "00020000"], apart("mnt")),
    probe(
        "a network namespace",
        &["unshare", "40000000"],
        apart("net"),
    ),
    probe("an ipc namespace", &["unshare", "08000000"], apart("ipc")),
    probe("a uts namespace", &["unshare", "04000000"], apart("uts")),
    probe(
        "a cgroup namespace",
        &["unshare", "02000000"],
        apart("cgroup"),
    ),
    probe(
        "user and mounts at once",
        &["unshare", "10020000"],
        apart("mnt"),
    ),
    probe(
        "user and network at once",
        &["unshare", "50000000"],
        apart("net"),
    ),
    probe(
        "a user namespace by clone",
        &["clone", "10000000"],
        apart("user"),
    ),
    probe(
        "a user namespace by clone3",
        &["clone3", "10000000"],
        apart("user"),
    ),
    probe(
        "a pid namespace by clone",
        &["clone", "30000000"],
        apart("pid"),
    ),
    probe(
        "a user namespace by int 0x80",
        &["unshare-by-i386", "10000000"],
        apart("user"),
    ),
    probe(
        "root in there, and mounts",
        &["nested", "@/secret", "@/write", "key"],
        SAID,
    ),
    probe("an identity map of one's own", &["own-map"], apart("user")),
    probe(
        "join the victim's mounts",
        &["join-process", "{pid}", "@/secret/key"],
        SAID,
    )
    .not_bare("bare, both are in the same namespace: there is nothing to join"),
];

pub(super) const SHARED: &[Probe] = &[
    probe("read a System V segment", &["segment-read", "{shm}"], SAID),
    probe(
        "write a System V segment",
        &["segment-write", "{shm}"],
        Canary::Told("shared memory changed"),
    ),
    probe(
        "remove a System V segment",
        &["segment-remove", "{shm}"],
        Canary::Told("shared memory removed"),
    ),
    probe(
        "leave a System V segment",
        &["segment-leave", "{key-hex}"],
        Canary::Line("/proc/sysvipc/shm", "{key-left} "),
    ),
    probe(
        "a System V queue",
        &["queue-send", "{msq}"],
        Canary::Told("queue {mark}"),
    ),
    probe(
        "a System V semaphore",
        &["semaphore", "{sem}"],
        Canary::Told("semaphore raised"),
    ),
    probe(
        "a POSIX queue",
        &["posix-queue-send", "{posix}"],
        Canary::Told("POSIX queue {mark}"),
    ),
    probe(
        "a POSIX queue of one's own",
        &["posix-queue-leave", "/left-{mark}"],
        Canary::Seen(Sight::Descriptor("/left-")),
    ),
    probe("read POSIX shared memory", &["posix-read", "{posix}"], SAID),
    probe(
        "write POSIX shared memory",
        &["posix-write", "{posix}"],
        Canary::Told("POSIX shared memory changed"),
    ),
    probe(
        "leave POSIX shared memory",
        &["posix-leave", "/left-{mark}"],
        Canary::Changed("/dev/shm/left-{mark}"),
    ),
];

//! Files by name, link and race.

use super::{Canary, Probe, SAID, probe};
use crate::probe::{Sight, Streams};

const fn changed(path: &'static str) -> Canary {
    Canary::Changed(path)
}

pub(super) const FILES: &[Probe] = &[
    probe("read by name", &["cat", "@/secret/key"], SAID),
    probe("read through ..", &["cat", "@/read/../secret/key"], SAID),
    probe(
        "read relative to a folder",
        &["from-folder", "@/read", "../secret/key"],
        SAID,
    ),
    probe(
        "read beside a folder's descriptor",
        &["beside-descriptor", "@/read", "../secret/key"],
        SAID,
    ),
    probe(
        "read upward from a folder's descriptor",
        &["up-from-descriptor", "@/read", "@/secret/key"],
        SAID,
    ),
    probe(
        "read by openat2",
        &["in-root", "@/read", "secret/key"],
        SAID,
    ),
    probe(
        "read through /proc/self/fd and ..",
        &["by-magic-link", "@/read", "secret/key"],
        SAID,
    ),
    probe(
        "read through /proc/self/root",
        &["cat", "/proc/self/root@/secret/key"],
        SAID,
    ),
    probe(
        "read through /proc/self/cwd",
        &["cat", "/proc/self/cwd/../secret/key"],
        SAID,
    ),
    probe(
        "read through /proc/thread-self/root",
        &["cat", "/proc/thread-self/root@/secret/key"],
        SAID,
    ),
    probe("read a hole", &["cat", "@/read/hr/salary"], SAID),
    probe(
        "read a hole through ..",
        &["cat", "@/read/./hr/../hr/salary"],
        SAID,
    ),
    probe(
        "read a hole by its descriptor",
        &["beside-descriptor", "@/read/hr", "salary"],
        SAID,
    ),
    probe(
        "read a hole from another grant",
        &["cat", "@/write/../read/hr/salary"],
        SAID,
    ),
    probe("list names of a folder", &["list", "@/other"], SAID),
    probe(
        "read the disk by a device of one's own",
        &["read-disk", "@/write"],
        changed("@/write/disk"),
    ),
    probe(
        "write what may be read",
        &["put", "@/read/data"],
        changed("@/read/data"),
    ),
    probe(
        "write a foreign file",
        &["put", "@/secret/key"],
        changed("@/secret/key"),
    ),
    probe(
        "write a granted program",
        &["put", "@/dynamic"],
        changed("@/dynamic"),
    ),
    probe(
        "write a hole",
        &["put", "@/read/hr/salary"],
        changed("@/read/hr/salary"),
    ),
    probe(
        "create beside a grant",
        &["create", "@/.mcp.json"],
        changed("@/.mcp.json"),
    ),
    probe(
        "create in what may be read",
        &["create", "@/read/new"],
        changed("@/read/new"),
    ),
    probe(
        "create a folder in what may be read",
        &["make-folder", "@/read/new"],
        changed("@/read/new"),
    ),
    probe(
        "create a link elsewhere",
        &["make-link", "@/write", "@/other/link"],
        changed("@/other/link"),
    ),
    probe(
        "create a pipe elsewhere",
        &["make-pipe", "@/other/pipe"],
        changed("@/other/pipe"),
    ),
    probe(
        "create a block device",
        &["make-device", "@/write/disk"],
        changed("@/write/disk"),
    ),
    probe(
        "create the device of all memory",
        &["make-char-device", "@/write/mem"],
        changed("@/write/mem"),
    ),
    probe(
        "reopen for writing",
        &["reopen", "@/read/data"],
        changed("@/read/data"),
    ),
    probe(
        "map for writing",
        &["map-shared", "@/read/data"],
        changed("@/read/data"),
    ),
    probe("truncate", &["cut", "@/read/data"], changed("@/read/data")),
    probe(
        "punch a hole into",
        &["punch", "@/read/data"],
        changed("@/read/data"),
    ),
    probe("remove", &["remove", "@/read/data"], changed("@/read/data")),
    probe(
        "remove a foreign file",
        &["remove", "@/secret/key"],
        changed("@/secret/key"),
    ),
    probe(
        "change a mode",
        &["mode", "@/read/data", "777"],
        changed("@/read/data"),
    ),
    probe(
        "change a mode by descriptor",
        &["mode-by-descriptor", "@/read/data", "777"],
        changed("@/read/data"),
    ),
    probe(
        "change an owner",
        &["owner", "@/read/data"],
        changed("@/read/data"),
    ),
    probe(
        "change times",
        &["times", "@/read/data"],
        changed("@/read/data"),
    ),
    probe(
        "change an attribute",
        &["attribute", "@/read/data"],
        changed("@/read/data"),
    ),
    probe(
        "change flags",
        &["flags", "@/read/data"],
        changed("@/read/data"),
    ),
    probe(
        "set the set-user-id bit",
        &["mode", "@/write/preload.so", "4755"],
        changed("@/write/preload.so"),
    ),
    probe(
        "create with the set-user-id bit",
        &["create-set-id", "@/write/set-id"],
        changed("@/write/set-id"),
    ),
    probe(
        "a lease that stops writers",
        &["lease", "@/read/data"],
        Canary::Told("leased"),
    ),
    probe(
        "a lock that stops others",
        &["lock", "@/read/data"],
        Canary::Told("locked"),
    ),
    probe(
        "a shared lock that stops writers",
        &["lock-shared", "@/read/data"],
        Canary::Told("locked"),
    ),
    probe(
        "a record lock that stops writers",
        &["lock-record", "@/read/data", "0"],
        Canary::Told("record locked"),
    ),
    probe(
        "a record lock of an open file",
        &["lock-record", "@/read/data", "1"],
        Canary::Told("record locked"),
    ),
    probe(
        "race: a lock through a swapped descriptor",
        &["lock-swapped", "@/read/data", "@/write/own"],
        Canary::Told("record locked"),
    ),
    probe(
        "dirty pipe (CVE-2022-0847)",
        &["dirty-pipe", "@/read/data"],
        changed("@/read/data"),
    ),
];

pub(super) const LINKS: &[Probe] = &[
    probe("a planted link", &["cat", "@/read/link"], SAID),
    probe("a planted link into a hole", &["cat", "@/read/to-hr"], SAID),
    probe(
        "a link of one's own",
        &["follow", "@/secret/key", "@/write/own"],
        SAID,
    ),
    probe(
        "a link to the root",
        &["follow", "/proc/self/root@/secret/key", "@/write/own"],
        SAID,
    ),
    probe(
        "a link to write through",
        &["follow-to-put", "@/read/data", "@/write/own"],
        changed("@/read/data"),
    ),
    probe(
        "a link to create through",
        &["create-through", "@/other/made", "@/write/own"],
        changed("@/other/made"),
    ),
    probe(
        "a hard link to a secret",
        &["hard-link-cat", "@/secret/key", "@/write/own"],
        SAID,
    ),
    probe(
        "a hard link to what may be read",
        &["hard-link-put", "@/read/data", "@/write/own"],
        changed("@/read/data"),
    ),
    probe(
        "a hard link by descriptor",
        &["hard-link-by-descriptor", "@/read/data", "@/write/own"],
        changed("@/read/data"),
    ),
    probe(
        "rename a secret into a grant",
        &["rename-cat", "@/secret/key", "@/write/own"],
        SAID,
    ),
    probe(
        "rename a hole into a grant",
        &["rename-cat", "@/read/hr/salary", "@/write/own"],
        SAID,
    ),
    probe(
        "rename between grants",
        &["rename", "@/read/data", "@/write/own"],
        changed("@/read/data"),
    ),
    probe(
        "rename over what may be read",
        &["rename", "@/write/preload.so", "@/read/data"],
        changed("@/read/data"),
    ),
    probe(
        "exchange between grants",
        &["exchange", "@/read/data", "@/write/own"],
        changed("@/read/data"),
    ),
    probe(
        "leave a whiteout",
        &["whiteout", "@/read/data", "@/read/own"],
        changed("@/read/data"),
    ),
    probe(
        "a nameless file gets a name",
        &["nameless", "@/read", "@/read/new"],
        changed("@/read/new"),
    ),
    probe(
        "a nameless file moves between grants",
        &["nameless", "@/write", "@/read/new"],
        changed("@/read/new"),
    ),
    probe(
        "race: a link swapped with a file",
        &["race-link", "@/secret/key", "@/write/now"],
        SAID,
    ),
    probe(
        "race: a link swapped with a folder",
        &["race-folder", "@/secret", "@/write"],
        SAID,
    ),
    probe(
        "race: a parent moved away",
        &["race-parent", "@/write", "../../../secret/key"],
        SAID,
    ),
    probe(
        "reopen standard input for writing",
        &["reopen-stdin"],
        changed("@/other/input"),
    )
    .streams(Streams::ReadOnlyFile),
    probe(
        "the mode of standard input",
        &["mode-of-stdin", "666"],
        changed("@/other/input"),
    )
    .streams(Streams::ReadOnlyFile),
    probe(
        "the mode of standard input, by its place in /proc",
        &["mode", "/proc/self/fd/0", "666"],
        changed("@/other/input"),
    )
    .streams(Streams::ReadOnlyFile),
    probe(
        "the times of standard input",
        &["times-of-stdin"],
        changed("@/other/input"),
    )
    .streams(Streams::ReadOnlyFile),
];

/// No attacks: a wall that lets nothing through would hold all of those.
pub(super) const GRANTED: &[Probe] = &[
    probe(
        "write a granted file",
        &["create", "@/write/new"],
        changed("@/write/new"),
    )
    .granted(),
    probe("read a granted secret", &["cat", "@/secret/key"], SAID)
        .grants(&["read_files:@/secret/key"])
        .granted(),
    probe(
        "run a granted program",
        &["run", "@/read/tool"],
        Canary::Seen(Sight::OtherProgram),
    )
    .grants(&["execute_code:@/read/tool"])
    .granted(),
];

//! Running what was not granted.

use super::{Canary, Probe, probe};
use crate::probe::{Program, Sight};

const OTHER: Canary = Canary::Seen(Sight::OtherProgram);

const fn mapped(name: &'static str) -> Canary {
    Canary::Seen(Sight::MappedCode(name))
}

pub(super) const PROGRAMS: &[Probe] = &[
    probe("written", &["written", "@/write/tool"], OTHER),
    probe("written to /tmp", &["written", "/tmp/{mark}"], OTHER),
    probe(
        "written to the home",
        &["written", "/home/plugin/tool"],
        OTHER,
    )
    .not_bare("that home is only inside"),
    probe(
        "written, by descriptor",
        &["written-by-descriptor", "@/write/tool"],
        OTHER,
    ),
    probe(
        "written without a name",
        &["nameless-run", "@/write"],
        OTHER,
    ),
    probe("only readable", &["run", "@/read/tool"], OTHER),
    probe(
        "only readable, through /proc/self/root",
        &["run", "/proc/self/root@/read/tool"],
        OTHER,
    ),
    probe(
        "a hard link to the granted one",
        &["linked", "@/write/tool"],
        Canary::Changed("@/write/tool"),
    ),
    probe("from memory", &["from-memory", "0"], OTHER),
    probe(
        "from memory, marked as program",
        &["from-memory", "10"],
        OTHER,
    ),
    probe("from memory, marked as none", &["from-memory", "8"], OTHER),
    probe(
        "from memory, by descriptor",
        &["from-memory-by-descriptor", "0"],
        OTHER,
    ),
    probe(
        "a script whose interpreter is granted",
        &["script", "@/write/script"],
        mapped("probe"),
    )
    .not_bare("what is mapped is the granted program either way; see the next"),
    probe(
        "code mapped from a written file",
        &["map-code", "@/write/code"],
        mapped("/write/code"),
    ),
    probe(
        "code mapped, then made executable",
        &["map-then-protect", "@/write/code"],
        mapped("/write/code"),
    ),
    probe(
        "the loader, on what is only readable",
        &[
            "by-loader",
            "/lib64/ld-linux-x86-64.so.2",
            "@/read/tool-dynamic",
        ],
        mapped("tool-dynamic"),
    )
    .program(Program::Dynamic),
    probe(
        "LD_PRELOAD",
        &[
            "with-variable",
            "@/dynamic",
            "LD_PRELOAD",
            "@/write/preload.so",
        ],
        mapped("preload.so"),
    )
    .program(Program::Dynamic),
    probe(
        "LD_AUDIT",
        &[
            "with-variable",
            "@/dynamic",
            "LD_AUDIT",
            "@/write/preload.so",
        ],
        mapped("preload.so"),
    )
    .program(Program::Dynamic),
    probe(
        "over one's own program",
        &["over-own-program"],
        Canary::Changed("@/probe"),
    ),
    probe(
        "rename over one's own program",
        &["rename-over-own-program", "@/write/tool"],
        Canary::Changed("@/probe"),
    ),
    probe(
        "a set-user-id program",
        &["set-id", "@/set-id/tool"],
        Canary::Seen(Sight::OtherUser),
    )
    .grants(&["execute_code:@/set-id/tool"]),
    probe(
        "a set-user-id program of the machine",
        &["run", "/usr/bin/passwd"],
        OTHER,
    )
    .not_bare("it waits for a person"),
    probe(
        "a program of the machine",
        &["run", "/usr/bin/sleep"],
        OTHER,
    )
    .not_bare("it knows nothing of marks"),
    probe(
        "an interpreter's other programs",
        &[
            "-c",
            "print('started')\nimport os,sys\nos.execv('@/read/tool', ['tool', '{mark}', 'held'])",
        ],
        OTHER,
    )
    .program(Program::Machine("/usr/bin/python3")),
    probe(
        "an interpreter's library",
        &[
            "-c",
            "print('started')\nimport ctypes,sys\nctypes.CDLL('@/write/preload.so')\n\
             print('holding',flush=True)\nsys.stdin.read()",
        ],
        mapped("preload.so"),
    )
    .program(Program::Machine("/usr/bin/python3")),
    probe(
        "a new binary format",
        &["format", "/proc/sys/fs/binfmt_misc/register"],
        Canary::Changed("/proc/sys/fs/binfmt_misc/{mark}"),
    )
    .alone(),
];

//! What every plugin finds, granted or not: none of it is the host's.

/// The plugin's home inside the wall: private, empty, gone afterwards.
pub const HOME: &str = "/home/plugin";

/// The plugin's scratch space inside the wall: private, empty, gone afterwards.
pub const TMP: &str = "/tmp";

/// Where process 1 lies.
pub(crate) const INIT_PATH: &str = "/.init";

/// Process 1: a small static program, see `init/init.rs`.
pub(crate) const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// Devices shown: no terminal, no disk, nothing with state.
pub(crate) const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// Links that programs expect.
pub(crate) const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/shm", "/tmp"),
];

/// Uid and gid inside for a host root: an ordinary number, so that no program thinks itself root.
const ORDINARY: u32 = 1000;

/// The number under which host user (or group) `id` is known inside.
pub(crate) fn inner_id(id: u32) -> u32 {
    if id == 0 { ORDINARY } else { id }
}

/// The synthetic files of `/etc`: path and content.
pub(crate) fn etc(uid: u32, gid: u32) -> [(&'static str, String); 4] {
    [
        (
            "/etc/passwd",
            format!(
                "root:x:0:0:root:/:/bin/false\nplugin:x:{uid}:{gid}:plugin:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
            ),
        ),
        (
            "/etc/group",
            format!("root:x:0:\nplugin:x:{gid}:\nnogroup:x:65534:\n"),
        ),
        (
            "/etc/hosts",
            "127.0.0.1 localhost\n::1 localhost\n".to_owned(),
        ),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\n".to_owned(),
        ),
    ]
}

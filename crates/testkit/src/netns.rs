//! A network namespace of a test's own, where every address and port is free to use.

use std::process::Command;

const INSIDE: &str = "BAILIWICK_TEST_NETNS";

const SET_UP: &str = "\
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up || exit 1
for address in $BAILIWICK_TEST_NETNS; do ip address add \"$address\" dev lo || exit 1; done
exec \"$0\" \"$@\"";

/// Whether this process is the one that was started in a namespace of its own.
#[must_use]
pub fn is_alone() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// `true` in the process that should do the work.
///
/// Elsewhere it starts this test once more in a network namespace of its own, as root of a user namespace of
/// its own, where `lo` also has `addresses` (such as `198.18.0.0/15` or `93.184.216.34/32`); waits, and
/// answers `false`.
#[must_use]
pub fn is_alone_or_rerun(test: &str, addresses: &[&str]) -> bool {
    if is_alone() {
        return true;
    }
    let binary = std::env::current_exe().expect("the test knows its binary");
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--",
            "sh",
            "-c",
            SET_UP,
        ])
        .arg(binary)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, format!("{} ", addresses.join(" ")));
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; hint: `cargo xtask setup`"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "in a network namespace of its own (is `ip` there? `cargo xtask setup`):\n{text}"
    );
    assert!(
        text.contains("1 passed"),
        "`{test}` is not the name of a test:\n{text}"
    );
    false
}

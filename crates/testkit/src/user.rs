//! Running things as an ordinary user, also where the tests themselves run as root.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `nobody` on every common system.
pub const NOBODY: u32 = 65534;

/// Are the tests run by root?
#[must_use]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // /proc/self belongs to the effective user.
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// A command that runs `program` as an ordinary user: `nobody` when this is root, else this very user.
/// Its environment holds nothing but a system search path.
#[must_use]
pub fn ordinary(program: impl AsRef<Path>) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        let id = NOBODY.to_string();
        command
            .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
            .arg(program.as_ref());
        command
    } else {
        Command::new(program.as_ref())
    };
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command
}

/// For a test that has to hold for ordinary users too: `true` in the process that should do the work.
///
/// Run by root, it starts this test once more as `nobody`, without a home and from a copy of the test
/// binary that `nobody` may read, waits, and answers `false`. Run by anybody else it answers `true`.
#[must_use]
pub fn is_ordinary_or_rerun(test: &str) -> bool {
    is_ordinary_or_rerun_with(test, &[])
}

/// The same, with variables that tell the ordinary user where to find what was copied for it.
#[must_use]
pub fn is_ordinary_or_rerun_with(test: &str, variables: &[(&str, PathBuf)]) -> bool {
    if !is_root() {
        return true;
    }
    let dir = crate::readable_dir();
    let binary = dir.path().join("test");
    std::fs::copy(
        std::env::current_exe().expect("the test knows its binary"),
        &binary,
    )
    .expect("the test binary can be copied");
    let mut command = ordinary(&binary);
    command
        .envs(std::env::vars_os())
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env_remove("HOME")
        .env_remove("TMPDIR");
    command
        .args(["--exact", test, "--nocapture"])
        .current_dir("/");
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "as nobody:\n{text}");
    assert!(
        text.contains("1 passed"),
        "`{test}` is not the name of a test:\n{text}"
    );
    false
}

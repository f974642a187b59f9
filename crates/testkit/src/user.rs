//! Running things as an ordinary user, also where the tests themselves run as root.

use std::path::Path;
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

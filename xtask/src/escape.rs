//! The attacks on the wall.

use crate::run::{run, top};

/// Builds the gate and its attackers, in the profile that everything runs in, and lets them loose.
pub(crate) fn attack(rest: &[String]) -> Result<(), String> {
    let build = [
        "build",
        "--release",
        "--quiet",
        "--package=bailiwick",
        "--package=bailiwick-escape",
    ];
    run("cargo", &build)?;
    let folder = std::env::var_os("CARGO_TARGET_DIR");
    let folder = folder.map_or_else(|| top().join("target"), |folder| top().join(folder));
    run(folder.join("release/bailiwick-escape"), rest)
}

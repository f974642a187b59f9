//! The benchmarks.

use crate::run::{run, top};

/// Builds what is measured, in the profile that everything runs in, and measures it.
pub(crate) fn measure(rest: &[String]) -> Result<(), String> {
    let build = [
        "build",
        "--release",
        "--quiet",
        "--package=bailiwick",
        "--package=bailiwick-bench",
    ];
    run("cargo", &build)?;
    let folder = std::env::var_os("CARGO_TARGET_DIR");
    let folder = folder.map_or_else(|| top().join("target"), |folder| top().join(folder));
    run(folder.join("release/bailiwick-bench"), rest)
}

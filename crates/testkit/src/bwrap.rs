//! Bubblewrap as an independent sandbox: shows that a closure suffices, without any code of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use bailiwick_wall::Program;

/// A command that runs `program` with exactly its closure, an empty home and temporary folder, and no
/// network; `extra` paths are present and readable as well.
///
/// Bubblewrap has no "readable but not executable", so this shows sufficiency, not the difference.
#[must_use]
pub fn command(program: &Program, home: &Path, extra: &[&Path]) -> Command {
    let mut command = Command::new("bwrap");
    // A minimal /dev and a /proc of its own are part of every wall; git does not start without /dev/null, and
    // loaders read in /proc where a program lies.
    command.args([
        "--unshare-all",
        "--die-with-parent",
        "--clearenv",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
    ]);
    let mut paths: Vec<PathBuf> = program
        .closure
        .read
        .iter()
        .chain(&program.closure.run)
        .cloned()
        .collect();
    paths.extend(extra.iter().map(|path| path.to_path_buf()));
    paths.sort();
    paths.dedup();
    for folder in [Path::new("/tmp"), home] {
        command.arg("--tmpfs").arg(folder);
    }
    for path in &paths {
        command.arg("--ro-bind").arg(path).arg(path);
    }
    for (name, value) in &program.env {
        command.arg("--setenv").arg(name).arg(value);
    }
    command
        .arg("--chdir")
        .arg(&program.cwd)
        .arg("--")
        .arg(&program.program)
        .args(&program.args);
    command
}

//! Running other programs, from the repository's top folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's top folder.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Runs it to its end, with its output shown.
pub(crate) fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> Result<(), String> {
    run_with(program, args, &[])
}

/// Like [`run`], with more environment.
pub(crate) fn run_with<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: &[S],
    env: &[(&str, &str)],
) -> Result<(), String> {
    let mut command = Command::new(program.as_ref());
    command
        .args(args)
        .envs(env.iter().copied())
        .current_dir(top());
    let status = command
        .status()
        .map_err(|error| format!("{:?}: {error}", program.as_ref()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` failed: {status}", line(&command)))
    }
}

/// Does it end well? Its output is not shown.
pub(crate) fn works(program: impl AsRef<OsStr>, args: &[&str]) -> bool {
    let mut command = Command::new(program.as_ref());
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

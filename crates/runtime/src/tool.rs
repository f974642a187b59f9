//! Running the machine's own tools (npm, pip, an interpreter) during preparation: cleaned
//! environment, no input, bounded time and output; past a bound the whole process group is ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{RuntimeError, io};
use crate::runner::{MAX_OUTPUT, Outcome};
use crate::settings::Settings;

/// How many of a tool's last lines are told.
const MAX_TAIL_LINES: usize = 12;

impl Outcome {
    pub(crate) fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// What went wrong, for an error.
    pub(crate) fn why(&self, tool: &str) -> String {
        match self.status {
            None => format!("{tool} did not finish in time, or said too much"),
            Some(status) => format!(
                "{tool} ended with {status}: {}",
                tail(&String::from_utf8_lossy(&self.stderr))
            ),
        }
    }

    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Runs a program of the machine's own search path in `/`, with only what tools may see of the environment.
pub(crate) fn run(
    settings: &Settings,
    program: &Path,
    args: &[OsString],
) -> Result<Outcome, RuntimeError> {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir("/")
        .env_clear()
        .envs(environment(settings));
    if let Ok(path) = std::env::join_paths(&settings.search_path) {
        command.env("PATH", path);
    }
    finish(command, program, settings.timeout)
}

/// The environment of a preparation tool: where the machine's registries are, and its person's home.
pub(crate) fn environment(settings: &Settings) -> Vec<(OsString, OsString)> {
    let home = settings.home.as_deref().unwrap_or(&settings.cache);
    let own = [("LANG", "C.UTF-8".into()), ("HOME", home.into())];
    let own = own.map(|(name, value): (&str, OsString)| (name.into(), value));
    settings.tool_env.iter().cloned().chain(own).collect()
}

/// Runs a command without input to its end; past a bound of time or output its whole group is ended.
pub(crate) fn finish(
    mut command: Command,
    program: &Path,
    timeout: Duration,
) -> Result<Outcome, RuntimeError> {
    let (out, err) = (scratch()?, scratch()?);
    command.stdin(Stdio::null()).process_group(0);
    command.stdout(out.try_clone().map_err(io("write output of", program))?);
    command.stderr(err.try_clone().map_err(io("write output of", program))?);
    let mut child = command.spawn().map_err(io("start", program))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let deadline = Instant::now() + timeout;
    let status = loop {
        match child.try_wait().map_err(io("wait for", program))? {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline || too_long(&out) || too_long(&err) => break None,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    if status.is_none() {
        if let Some(group) = group {
            // Fails only when nothing is left to end.
            let _ = kill_process_group(group, Signal::KILL);
        }
        child.wait().map_err(io("wait for", program))?;
    }
    Ok(Outcome {
        status,
        stdout: read_back(out, program)?,
        stderr: read_back(err, program)?,
    })
}

fn too_long(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.len() > MAX_OUTPUT)
}

fn scratch() -> Result<File, RuntimeError> {
    tempfile::tempfile().map_err(io("make a temporary file in", &std::env::temp_dir()))
}

fn read_back(mut file: File, program: &Path) -> Result<Vec<u8>, RuntimeError> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))
        .map_err(io("read output of", program))?;
    file.take(MAX_OUTPUT)
        .read_to_end(&mut bytes)
        .map_err(io("read output of", program))?;
    Ok(bytes)
}

/// The last lines, with control characters taken out: they go to a person's terminal.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines
        .get(lines.len().saturating_sub(MAX_TAIL_LINES)..)
        .unwrap_or_default()
        .join("; ");
    last.chars()
        .filter(|letter| !letter.is_control())
        .take(2000)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("/")
    }

    #[test]
    fn l20_tools_see_no_inherited_environment() {
        // CARGO_MANIFEST_DIR is in the environment of every test.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let done = run(&settings(), Path::new("/usr/bin/env"), &[]).unwrap();
        let said = done.said();
        let mut names: Vec<_> = said
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name)
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "LANG", "PATH"]);
    }

    #[test]
    fn a_tool_that_hangs_is_ended_with_its_children() {
        let mut settings = settings();
        settings.timeout = Duration::from_millis(50);
        let args = ["-c".into(), "sleep 600 & sleep 600".into()];
        let done = run(&settings, Path::new("/bin/sh"), &args).unwrap();
        assert!(done.status.is_none() && done.why("sh").contains("in time"));
    }

    #[test]
    fn output_without_end_is_cut() {
        let args = [
            "-c".into(),
            "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done".into(),
        ];
        let done = run(&settings(), Path::new("/bin/sh"), &args).unwrap();
        assert!(done.status.is_none() && done.stdout.len() as u64 <= MAX_OUTPUT);
    }
}

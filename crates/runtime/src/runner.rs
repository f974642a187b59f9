//! Steps of preparing a package: one of the machine's own tools, with a grant of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use bailiwick_capability::Grant;
use bailiwick_wall::Program;

use crate::tool;

/// One run of one of the machine's own tools (npm, pip, Python's venv) while a package is prepared.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is for, in a few words for people: `npm install`.
    pub what: String,
    /// The tool, with its environment and what it needs to run at all.
    pub program: Program,
    /// What it may: its configuration to read, a fresh folder to write, the configured registries to reach.
    pub grant: Grant,
    /// Names that are granted by their addresses, because these are not public ones: a person's own registry.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Bound on its time.
    pub timeout: Duration,
}

/// What a finished step left.
#[derive(Debug)]
pub struct Outcome {
    /// None when its time was over, or its output too long.
    pub status: Option<ExitStatus>,
    /// What it said, up to a bound.
    pub stdout: Vec<u8>,
    /// What it said to people, up to a bound.
    pub stderr: Vec<u8>,
}

/// Most that is kept of each of a tool's outputs, in bytes; a step that writes more is ended.
pub const MAX_OUTPUT: u64 = 1 << 20;

/// Runs steps, and waits for their end.
pub trait Runner: Send + Sync {
    /// Behind which wall: `none` where there is none.
    fn wall(&self) -> &'static str;

    /// Runs one step with exactly its grant.
    ///
    /// # Errors
    /// Why it could not be started. A tool that started and failed is an [`Outcome`].
    fn run(&self, step: &Step) -> Result<Outcome, String>;
}

/// Runs steps as the person's own processes, behind no wall: the grant says what they should need, and nothing
/// holds them to it. Package scripts are off all the same. For machines without the native wall, and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unconfined;

impl Runner for Unconfined {
    fn wall(&self) -> &'static str {
        "none"
    }

    fn run(&self, step: &Step) -> Result<Outcome, String> {
        let mut command = Command::new(&step.program.program);
        command
            .args(&step.program.args)
            .current_dir(if step.program.cwd.is_dir() {
                &step.program.cwd
            } else {
                Path::new("/")
            })
            .env_clear()
            .envs(step.program.env.iter().cloned());
        tool::finish(command, &step.program.program, step.timeout)
            .map_err(|error| error.to_string())
    }
}

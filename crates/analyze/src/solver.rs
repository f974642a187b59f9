//! The solver as a process of its own: no environment, and an end to its time.

use std::path::PathBuf;
use std::time::Duration;

use cedar_policy_symcc::CedarSymCompiler;
use cedar_policy_symcc::solver::LocalSolver;
use tokio::process::Command;

use crate::error::AnalyzeError;

/// Which solver, and how long it may think about one question.
#[derive(Debug, Clone)]
pub struct Solver {
    /// The program: `cvc5`, looked for on the search path, unless named otherwise.
    pub program: PathBuf,
    /// The time for one question. Without an answer by then it is undecided.
    pub limit: Duration,
}

impl Default for Solver {
    fn default() -> Self {
        Self {
            program: PathBuf::from("cvc5"),
            limit: Duration::from_secs(60),
        }
    }
}

impl Solver {
    pub(crate) fn start(&self) -> Result<CedarSymCompiler<LocalSolver>, AnalyzeError> {
        let limit = format!("--tlimit={}", self.limit.as_millis());
        let mut command = Command::new(&self.program);
        command.args(["--lang", "smt", &limit]).kill_on_drop(true);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path);
        let solver = LocalSolver::from_command(&mut command).map_err(|e| self.failed(&e))?;
        CedarSymCompiler::new(solver).map_err(|e| self.failed(&e))
    }

    pub(crate) fn failed(&self, error: &dyn std::error::Error) -> AnalyzeError {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            why = format!("{why}: {cause}");
            source = cause.source();
        }
        AnalyzeError::Solver {
            program: self.program.display().to_string(),
            why,
        }
    }
}

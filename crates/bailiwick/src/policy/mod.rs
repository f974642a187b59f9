//! `bailiwick policy`: tools for those who write policies. Nothing here grants anything.

mod analyze;
mod check;
mod cli;
mod explain;
mod set;
mod simulate;
mod test;

use std::path::Path;
use std::process::ExitCode;

use crate::config::Config;

pub(crate) use cli::PolicyArgs;
use cli::PolicyCommand;

/// 0: all is well; 1: something was found, refused or changed; 2: usage, or nobody knows.
pub(crate) fn run(args: &PolicyArgs, named: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::find(named)?.unwrap_or_default();
    let status = match &args.command {
        PolicyCommand::Check { set } => check::run(&config, set, args.json)?,
        PolicyCommand::Explain(explain) => explain::run(&config, explain, args.json)?,
        PolicyCommand::Test { cases } => test::run(&config, cases, args.json)?,
        PolicyCommand::Simulate { set, against } => {
            simulate::run(&config, set, against, args.json)?
        }
        PolicyCommand::Analyze(analyze) => analyze::run(&config, analyze, args.json)?,
    };
    Ok(ExitCode::from(status))
}

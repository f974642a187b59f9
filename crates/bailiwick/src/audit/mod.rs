//! `bailiwick audit`: read, verify and prove the log.

mod cli;
mod read;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;

pub(crate) use cli::AuditArgs;

use crate::home::Home;
use cli::AuditCommand;

pub(crate) fn run(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    let logs = logs(args.log.as_deref())?;
    match &args.command {
        AuditCommand::Verify { since, key } => {
            verify::verify_all(&logs, since.as_deref(), key.as_deref(), args.json)
        }
        AuditCommand::Tail { lines, follow } => read::show_tail(&logs, *lines, *follow, args.json),
        AuditCommand::Query(query) => read::find(&logs, query, args.json),
    }
}

/// The named log, or every log of ours.
fn logs(named: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(path) = named {
        return Ok(vec![path.to_owned()]);
    }
    let logs = Home::locate()?.logs();
    if logs.is_empty() {
        bail!(
            "there is no log yet: it begins with the first `bailiwick serve` or `bailiwick exec`"
        );
    }
    Ok(logs)
}

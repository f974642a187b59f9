//! `bailiwick audit`: read, verify and prove the log.

mod archive;
mod asked;
mod cli;
mod deed;
mod erase;
mod export;
mod follow;
mod index;
mod prove;
mod publish;
mod read;
mod report;
mod story;
mod timeline;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;

pub(crate) use cli::AuditArgs;

use crate::config::Config;
use crate::home::Home;
use cli::AuditCommand;

pub(crate) fn run(args: &AuditArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    // Whoever checks a proof has no log.
    let logs = match &args.command {
        AuditCommand::CheckProof(_) => Vec::new(),
        _ => logs(args.log.as_deref())?,
    };
    match &args.command {
        AuditCommand::CheckProof(check) => prove::check(check, args.json),
        AuditCommand::Prove(prove) => prove::prove(&logs, prove),
        AuditCommand::Publish => publish::publish(&logs, config, args.json),
        AuditCommand::Verify(verify) => verify::verify_all(&logs, verify, args.json),
        AuditCommand::Tail(tail) => follow::show_tail(&logs, tail, args.log.is_none(), args.json),
        AuditCommand::Query(query) => read::find(&logs, query, args.json),
        AuditCommand::Timeline(timeline) => timeline::tell(&logs, timeline, args.json),
        AuditCommand::Export(export) => export::run(&logs, export, Config::find(config)?),
        AuditCommand::Report(report) => report::run(&logs, report),
        AuditCommand::Erase(erase) => erase::run(&logs, erase, args.json),
        AuditCommand::Archive(archive) => archive::archive_old(&logs, archive, args.json),
        AuditCommand::Prune(prune) => archive::prune_archived(&logs, prune, args.json),
        AuditCommand::Index(index) => index::run(&logs, index, args.json),
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

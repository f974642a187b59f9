//! `bailiwick audit`: read and verify the log.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bailiwick_audit::{
    Checkpoint, Filter, Follow, Outcome, Report, Stored, Verified, VerifierKey, query,
    read_verifier_key, render, tail, verify,
};
use serde_json::{Value, json};

use crate::cli::{AuditArgs, AuditCommand, QueryArgs};
use crate::home::Home;
use crate::report::{FINE, FOUND, say};

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    let logs = logs(args.log.as_deref())?;
    match &args.command {
        AuditCommand::Verify { since, key } => {
            verify_all(&logs, since.as_deref(), key.as_deref(), args.json)
        }
        AuditCommand::Tail { lines, follow } => show_tail(&logs, *lines, *follow, args.json),
        AuditCommand::Query(query) => find(&logs, query, args.json),
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

fn verify_all(
    logs: &[PathBuf],
    since: Option<&Path>,
    key: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut outcomes = Vec::new();
    for dir in logs {
        let key = match key {
            Some(path) => read_key(path)?,
            None => read_verifier_key(dir)?,
        };
        let known = since.map(|path| read_checkpoint(path, &key)).transpose()?;
        outcomes.push((dir, verify(dir, &key, known.as_ref())));
    }
    if as_json {
        let all: Vec<Value> = outcomes
            .iter()
            .map(|(dir, outcome)| as_value(dir, outcome))
            .collect();
        say!("{}", serde_json::to_string_pretty(&json!({ "logs": all }))?);
    } else {
        outcomes
            .iter()
            .for_each(|(dir, outcome)| print_outcome(dir, outcome));
    }
    let fine = outcomes.iter().all(|(_, outcome)| outcome.is_ok());
    Ok(ExitCode::from(if fine { FINE } else { FOUND }))
}

fn read_key(path: &Path) -> anyhow::Result<VerifierKey> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    text.trim_end()
        .parse()
        .with_context(|| format!("`{}` is no verifier key", path.display()))
}

fn read_checkpoint(path: &Path, key: &VerifierKey) -> anyhow::Result<Checkpoint> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    Checkpoint::open(&text, key)
        .with_context(|| format!("`{}` is no checkpoint of this log", path.display()))
}

pub(crate) fn print_outcome(dir: &Path, outcome: &Result<Verified, Report>) {
    match outcome {
        Ok(verified) => {
            say!(
                "✔ {}: {} entries, all as they were signed",
                dir.display(),
                verified.size
            );
            say!("  signed by {}, root {}", verified.origin, verified.root);
            if verified.unsealed() > 0 {
                say!("  the newest {} are not signed yet", verified.unsealed());
            }
        }
        Err(report) => {
            say!("✘ {}: the log is not what was signed", dir.display());
            for finding in &report.findings {
                say!("  - {finding}");
            }
            if report.more > 0 {
                say!("  - and {} more", report.more);
            }
        }
    }
}

fn as_value(dir: &Path, outcome: &Result<Verified, Report>) -> Value {
    match outcome {
        Ok(verified) => json!({
            "log": dir, "ok": true, "entries": verified.size, "unsealed": verified.unsealed(),
            "origin": verified.origin, "root": verified.root.to_string(),
        }),
        Err(report) => json!({
            "log": dir, "ok": false, "more": report.more,
            "findings": report.findings.iter().map(|finding| json!({
                "entry": finding.index, "file": finding.file,
                "tampering": format!("{:?}", finding.tampering), "detail": finding.to_string(),
            })).collect::<Vec<_>>(),
        }),
    }
}

fn show_tail(
    logs: &[PathBuf],
    lines: u64,
    follow: bool,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut newest = Vec::new();
    for dir in logs {
        newest.extend(tail(dir, usize::try_from(lines)?)?);
    }
    sort_by_time(&mut newest);
    let excess = newest.len().saturating_sub(usize::try_from(lines)?);
    print_all(newest.into_iter().skip(excess), as_json)?;
    if !follow {
        return Ok(ExitCode::from(FINE));
    }
    let next = |dir: &PathBuf| -> anyhow::Result<Follow> {
        let index = tail(dir, 1)?.last().map_or(0, |stored| stored.index + 1);
        Ok(Follow::from(dir, index))
    };
    let mut followed = logs.iter().map(next).collect::<anyhow::Result<Vec<_>>>()?;
    loop {
        for log in &mut followed {
            print_all(log.poll()?, as_json)?;
        }
        std::thread::sleep(POLL);
    }
}

fn find(logs: &[PathBuf], args: &QueryArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let filter = Filter {
        plugin: args.plugin.clone(),
        user: args.user.clone(),
        session: args.session.clone(),
        decision: args.decision.as_deref().map(outcome).transpose()?,
        kind: args.kind.clone(),
        since: args.since.clone(),
        until: args.until.clone(),
        text: args.text.clone(),
        limit: args.limit.map(usize::try_from).transpose()?,
    };
    let mut found = Vec::new();
    for dir in logs {
        found.extend(query(dir, filter.clone()).collect::<Result<Vec<_>, _>>()?);
    }
    if logs.len() > 1 {
        sort_by_time(&mut found);
    }
    let limit = filter.limit.unwrap_or(usize::MAX);
    print_all(found.into_iter().take(limit), as_json)?;
    Ok(ExitCode::from(FINE))
}

fn outcome(text: &str) -> anyhow::Result<Outcome> {
    [
        Outcome::Grant,
        Outcome::Partial,
        Outcome::Deny,
        Outcome::Ask,
    ]
    .into_iter()
    .find(|outcome| outcome.as_str() == text)
    .with_context(|| format!("`{text}` is no decision: write grant, partial, deny or ask"))
}

/// Entries of several logs in the order of their times; those of one log keep theirs.
fn sort_by_time(entries: &mut [Stored]) {
    entries.sort_by_cached_key(|stored| stored.entry().map(|entry| entry.time).unwrap_or_default());
}

fn print_all(entries: impl IntoIterator<Item = Stored>, as_json: bool) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for stored in entries {
        if as_json {
            let entry: Value = serde_json::from_slice(&stored.json)?;
            writeln!(out, "{}", json!({ "index": stored.index, "entry": entry }))?;
        } else {
            writeln!(out, "{}", render(stored.index, &stored.entry()?))?;
        }
    }
    out.flush()?;
    Ok(())
}

//! `bailiwick audit tail` and `query`.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bailiwick_audit::{Filter, Follow, Outcome, Stored, query, render, tail};
use serde_json::{Value, json};

use super::cli::QueryArgs;
use crate::report::FINE;

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(200);

pub(super) fn show_tail(
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

pub(super) fn find(logs: &[PathBuf], args: &QueryArgs, as_json: bool) -> anyhow::Result<ExitCode> {
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

//! `bailiwick audit archive` and `prune`: retention.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bailiwick_audit::{Log, Part, Subject, archive, entries_before, prune};
use clap::Args;
use serde_json::json;

use crate::assemble::log_options;
use crate::person::Person;
use crate::report::{FINE, USAGE, exit, say};

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// Entries of before this time (a date, or RFC 3339 in UTC), or below this number
    #[arg(long, value_name = "DATE|ENTRY")]
    before: String,
    /// The archive: a folder of its own for each log, made or continued
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// The archive that holds what is removed from the log
    #[arg(long, value_name = "FOLDER")]
    archive: PathBuf,
}

pub(super) fn archive_old(
    logs: &[PathBuf],
    args: &ArchiveArgs,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let dir = only(logs)?;
    let entries = match args.before.parse::<u64>() {
        Ok(entries) => entries,
        Err(_) => entries_before(dir, time(&args.before)?)?,
    };
    let to = std::path::absolute(&args.to)?;
    let log = Log::open(dir, log_options(dir))?;
    let part = archive(&log, &person(), entries, &to)?;
    log.close()?;
    tell("archived", dir, &to, part, as_json);
    Ok(ExitCode::from(FINE))
}

pub(super) fn prune_archived(
    logs: &[PathBuf],
    args: &PruneArgs,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let dir = only(logs)?;
    let from = std::path::absolute(&args.archive)?;
    let log = Log::open(dir, log_options(dir))?;
    let part = prune(&log, &person(), &from)?;
    log.close()?;
    tell("pruned", dir, &from, part, as_json);
    Ok(ExitCode::from(FINE))
}

/// An archive is one log's.
fn only(logs: &[PathBuf]) -> anyhow::Result<&Path> {
    match logs {
        [one] => Ok(one),
        _ => Err(exit(USAGE, "there are several logs: name one with `--log`")),
    }
}

/// What is compared with the times of entries as text must be as they are.
fn time(text: &str) -> anyhow::Result<&str> {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    };
    let stem = text.strip_suffix('Z').unwrap_or(text);
    let whole = matches!(stem.len(), 10 | 16 | 19);
    if whole && stem.bytes().zip(FORM).all(fits) {
        return Ok(stem);
    }
    let message = format!(
        "`{text}` is neither an entry's number nor a time such as 2026-11-23 or 2026-11-23T15:04:05Z"
    );
    Err(exit(USAGE, message))
}

fn person() -> Subject {
    Subject::default().with_user(Person::current().name)
}

fn tell(done: &str, dir: &Path, archive: &Path, part: Part, as_json: bool) {
    if as_json {
        let value = json!({
            "log": dir, "archive": archive, "entries": part.entries, "bundles": part.bundles,
            "root": part.root.to_string(),
        });
        say!("{value}");
        return;
    }
    let entries = part.bundles.saturating_mul(256);
    say!(
        "{}: {entries} entries are {done}; {} holds the first {}",
        dir.display(),
        archive.display(),
        part.entries
    );
    say!("  root {}", part.root);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_as_entries_have_them_are_taken() {
        for (text, taken) in [
            ("2026-11-23", "2026-11-23"),
            ("2026-11-23T15:04", "2026-11-23T15:04"),
            ("2026-11-23T15:04:05Z", "2026-11-23T15:04:05"),
        ] {
            assert_eq!(time(text).unwrap(), taken);
        }
        for text in [
            "",
            "yesterday",
            "2026-11",
            "23.11.2026",
            "2026-11-23T15",
            "-5",
            "2026-11-23T15:04:05+02:00",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}

//! `bailiwick audit verify`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bailiwick_audit::{
    Checkpoint, KeptCheckpoints, Progress, Report, Tampering, Verification, Verified, VerifierKey,
    escape, read_checkpoints, read_verifier_key,
};
use bailiwick_tlog::SignedNote;
use serde_json::{Value, json};

use super::cli::VerifyArgs;
use crate::report::{FINE, FOUND, say};

/// A log that is verified sooner shows no progress, and progress is shown no more often.
const EVERY: Duration = Duration::from_millis(500);
/// Back to the line's beginning, and the line empty.
const WIPE: &str = "\r\x1b[K";

/// What is said of one log.
enum Outcome {
    Holds(Verified),
    /// The findings, and what keeps a kept checkpoint from being one.
    Found(Option<Report>, Vec<(String, Tampering, String)>),
}

pub(super) fn verify_all(
    logs: &[PathBuf],
    args: &VerifyArgs,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut outcomes = Vec::new();
    let mut used = 0;
    let mut unwitnessed = Vec::new();
    for dir in logs {
        let cosigned = args.quorum.newest_cosigned(dir)?;
        if let Err(error) = &cosigned {
            unwitnessed.push((dir, error.to_string()));
        }
        let (outcome, kept) = verify_one(dir, args, cosigned.ok().flatten())?;
        used += kept;
        outcomes.push((dir, outcome));
    }
    if !args.since.is_empty() && used == 0 {
        bail!("no checkpoint in what --since names is of this log: nothing was compared with it");
    }
    if as_json {
        let all: Vec<Value> = outcomes
            .iter()
            .map(|(dir, outcome)| as_value(dir, outcome))
            .collect();
        let unwitnessed: Vec<Value> = unwitnessed
            .iter()
            .map(|(dir, why)| json!({ "log": dir, "why": why }))
            .collect();
        let value = json!({ "logs": all, "unwitnessed": unwitnessed });
        say!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        outcomes
            .iter()
            .for_each(|(dir, outcome)| print_outcome(dir, outcome));
        for (dir, why) in &unwitnessed {
            say!("✘ {}: {}", dir.display(), escape(why));
        }
    }
    let fine = outcomes
        .iter()
        .all(|(_, outcome)| matches!(outcome, Outcome::Holds(_)));
    Ok(ExitCode::from(if fine && unwitnessed.is_empty() {
        FINE
    } else {
        FOUND
    }))
}

/// Verifies one log; the number says how many checkpoints claim to be of it.
/// `cosigned` is a checkpoint that witnesses cosigned: the log has to continue it.
fn verify_one(
    dir: &Path,
    args: &VerifyArgs,
    cosigned: Option<SignedNote>,
) -> anyhow::Result<(Outcome, usize)> {
    let key = match &args.key {
        Some(path) => read_key(path)?,
        None => read_verifier_key(dir)?,
    };
    let mut kept = KeptCheckpoints::default();
    for path in &args.since {
        let more = read_checkpoints(path, &key)?;
        kept.kept.extend(more.kept);
        kept.refused.extend(more.refused);
    }
    let mut verification = Verification::new(&key).with_progress(shown(dir));
    for one in &kept.kept {
        verification = verification.with_kept(one.name.clone(), one.checkpoint.clone());
    }
    if let Some(note) = cosigned {
        let checkpoint = Checkpoint::open(&note.to_string(), &key)
            .context("what the witnesses cosigned is no checkpoint of this log")?;
        verification = verification.with_kept("what witnesses cosigned".to_owned(), checkpoint);
    }
    if let Some(archive) = &args.archive {
        verification = verification.with_archive(archive);
    }
    let result = verification.run(dir);
    let claimed = kept.kept.len() + kept.refused.len();
    let refused: Vec<_> = kept
        .refused
        .into_iter()
        .map(|(name, error)| (name, Tampering::of_checkpoint(&error), error.to_string()))
        .collect();
    let outcome = match result {
        Ok(verified) if refused.is_empty() => Outcome::Holds(verified),
        Ok(_) => Outcome::Found(None, refused),
        Err(report) => Outcome::Found(Some(report), refused),
    };
    Ok((outcome, claimed))
}

fn read_key(path: &Path) -> anyhow::Result<VerifierKey> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    text.trim_end()
        .parse()
        .with_context(|| format!("`{}` is no verifier key", path.display()))
}

/// Shows how far it is on standard error, where that is a terminal and it takes long.
fn shown(dir: &Path) -> impl FnMut(Progress) {
    let name = dir.display().to_string();
    let on_terminal = std::io::stderr().is_terminal();
    let began = Instant::now();
    let mut last = began;
    let mut drawn = false;
    move |progress| {
        if !on_terminal {
            return;
        }
        let done = progress.entries == progress.of / 256 * 256;
        if done && drawn {
            // Nobody misses a progress display that could not be drawn.
            let _ = write!(std::io::stderr(), "{WIPE}");
            return;
        }
        if last.elapsed() < EVERY {
            return;
        }
        last = Instant::now();
        drawn = true;
        let line = progress_line(&name, progress, began.elapsed());
        let _ = write!(std::io::stderr(), "{WIPE}{line}");
    }
}

fn progress_line(name: &str, progress: Progress, taken: Duration) -> String {
    let percent = progress.entries.saturating_mul(100) / progress.of.max(1);
    let millis = taken.as_millis().max(1);
    let left = taken
        .as_secs()
        .saturating_mul(progress.of.saturating_sub(progress.entries))
        / progress.entries.max(1);
    let megabytes = u128::from(progress.bytes) / 1000 / millis;
    let name = escape(name);
    format!(
        "{name}: {percent} % of {} entries, {megabytes} MB/s, {left} s left",
        progress.of
    )
}

fn print_outcome(dir: &Path, outcome: &Outcome) {
    match outcome {
        Outcome::Holds(verified) => print_verified(dir, verified),
        Outcome::Found(report, refused) => {
            say!("✘ {}: the log is not what was signed", dir.display());
            for (name, _, why) in refused {
                say!("  - {}: {}", escape(name), escape(why));
            }
            let Some(report) = report else { return };
            for finding in &report.findings {
                say!("  - {}", escape(&finding.to_string()));
            }
            if report.more > 0 {
                say!("  - and {} more", report.more);
            }
        }
    }
}

fn print_verified(dir: &Path, verified: &Verified) {
    say!(
        "✔ {}: {} entries, all as they were signed",
        dir.display(),
        verified.size
    );
    say!("  signed by {}, root {}", verified.origin, verified.root);
    if verified.unsealed() > 0 {
        say!("  the newest {} are not signed yet", verified.unsealed());
    }
    if verified.pruned > 0 {
        say!(
            "  the first {} were archived and pruned; of those only the hashes are here (--archive FOLDER reads them)",
            verified.pruned
        );
    }
    if verified.openings > 0 {
        say!("  {} sealed strings are what was sealed", verified.openings);
    }
    if verified.kept > 0 {
        say!("  it continues {} kept checkpoint(s)", verified.kept);
    }
    if !verified.beside.is_empty() {
        let names: Vec<_> = verified.beside.iter().map(|name| escape(name)).collect();
        say!("  not of the log, in its folder: {}", names.join(", "));
    }
}

fn as_value(dir: &Path, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Holds(verified) => json!({
            "log": dir, "ok": true, "entries": verified.size, "signed": verified.sealed,
            "published": verified.published, "unsealed": verified.unsealed(),
            "unfinished_bytes": verified.unfinished_bytes, "bytes": verified.bytes,
            "pruned": verified.pruned, "openings": verified.openings, "kept": verified.kept,
            "beside": verified.beside,
            "origin": verified.origin, "root": verified.root.to_string(),
        }),
        Outcome::Found(report, refused) => {
            let refused = refused.iter().map(|(name, tampering, why)| {
                json!({
                    "entry": null, "until": null, "file": name, "tampering": tampering.as_str(),
                    "detail": why, "text": format!("{name}: {why}"),
                })
            });
            let findings = report.iter().flat_map(|report| &report.findings);
            let findings = findings.map(|finding| {
                json!({
                    "entry": finding.index, "until": finding.until, "file": finding.file,
                    "tampering": finding.tampering.as_str(), "moved_to": finding.moved_to(),
                    "detail": finding.detail, "text": finding.to_string(),
                })
            });
            json!({
                "log": dir, "ok": false, "more": report.as_ref().map_or(0, |report| report.more),
                "findings": refused.chain(findings).collect::<Vec<_>>(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_far_how_fast_and_how_long() {
        let progress = Progress {
            entries: 2_500_000,
            of: 10_000_000,
            bytes: 1_000_000_000,
        };
        assert_eq!(
            progress_line("audit", progress, Duration::from_secs(4)),
            "audit: 25 % of 10000000 entries, 250 MB/s, 12 s left"
        );
        let start = Progress {
            entries: 0,
            of: 0,
            bytes: 0,
        };
        progress_line("\x1b[2J", start, Duration::ZERO);
    }
}

//! `bailiwick audit verify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bailiwick_audit::{Checkpoint, Report, Verified, VerifierKey, read_verifier_key, verify};
use serde_json::{Value, json};

use crate::report::{FINE, FOUND, say};

pub(super) fn verify_all(
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

fn print_outcome(dir: &Path, outcome: &Result<Verified, Report>) {
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

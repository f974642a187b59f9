//! The proposal as a manifest that can be read, each line with its evidence.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use bailiwick_capability::Capability;
use bailiwick_gate::learning::Learnt;
use bailiwick_gate::line;
use bailiwick_learn::{Evidence, Line, Proposal};
use bailiwick_manifest::{Manifest, Start};
use serde_json::{Map, Value, json};

/// The keys that a proposal is about.
const ASKED: [&str; 2] = ["required_capabilities", "optional_capabilities"];
/// Tools named for one line.
const MAX_TOOLS: usize = 4;

/// The manifest. It is read back before anybody sees it.
///
/// # Errors
/// What cannot be written as a manifest.
pub(super) fn written(learnt: &Learnt) -> anyhow::Result<String> {
    let source = &learnt.source.manifest;
    let proposal = learnt.proposal();
    let mut text = header(learnt, &proposal);
    for (key, value) in &surroundings(learnt)? {
        let _ = writeln!(text, "{key}: {value}");
    }
    let is_synthetic = learnt.source.dir.is_none();
    let required = |line: &&Line| {
        let mut required = source.required();
        is_synthetic || required.any(|atom| atom.capability.contains(&line.capability))
    };
    let (required, optional): (Vec<&Line>, Vec<&Line>) = proposal.lines.iter().partition(required);
    for (key, lines) in ASKED.iter().zip([required, optional]) {
        list(&mut text, key, &lines);
    }
    check(&text, &proposal).context("what was learnt cannot be written as a manifest")?;
    Ok(text)
}

fn header(learnt: &Learnt, proposal: &Proposal) -> String {
    let mut text = String::from("# Learnt from what it used; read it before you rely on it.\n");
    for atom in &proposal.unused {
        let _ = writeln!(
            text,
            "# Granted meanwhile and never used: {}",
            line(&atom.to_string())
        );
    }
    for refused in &learnt.refused {
        let _ = writeln!(
            text,
            "# Not granted, so nothing was learnt of it: {}",
            line(refused)
        );
    }
    if proposal.beyond > 0 {
        let _ = writeln!(
            text,
            "# NOT COVERED: {} uses more, of too many different things to keep.",
            proposal.beyond
        );
    }
    if learnt.lessons.is_empty() {
        text.push_str("# It used nothing of what it was granted.\n");
    }
    text
}

/// All else that the manifest says.
fn surroundings(learnt: &Learnt) -> anyhow::Result<Map<String, Value>> {
    let manifest = &learnt.source.manifest;
    let mut all = match (&learnt.source.dir, &manifest.runtime().start) {
        (None, Start::Command(command)) => Map::from_iter([
            ("id".to_owned(), json!(manifest.id().as_str())),
            ("version".to_owned(), json!("0.1.0")),
            ("runtime".to_owned(), json!({ "command": command })),
        ]),
        _ => {
            let text = manifest.source().text();
            let read: Result<Map<String, Value>, String> = match serde_json::from_str(text) {
                Ok(json) => Ok(json),
                Err(_) => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
            };
            read.map_err(anyhow::Error::msg)?
        }
    };
    all.retain(|key, _| !ASKED.contains(&key.as_str()));
    Ok(all)
}

fn list(text: &mut String, key: &str, lines: &[&Line]) {
    if lines.is_empty() {
        let _ = writeln!(text, "{key}: []");
        return;
    }
    let _ = writeln!(text, "{key}:");
    for one in lines {
        let why = match &one.evidence {
            None => vec!["kept: nobody can see from outside whether it is used".to_owned()],
            Some(evidence) => vec![how_often(evidence), on_what(evidence)],
        };
        for why in why {
            let _ = writeln!(text, "  # {}", line(&why));
        }
        let _ = writeln!(text, "  - {}", json!(one.capability.to_string()));
    }
}

fn how_often(evidence: &Evidence) -> String {
    let times = match evidence.times {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let tools: Vec<&str> = evidence
        .tools
        .iter()
        .take(MAX_TOOLS)
        .map(String::as_str)
        .collect();
    let more = match evidence.tools.len() > MAX_TOOLS {
        true => ", …",
        false => "",
    };
    let during = match tools.is_empty() {
        true => "outside of calls".to_owned(),
        false => format!("while {}{more} ran", tools.join(", ")),
    };
    format!("{times}, {during}:")
}

fn on_what(evidence: &Evidence) -> String {
    let examples = evidence.examples.join(", ");
    match evidence.targets.saturating_sub(evidence.examples.len()) {
        0 => examples,
        rest => format!("{examples} and {rest} more"),
    }
}

/// What is read back must be what is proposed.
fn check(text: &str, proposal: &Proposal) -> anyhow::Result<()> {
    let manifest =
        Manifest::parse("learnt.yaml", text.as_bytes()).map_err(crate::report::diagnostic)?;
    let asked: BTreeSet<&Capability> = manifest
        .atoms()
        .iter()
        .map(|atom| &atom.capability)
        .collect();
    let proposed: BTreeSet<&Capability> =
        proposal.lines.iter().map(|line| &line.capability).collect();
    if asked != proposed {
        bail!("it reads differently from what is proposed");
    }
    Ok(())
}

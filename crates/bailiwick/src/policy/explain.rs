//! `bailiwick policy explain`.

use anyhow::Context as _;
use bailiwick_capability::{Capability, Granted};
use bailiwick_gate::resolve::resolve;
use bailiwick_policy::{CallVerdict, Explained, Explanation, Pdp, Question, Reason, Step};
use serde_json::{Map, Value, json};

use crate::assemble::search_path;
use crate::config::Config;
use crate::report::{FINE, FOUND, say};

use super::cli::{ExplainArgs, SetArgs};
use super::set;

pub(super) fn run(config: &Config, args: &ExplainArgs, as_json: bool) -> anyhow::Result<u8> {
    let given = SetArgs {
        policies: args.policies.clone(),
        links: args.links.clone(),
    };
    let pdp = set::load(config, &given)?;
    let (principal, context) = set::who(config, &args.who)?;
    let arguments: Map<String, Value> = match &args.arguments {
        None => Map::new(),
        Some(text) => serde_json::from_str(text).context("--arguments is no JSON object")?,
    };
    // As a plugin's would be; what is not on this machine is explained as it is written.
    let here =
        |asked: &Capability| resolve(asked, &search_path()).unwrap_or_else(|_| asked.clone());
    let asked = args.asked.as_ref().map(here);
    let question = match (&asked, &args.call) {
        (Some(asked), _) => Question::Load(asked),
        (None, Some(tool)) => Question::Call(tool, &arguments),
        (None, None) => anyhow::bail!("name a capability, or a tool by --call"),
    };
    let explanation = pdp.explain(&principal, &context, question)?;
    let full = explanation.decision.is_full();
    if as_json {
        say!(
            "{}",
            serde_json::to_string_pretty(&as_value(&pdp, &explanation))?
        );
    } else {
        show(&pdp, &explanation);
    }
    Ok(if full { FINE } else { FOUND })
}

/// The answer in a word.
pub(super) fn word(decision: &Explained) -> &'static str {
    use bailiwick_policy::Outcome;
    match decision {
        Explained::Load(decision) => match decision.outcome {
            Outcome::Grant(_) => "grant",
            Outcome::Partial(_) => "partial",
            Outcome::Deny => "deny",
            Outcome::Ask { .. } => "ask",
        },
        Explained::Call(decision) => match decision.verdict {
            CallVerdict::Allow => "grant",
            CallVerdict::Ask => "ask",
            CallVerdict::Deny => "deny",
        },
    }
}

fn atoms(atoms: &[Granted]) -> Vec<String> {
    atoms.iter().map(ToString::to_string).collect()
}

fn parts(decision: &Explained) -> (Vec<String>, Vec<String>) {
    match decision {
        Explained::Load(decision) => (atoms(decision.granted()), atoms(decision.pending())),
        Explained::Call(_) => (Vec::new(), Vec::new()),
    }
}

fn step(pdp: &Pdp, step: &Step) -> String {
    match step {
        Step::Approve => "a person approves".to_owned(),
        Step::Role(role) => format!("the user has the role `{role}`"),
        Step::Add(policy) => format!("a policy is added: {policy}"),
        Step::Except(policy, clause) => {
            let place = pdp
                .place(policy)
                .map_or_else(String::new, |(source, line)| format!(" ({source}:{line})"));
            format!("`{policy}`{place} makes an exception: {clause}")
        }
    }
}

fn show(pdp: &Pdp, explanation: &Explanation) {
    say!("answer: {}", word(&explanation.decision));
    let (granted, pending) = parts(&explanation.decision);
    granted.iter().for_each(|atom| say!("  granted: {atom}"));
    pending
        .iter()
        .for_each(|atom| say!("  once approved: {atom}"));
    say!("because:");
    for reason in explanation.decision.reasons() {
        let place = pdp
            .place(&reason.policy)
            .map_or_else(String::new, |(source, line)| format!(" [{source}:{line}]"));
        say!("  {reason}{place}");
    }
    if explanation.decision.is_full() {
        return;
    }
    if explanation.changes.is_empty() {
        say!(
            "no role, approval, policy or exception alone would grant it: ask for something narrower"
        );
    }
    for (at, change) in explanation.changes.iter().enumerate() {
        say!(
            "{}",
            if at == 0 {
                "the smallest change that grants it:"
            } else {
                "or:"
            }
        );
        change.iter().for_each(|one| say!("  - {}", step(pdp, one)));
    }
}

fn reason(pdp: &Pdp, reason: &Reason) -> Value {
    let place = pdp.place(&reason.policy);
    json!({
        "policy": reason.policy, "effect": reason.effect.as_str(), "text": reason.text, "about": reason.about,
        "source": place.map(|(source, _)| source), "line": place.map(|(_, line)| line),
    })
}

fn as_value(pdp: &Pdp, explanation: &Explanation) -> Value {
    let (granted, pending) = parts(&explanation.decision);
    let reasons: Vec<Value> = explanation
        .decision
        .reasons()
        .iter()
        .map(|r| reason(pdp, r))
        .collect();
    let changes: Vec<Vec<Value>> = explanation
        .changes
        .iter()
        .map(|change| {
            let each = change.iter().map(|one| match one {
                Step::Approve => json!({ "step": "approve" }),
                Step::Role(role) => json!({ "step": "role", "role": role }),
                Step::Add(policy) => json!({ "step": "add", "policy": policy }),
                Step::Except(policy, clause) => {
                    json!({ "step": "except", "policy": policy, "clause": clause })
                }
            });
            each.collect()
        })
        .collect();
    json!({
        "answer": word(&explanation.decision), "granted": granted, "pending": pending,
        "reasons": reasons, "changes": changes,
    })
}

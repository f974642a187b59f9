//! `bailiwick policy check`.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_policy::{Known, Problem, Remark};
use serde_json::{Value, json};

use crate::config::Config;
use crate::origin::Plugins;
use crate::report::{FINE, FOUND, say};

use super::cli::SetArgs;
use super::set;

pub(super) fn run(config: &Config, args: &SetArgs, as_json: bool) -> anyhow::Result<u8> {
    let (policies, problems, remarks) = match set::try_load(config, args)? {
        Err(error) => (0, error.problems().to_vec(), Vec::new()),
        Ok(pdp) => {
            let now = set::instant(None)?;
            let remarks = pdp.lint(&known(config)?, now);
            let remarks = remarks.map_err(|e| anyhow::anyhow!("{e}"))?;
            (pdp.policy_ids().count(), Vec::new(), remarks)
        }
    };
    let fine = problems.is_empty() && remarks.is_empty();
    if as_json {
        let problems: Vec<Value> = problems.iter().map(problem).collect();
        let remarks: Vec<Value> = remarks.iter().map(remark).collect();
        let all =
            json!({ "ok": fine, "policies": policies, "errors": problems, "remarks": remarks });
        say!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        for problem in &problems {
            say!("✘ {problem}");
        }
        for remark in &remarks {
            say!(
                "✘ {}: {}: {}",
                place(remark),
                remark.lint.as_str(),
                remark.message
            );
            say!("  hint: {}", remark.help);
        }
        if fine {
            say!("✔ {policies} policies, and nothing to remark on");
        }
    }
    Ok(if fine { FINE } else { FOUND })
}

/// The configured plugins, with the tools that their manifests name, if they name any.
fn known(config: &Config) -> anyhow::Result<Known> {
    let mut plugins: BTreeMap<String, Option<BTreeSet<String>>> = BTreeMap::new();
    if config.plugins.is_empty() {
        return Ok(Known { plugins });
    }
    for source in Plugins::Configured.found(config)? {
        let tools: BTreeSet<String> = source.manifest.tools().keys().cloned().collect();
        let tools = (!tools.is_empty()).then_some(tools);
        plugins.insert(source.manifest.id().to_string(), tools);
    }
    Ok(Known { plugins })
}

fn place(remark: &Remark) -> String {
    match &remark.place {
        Some((source, line)) => format!("{source}:{line}: `{}`", remark.policy),
        None => format!("`{}`", remark.policy),
    }
}

fn problem(problem: &Problem) -> Value {
    json!({
        "source": problem.source, "line": problem.line, "column": problem.column,
        "message": problem.message, "help": problem.help,
    })
}

fn remark(remark: &Remark) -> Value {
    json!({
        "kind": remark.lint.as_str(), "policy": remark.policy, "message": remark.message, "help": remark.help,
        "source": remark.place.as_ref().map(|(source, _)| source),
        "line": remark.place.as_ref().map(|(_, line)| line),
    })
}

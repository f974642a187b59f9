//! `bailiwick policy check`.

use bailiwick_policy::{Known, Problem, Remark};
use serde_json::{Value, json};

use crate::config::Config;
use crate::origin::Plugins;
use crate::report::{FINE, FOUND, say};

use super::cli::SetArgs;
use super::set;

pub(super) fn run(config: &Config, args: &SetArgs, as_json: bool) -> anyhow::Result<u8> {
    let mut has_plugins = false;
    let (policies, problems, remarks) = match set::try_load(config, args)? {
        Err(error) => (0, error.problems().to_vec(), Vec::new()),
        Ok(pdp) => {
            let now = set::instant(None)?;
            let known = known(config)?;
            has_plugins = !known.plugins.is_empty();
            let remarks = pdp.lint(&known, now);
            let remarks = remarks.map_err(|e| anyhow::anyhow!("{e}"))?;
            (pdp.policy_ids().count(), Vec::new(), remarks)
        }
    };
    let unchecked = if has_plugins {
        "names of tools, which are known once a plugin runs"
    } else {
        "names of plugins and tools: no plugins are configured"
    };
    let fine = problems.is_empty() && remarks.is_empty();
    if as_json {
        let problems: Vec<Value> = problems.iter().map(problem).collect();
        let remarks: Vec<Value> = remarks.iter().map(remark).collect();
        let all = json!({ "ok": fine, "policies": policies, "errors": problems, "remarks": remarks,
                "unchecked": unchecked });
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
        say!("Not checked: {unchecked}.");
    }
    Ok(if fine { FINE } else { FOUND })
}

/// The configured plugins. Which tools they have is not known before they run: a manifest names those alone that need
/// something.
fn known(config: &Config) -> anyhow::Result<Known> {
    let found = Plugins::Configured.found(config)?;
    let ids = found.iter().map(|source| source.manifest.id().to_string());
    Ok(Known {
        plugins: ids.map(|id| (id, None)).collect(),
    })
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

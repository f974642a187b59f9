//! `bailiwick policy test`: cases in YAML with the answers that their author expects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use bailiwick_capability::{AbsPath, Capability};
use bailiwick_policy::{
    Agent, Call, CallVerdict, Classification, Context, Explained, Pdp, PluginFacts, PolicySource,
    Principal, Tally, ToolSchema, User,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::report::{FINE, FOUND, say};

use super::explain::word;
use super::set;

/// A file of cases. What is left out is as the configuration says; paths start at the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    policies: Option<Vec<PathBuf>>,
    #[serde(default)]
    links: Vec<PathBuf>,
    default_policies: Option<bool>,
    classification: Option<BTreeMap<String, String>>,
    /// JSON Schemas of tools' arguments, by `plugin/tool`.
    #[serde(default)]
    tools: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Who {
    user: Option<String>,
    roles: Vec<String>,
    groups: Vec<String>,
    department: Option<String>,
    agent: Option<String>,
    plugin: Option<String>,
    digest: Option<String>,
    folder: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct When {
    environment: Option<String>,
    isolation: Option<String>,
    labels: Vec<String>,
    machine: Vec<String>,
    at: Option<String>,
    utc_offset: i32,
    created: BTreeSet<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default, rename = "as")]
    who: Who,
    #[serde(default, rename = "in")]
    when: When,
    ask: Option<String>,
    call: Option<String>,
    #[serde(default)]
    arguments: Map<String, Value>,
    /// `grant`, `partial`, `ask` or `deny`.
    expect: String,
    /// What is granted, exactly.
    granted: Option<Vec<String>>,
    /// What is granted once approved, exactly.
    pending: Option<Vec<String>>,
    /// Policies that are among the reasons.
    #[serde(default)]
    by: Vec<String>,
}

pub(super) fn run(config: &Config, files: &[PathBuf], as_json: bool) -> anyhow::Result<u8> {
    let mut results: Vec<(String, Vec<String>)> = Vec::new();
    for file in files {
        let shown = file.display();
        let text = crate::trusted::read(file)?;
        let cases: Cases = serde_saphyr::from_str(&text)
            .with_context(|| format!("`{shown}` is no file of cases"))?;
        ensure!(!cases.cases.is_empty(), "`{shown}` holds no case");
        let pdp = load(config, &cases, file)?;
        for case in &cases.cases {
            let faults =
                judge(config, &pdp, case).with_context(|| format!("{shown}: `{}`", case.name))?;
            results.push((format!("{shown}: {}", case.name), faults));
        }
    }
    let failed = results
        .iter()
        .filter(|(_, faults)| !faults.is_empty())
        .count();
    if as_json {
        let all: Vec<Value> = results
            .iter()
            .map(
                |(name, faults)| json!({ "case": name, "ok": faults.is_empty(), "faults": faults }),
            )
            .collect();
        let passed = results.len() - failed;
        say!(
            "{}",
            serde_json::to_string_pretty(
                &json!({ "passed": passed, "failed": failed, "cases": all })
            )?
        );
    } else {
        for (name, faults) in &results {
            say!("{} {name}", if faults.is_empty() { "✔" } else { "✘" });
            faults.iter().for_each(|fault| say!("  {fault}"));
        }
        say!("{} passed, {failed} failed", results.len() - failed);
    }
    Ok(if failed == 0 { FINE } else { FOUND })
}

fn load(config: &Config, cases: &Cases, file: &Path) -> anyhow::Result<Pdp> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let mut config = config.clone();
    if let Some(policies) = &cases.policies {
        config.policies = policies.iter().map(|path| dir.join(path)).collect();
    }
    config.default_policies = cases.default_policies.unwrap_or(config.default_policies);
    let labels = match &cases.classification {
        None => set::labels(&config)?,
        Some(entries) => Classification::parse(
            entries
                .iter()
                .map(|(path, label)| (path.as_str(), label.as_str())),
        )?,
    };
    // Configured links are for the configured policies.
    if cases.policies.is_some() || !cases.links.is_empty() {
        config.links = cases.links.iter().map(|path| dir.join(path)).collect();
    }
    let sources: Vec<PolicySource> = config.policy_sources(&[])?;
    let pdp = Pdp::load_linked(&sources, &config.link_sources()?, &labels)?;
    let mut tools = Vec::new();
    for (id, input) in &cases.tools {
        let (plugin, tool) = id
            .rsplit_once('/')
            .with_context(|| format!("`{id}` is no tool: write plugin/tool"))?;
        tools.push(ToolSchema {
            plugin: plugin.to_owned(),
            tool: tool.to_owned(),
            input: input.clone(),
        });
    }
    Ok(pdp.with_tools(&tools)?)
}

/// What is not as expected; nothing if all is.
fn judge(config: &Config, pdp: &Pdp, case: &Case) -> anyhow::Result<Vec<String>> {
    let words = ["grant", "partial", "ask", "deny"];
    ensure!(
        words.contains(&&*case.expect),
        "`{}` is no answer: write grant, partial, ask or deny",
        case.expect
    );
    let (mut principal, context) = setting(config, case)?;
    let decision = match (&case.ask, &case.call) {
        (Some(asked), None) => {
            let asked: Capability =
                crate::cli::parse_capability(asked).map_err(anyhow::Error::msg)?;
            Explained::Load(pdp.decide(&principal, &context, &asked))
        }
        (None, Some(tool)) => {
            let (plugin, tool) = tool.rsplit_once('/').context("`call` is plugin/tool")?;
            plugin.clone_into(&mut principal.plugin.id);
            let call = Call {
                tool,
                arguments: &case.arguments,
                created: &case.when.created,
                counts: &Tally::default(),
            };
            Explained::Call(pdp.decide_call_with(&principal, &context, &call))
        }
        _ => anyhow::bail!("a case has either `ask` or `call`"),
    };
    Ok(faults(case, &decision))
}

fn faults(case: &Case, decision: &Explained) -> Vec<String> {
    let mut faults = Vec::new();
    let found = word(decision);
    if found != case.expect {
        faults.push(format!("expected {}, found {found}", case.expect));
    }
    let mut compare =
        |what: &str, wanted: &Option<Vec<String>>, found: &[bailiwick_capability::Granted]| {
            let Some(wanted) = wanted else { return };
            let found: BTreeSet<String> = found.iter().map(ToString::to_string).collect();
            let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
            let more = found
                .difference(&wanted)
                .map(|atom| format!("{what} besides: {atom}"));
            let less = wanted
                .difference(&found)
                .map(|atom| format!("not {what}: {atom}"));
            faults.extend(more.chain(less));
        };
    match decision {
        Explained::Load(decision) => {
            compare("granted", &case.granted, decision.granted());
            compare("pending", &case.pending, decision.pending());
        }
        Explained::Call(decision) => {
            if case.granted.is_some() || case.pending.is_some() {
                faults.push("a call grants nothing: leave `granted` and `pending` out".to_owned());
            }
            let _: CallVerdict = decision.verdict;
        }
    }
    let reasons = decision.reasons();
    for policy in &case.by {
        if !reasons.iter().any(|reason| reason.policy == *policy) {
            let by: Vec<&str> = reasons
                .iter()
                .map(|reason| reason.policy.as_str())
                .collect();
            faults.push(format!("not by `{policy}`, but by {}", by.join(", ")));
        }
    }
    if !faults.is_empty() {
        faults.extend(reasons.iter().map(|reason| format!("because: {reason}")));
    }
    faults
}

fn setting(config: &Config, case: &Case) -> anyhow::Result<(Principal, Context)> {
    let who = &case.who;
    let name = who.user.clone().unwrap_or_else(|| "somebody".to_owned());
    let mut user: User = set::user(config, &name);
    user.roles.extend(who.roles.iter().cloned());
    user.groups = who.groups.iter().cloned().collect();
    user.department = who.department.clone().or(user.department);
    let folder = who.folder.as_deref().map(|folder| {
        AbsPath::parse(folder).map_err(|e| anyhow::anyhow!("folder: {}; {}", e.message(), e.help()))
    });
    let principal = Principal {
        session: "test".to_owned(),
        user,
        agent: Agent {
            name: who.agent.clone().unwrap_or_else(|| "agent".to_owned()),
            version: String::new(),
        },
        plugin: PluginFacts {
            id: who
                .plugin
                .clone()
                .unwrap_or_else(|| "com.example.plugin".to_owned()),
            digest: who.digest.clone().unwrap_or_default(),
            folder: folder.transpose()?,
            ..PluginFacts::default()
        },
    };
    let when = &case.when;
    let context = Context {
        environment: when
            .environment
            .clone()
            .unwrap_or_else(|| config.environment.clone()),
        now: set::instant(when.at.as_deref())?,
        isolation: when
            .isolation
            .clone()
            .unwrap_or_else(|| "native".to_owned()),
        labels: when.labels.iter().cloned().collect(),
        machine: when.machine.iter().cloned().collect(),
        utc_offset: when.utc_offset,
    };
    Ok((principal, context))
}

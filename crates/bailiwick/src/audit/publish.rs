//! `bailiwick audit publish`: ask the witnesses and publish the checkpoints now.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bailiwick_audit::{escape, read_verifier_key};
use serde_json::{Value, json};

use crate::beyond::{Courier, Plan, Round};
use crate::config::Config;
use crate::report::{FINE, FOUND, say};

pub(super) fn publish(
    logs: &[PathBuf],
    named: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let config = Config::find(named)?.unwrap_or_default();
    let plan = Plan::read(&config)?.context(
        "checkpoints stay here: name witnesses or places in bailiwick.yaml, as in \
         `audit: {publish: [{file: /mnt/share/checkpoint}]}`",
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut fine = true;
    let mut all = Vec::new();
    for dir in logs {
        let mut courier = Courier::new(plan.clone(), dir, read_verifier_key(dir)?, None);
        let round = runtime.block_on(courier.round(true))?;
        let failed = round.outcomes.iter().any(|outcome| outcome.result.is_err());
        fine &= !failed && round.cosigned >= plan.at_least;
        if as_json {
            all.push(as_value(dir, &round));
        } else {
            print(dir, &round, &plan);
        }
    }
    if as_json {
        say!("{}", serde_json::to_string_pretty(&json!({ "logs": all }))?);
    }
    Ok(ExitCode::from(if fine { FINE } else { FOUND }))
}

fn print(dir: &Path, round: &Round, plan: &Plan) {
    say!("{}: {} entries", dir.display(), round.size);
    for outcome in &round.outcomes {
        let who = escape(&outcome.who);
        match &outcome.result {
            Ok(()) => say!("  ✔ {who}"),
            Err(why) => say!("  ✘ {who}: {}", escape(why)),
        }
    }
    if !plan.peers.is_empty() {
        let (cosigned, all) = (round.cosigned, plan.peers.len());
        say!(
            "  cosigned by {cosigned} of {all} witnesses; at least {} have to",
            plan.at_least
        );
    }
}

fn as_value(dir: &Path, round: &Round) -> Value {
    let outcomes: Vec<Value> = round
        .outcomes
        .iter()
        .map(|outcome| json!({"who": outcome.who, "error": outcome.result.as_ref().err()}))
        .collect();
    json!({"log": dir, "entries": round.size, "cosigned": round.cosigned, "outcomes": outcomes})
}

//! `bailiwick check`: what a plugin asks, what it gets, and why. Nothing of the plugin runs.

mod runs;
mod unused;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bailiwick_gate::Judge;
use bailiwick_gate::assess::{Assessment, Row, Standing};
use bailiwick_gate::discover::discover;
use bailiwick_gate::world::Source;
use bailiwick_manifest::Necessity;
use bailiwick_policy::{Agent, User};
use bailiwick_wall::Hold;
use serde_json::{Value, json};

use crate::assemble::{Parts, judge};
use crate::cli::CheckArgs;
use crate::config::Config;
use crate::home::Home;
use crate::origin::Plugins;
use crate::report::{FINE, FOUND, say, table};

use runs::Runs;
use unused::Uses;

pub(crate) fn run(args: &CheckArgs, named: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::find(named)?;
    let sources = match (&*args.plugins, &config) {
        ([], None) => anyhow::bail!(
            "name a plugin, as in `bailiwick check ./my-plugin`, or write a bailiwick.yaml"
        ),
        ([], Some(config)) => Plugins::Configured.found(config)?,
        (paths, _) => {
            let found: Vec<Vec<Source>> = paths
                .iter()
                .map(|path| discover(path).map_err(crate::report::undiscovered))
                .collect::<Result<_, _>>()?;
            found.into_iter().flatten().collect()
        }
    };
    let config = config.unwrap_or_default();
    let home = Home::locate()?;
    let parts = Parts::new(&config, &home, &args.given.allow);
    let (judge, _) = judge(&parts, None)?;
    let agent = Agent {
        name: "check".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let reports: Vec<(Source, Result<Assessment, String>)> = sources
        .into_iter()
        .map(|source| {
            let assessment = judge.assess("check", &agent, &source);
            (source, assessment)
        })
        .collect();
    if args.unused {
        let logs = match &args.against {
            Some(log) => vec![log.clone()],
            None => home.logs(),
        };
        return tell_unused(&reports, &logs, args.json);
    }
    if args.json {
        let all: Vec<Value> = reports
            .iter()
            .map(|(source, report)| {
                let runs = runs(&home, source, report).map(|runs| runs.json());
                merged(as_json(source, report), json!({ "runtime": runs }))
            })
            .collect();
        say!(
            "{}",
            serde_json::to_string_pretty(
                &json!({ "plugins": all, "machine": judge.machine, "user": user_json(&judge.user()),
                "utc_offset": (judge.zone)(judge.now()) })
            )?
        );
    } else {
        reports.iter().for_each(|(source, report)| {
            show(&judge, source, report);
            runs(&home, source, report).iter().for_each(Runs::show);
            report.iter().for_each(suggest);
        });
        let machine: Vec<&str> = judge.machine.iter().map(String::as_str).collect();
        say!("This machine has: {}.", machine.join(", "));
        let user = judge.user();
        let groups: Vec<&str> = user.groups.iter().map(String::as_str).collect();
        let ahead = (judge.zone)(judge.now());
        say!("The clocks here are {} minutes ahead of UTC.", ahead / 60);
        say!("{} is in: {}.", user.name, groups.join(", "));
    }
    let fine = reports
        .iter()
        .all(|(_, report)| report.as_ref().is_ok_and(Assessment::loadable));
    Ok(ExitCode::from(if fine { FINE } else { FOUND }))
}

fn user_json(user: &User) -> Value {
    json!({
        "name": user.name,
        "roles": user.roles,
        "groups": user.groups,
        "department": user.department,
    })
}

/// What of the grants a log shows no use of.
fn tell_unused(
    reports: &[(Source, Result<Assessment, String>)],
    logs: &[PathBuf],
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let loadable = reports.iter().filter_map(|(source, report)| {
        let report = report.as_ref().ok().filter(|report| report.loadable())?;
        Some(Uses::of(source, report))
    });
    let mut all: Vec<Uses> = loadable.collect();
    for log in logs {
        unused::read(log, &mut all)?;
    }
    if as_json {
        let all: Vec<Value> = all.iter().map(Uses::json).collect();
        say!(
            "{}",
            serde_json::to_string_pretty(&json!({ "plugins": all }))?
        );
    } else {
        all.iter().for_each(Uses::show);
    }
    let found = all.iter().any(Uses::any_unused);
    Ok(ExitCode::from(if found { FOUND } else { FINE }))
}

/// What its runtime needs, apart from what it is granted; none where it would not be loaded.
fn runs(home: &Home, source: &Source, report: &Result<Assessment, String>) -> Option<Runs> {
    let assessment = report.as_ref().ok().filter(|report| report.loadable())?;
    Runs::of(source, &assessment.grant, &home.cache())
}

pub(crate) fn show(judge: &Judge, source: &Source, report: &Result<Assessment, String>) {
    let manifest = &source.manifest;
    say!(
        "{} {} ({})",
        manifest.id(),
        manifest.version(),
        manifest.source().name()
    );
    let assessment = match report {
        Ok(assessment) => assessment,
        Err(why) => return say!("  cannot run here: {why}\n"),
    };
    let facts = &judge.in_force.now().facts;
    say!("for {} in {}\n", facts.user.name, facts.environment);
    let mut table = table(["asks", "gets", "because", "held by"]);
    for row in &assessment.rows {
        table.add_row(cells(row));
    }
    say!("{table}");
    if assessment.loadable() {
        let whole = assessment
            .rows
            .iter()
            .all(|row| row.standing() == Standing::Granted);
        say!(
            "It would be loaded{}.\n",
            if whole {
                ""
            } else {
                ", reduced to what it gets"
            }
        );
        return;
    }
    say!("It would not be loaded:");
    for line in &assessment.missing {
        say!("  - {line}");
    }
    for row in assessment
        .rows
        .iter()
        .filter(|row| row.necessity == Necessity::Required)
    {
        if let Err(error) = &row.resolved {
            let shown = manifest.diagnostic(row.span, error.message.clone(), error.help.clone());
            say!(
                "\n{}",
                format!("{:?}", miette::Report::new(shown)).trim_end()
            );
        }
    }
    say!();
}

/// The policies that would permit what none permits, for whoever wants that.
fn suggest(assessment: &Assessment) {
    let decisions = assessment
        .rows
        .iter()
        .filter_map(|row| row.decision.as_ref());
    let reasons = decisions.flat_map(|decision| &decision.reasons);
    let mut remedies: Vec<&str> = reasons
        .filter_map(|reason| reason.remedy.as_deref())
        .collect();
    remedies.dedup();
    if remedies.is_empty() {
        return;
    }
    say!(
        "No policy permits the rest. Whoever wants it adds this, or a part of it, to a policy file:\n"
    );
    remedies.iter().for_each(|remedy| say!("    {remedy}"));
    say!();
}

fn cells(row: &Row) -> [String; 4] {
    let gets: Vec<String> = row.granted().map(ToString::to_string).collect();
    let gets = match row.standing() {
        Standing::Granted => "✔ all of it".to_owned(),
        Standing::Partial => format!(
            "◐ {}",
            gets.iter()
                .map(|atom| lined(atom))
                .collect::<Vec<_>>()
                .join("\n◐ ")
        ),
        Standing::Asks => "? after a person approves".to_owned(),
        Standing::Refused => "✘ nothing".to_owned(),
    };
    let mut because: Vec<String> = row
        .decision
        .iter()
        .flat_map(|decision| &decision.reasons)
        .map(|reason| match &reason.text {
            Some(text) => format!("{}: {text}", reason.policy),
            None => reason.policy.clone(),
        })
        .collect();
    because.extend(
        row.resolved
            .as_ref()
            .err()
            .map(|error| format!("{}; {}", error.message, error.help)),
    );
    because.dedup();
    let mut held: Vec<String> = row
        .held
        .iter()
        .map(|held| match &held.hold {
            Hold::Fully { how } => how.clone(),
            Hold::Not { why } => format!("✘ {why}"),
        })
        .collect();
    held.dedup();
    [
        lined(&row.asked.to_string()) + "\n" + necessity(row),
        gets,
        because.join("\n"),
        held.join("\n"),
    ]
}

/// The kind on a line of its own, so that scopes are not torn apart.
fn lined(atom: &str) -> String {
    atom.replacen(':', "\n", 1)
}

fn necessity(row: &Row) -> &'static str {
    match row.necessity {
        Necessity::Required => "required",
        Necessity::Optional => "optional",
    }
}

fn as_json(source: &Source, report: &Result<Assessment, String>) -> Value {
    let manifest = &source.manifest;
    let head = json!({
        "id": manifest.id().to_string(),
        "version": manifest.version().to_string(),
        "manifest": manifest.source().name(),
        "digest": format!("sha256:{}", source.digest_hex()),
    });
    let body = match report {
        Err(why) => json!({ "loadable": false, "missing": [why], "atoms": [] }),
        Ok(assessment) => json!({
            "loadable": assessment.loadable(),
            "missing": assessment.missing,
            "atoms": assessment.rows.iter().map(atom_json).collect::<Vec<_>>(),
        }),
    };
    merged(head, body)
}

fn merged(mut head: Value, body: Value) -> Value {
    if let (Value::Object(head), Value::Object(body)) = (&mut head, body) {
        head.extend(body);
    }
    head
}

pub(crate) fn atom_json(row: &Row) -> Value {
    let reasons = row.decision.iter().flat_map(|decision| &decision.reasons);
    let held = row.held.iter().map(|held| match &held.hold {
        Hold::Fully { how } => json!({ "atom": held.atom, "held": true, "how": how }),
        Hold::Not { why } => json!({ "atom": held.atom, "held": false, "why": why }),
    });
    json!({
        "asked": row.asked,
        "necessity": necessity(row),
        "resolved": row.resolved.as_ref().ok(),
        "outcome": row.standing().as_str(),
        "granted": row.granted().collect::<Vec<_>>(),
        "policies": reasons
            .map(|reason| json!({
                "id": reason.policy, "effect": reason.effect.as_str(), "reason": reason.text,
                "about": reason.about, "remedy": reason.remedy,
            }))
            .collect::<Vec<_>>(),
        "enforcement": held.collect::<Vec<_>>(),
        "shortfall": row.shortfall(),
    })
}

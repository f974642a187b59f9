//! `bailiwick policy analyze`.

use std::time::Duration;

use bailiwick_analyze::{Answer, Asking, Example, Finding, Solver, permits_more, together};
use serde_json::{Value, json};

use crate::config::Config;
use crate::report::{FINE, FOUND, USAGE, say};

use super::cli::AnalyzeArgs;
use super::set;

pub(super) fn run(config: &Config, args: &AnalyzeArgs, as_json: bool) -> anyhow::Result<u8> {
    let now = set::instant(args.at.as_deref())?;
    let solver = Solver {
        program: args.solver.clone(),
        limit: Duration::from_secs(args.limit),
    };
    let asking = if args.approved {
        Asking::Approved
    } else {
        Asking::Alone
    };
    let new = set::load(config, &args.set)?;
    let findings = match (&args.leaks, &args.against) {
        (Some(label), _) => vec![Finding {
            action: format!("reading `{label}` and network_access"),
            answer: together(&new, label, asking, now, &solver)?,
        }],
        (None, against) => {
            let against = against.as_deref().unwrap_or_default();
            let old = set::beside(config, against, &args.set);
            permits_more(&new, &set::load(config, &old)?, asking, now, &solver)?
        }
    };
    let unborne = args.leaks.as_ref().filter(|label| !new.bears(label));
    let note = unborne.map(|label| {
        format!(
            "no path is classified `{label}` here, so nothing was found because nothing is there"
        )
    });
    if as_json {
        let all: Vec<Value> = findings.iter().map(as_value).collect();
        say!(
            "{}",
            serde_json::to_string_pretty(&json!({ "answers": all, "note": note }))?
        );
    } else {
        findings.iter().for_each(show);
        note.iter().for_each(|note| say!("{note}"));
        say!(
            "What was asked about: single points, at one time. Arguments of calls and used quotas are not covered."
        );
    }
    let any = |is: fn(&Answer) -> bool| findings.iter().any(|finding| is(&finding.answer));
    Ok(
        match (
            any(|a| matches!(a, Answer::Yes(_))),
            any(|a| matches!(a, Answer::Undecided(_))),
        ) {
            (true, _) => FOUND,
            (false, true) => USAGE,
            (false, false) => FINE,
        },
    )
}

fn show(finding: &Finding) {
    let action = &finding.action;
    match &finding.answer {
        Answer::No => say!("✔ {action}: no"),
        Answer::Undecided(why) => say!("? {action}: undecided: {why}"),
        Answer::Yes(example) => {
            say!("✘ {action}: yes, for example");
            lines(example).iter().for_each(|line| say!("    {line}"));
        }
    }
}

fn lines(example: &Example) -> Vec<String> {
    let Example {
        asked,
        principal,
        context,
        permitted_by,
        refused_by,
    } = example;
    let named = |text: &str| match text.is_empty() {
        true => "``".to_owned(),
        false => format!("`{}`", text.escape_debug()),
    };
    let roles: Vec<String> = principal
        .user
        .roles
        .iter()
        .map(|role| named(role))
        .collect();
    let groups = principal.user.groups.iter().map(|group| named(group));
    let groups: Vec<String> = groups.collect();
    let mut lines = vec![format!("asked: {}", asked.join(" and "))];
    lines.push(format!(
        "by: user {}{}{}, agent {}, plugin {}",
        named(&principal.user.name),
        listed(" with role ", &roles),
        listed(" in group ", &groups),
        named(&principal.agent.name),
        named(&principal.plugin.id),
    ));
    lines.push(format!(
        "in: environment {}, isolation {}",
        named(&context.environment),
        named(&context.isolation)
    ));
    lines.extend(permitted_by.iter().map(|reason| format!("now: {reason}")));
    lines.extend(refused_by.iter().map(|reason| format!("before: {reason}")));
    lines
}

fn listed(what: &str, names: &[String]) -> String {
    match names.is_empty() {
        true => String::new(),
        false => format!("{what}{}", names.join(", ")),
    }
}

fn as_value(finding: &Finding) -> Value {
    let answer = match &finding.answer {
        Answer::No => json!({ "answer": "no" }),
        Answer::Undecided(why) => json!({ "answer": "undecided", "why": why }),
        Answer::Yes(example) => json!({
            "answer": "yes",
            "asked": example.asked,
            "user": example.principal.user.name, "roles": example.principal.user.roles, "groups": example.principal.user.groups,
            "agent": example.principal.agent.name, "plugin": example.principal.plugin.id,
            "environment": example.context.environment, "isolation": example.context.isolation,
            "permitted_by": example.permitted_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "refused_by": example.refused_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
    };
    json!({ "action": finding.action, "result": answer })
}

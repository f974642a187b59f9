//! `bailiwick policy simulate`: what a log recorded, decided again.
//!
//! Each recorded decision is decided twice: under the configured policies, to see whether the record says enough to
//! come to the same answer, and under the candidate. Only what the first one repeats is compared; the rest is told.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_audit::{AtomDecision, Entry, Event, Filter, Moment, Outcome, query};
use bailiwick_capability::Capability;
use bailiwick_policy::{
    Agent, Call, CallVerdict, Context, Decision, Outcome as Answer, Pdp, PluginFacts, Principal,
    Tally,
};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::report::{FINE, FOUND, say};

use super::cli::SetArgs;
use super::set;

/// What a decision comes to, so that two can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Came {
    outcome: &'static str,
    granted: Vec<String>,
}

/// One recorded atom or call that the candidate decides otherwise.
struct Changed {
    entry: u64,
    time: String,
    plugin: String,
    user: String,
    asked: String,
    before: Came,
    after: Came,
}

#[derive(Default)]
struct Tallied {
    same: usize,
    changed: Vec<Changed>,
    /// Why a decision could not be repeated, and how often.
    unrepeatable: BTreeMap<String, usize>,
}

pub(super) fn run(
    config: &Config,
    args: &SetArgs,
    log: &Path,
    as_json: bool,
) -> anyhow::Result<u8> {
    let current = set::load(config, &set::beside(config, &[], args))?;
    let candidate = set::load(config, args)?;
    let filter = Filter {
        kind: Some("decision".to_owned()),
        ..Filter::default()
    };
    // A log that is not there reads as an empty one; nothing would have changed would be no answer.
    anyhow::ensure!(log.is_dir(), "there is no log at `{}`", log.display());
    let mut found = Tallied::default();
    for stored in query(log, filter) {
        let stored = stored?;
        let entry = stored.entry()?;
        if let Event::Decision {
            moment,
            atoms,
            context,
            ..
        } = &entry.event
        {
            let replay = Replay::of(config, &entry, context);
            for atom in atoms {
                match replay.atom(*moment, atom, &current, &candidate) {
                    Err(why) => *found.unrepeatable.entry(why).or_default() += 1,
                    Ok((before, after)) if before == after => found.same += 1,
                    Ok((before, after)) => found.changed.push(Changed {
                        entry: stored.index,
                        time: entry.time.clone(),
                        plugin: entry.subject.plugin.clone().unwrap_or_default(),
                        user: entry.subject.user.clone().unwrap_or_default(),
                        asked: atom.asked.clone(),
                        before,
                        after,
                    }),
                }
            }
        }
    }
    let repeated = found.same + found.changed.len();
    anyhow::ensure!(
        repeated > 0 || !found.unrepeatable.is_empty(),
        "the log at `{}` holds no decision",
        log.display()
    );
    if as_json {
        say!("{}", serde_json::to_string_pretty(&as_value(&found))?);
    } else {
        show(&found);
    }
    Ok(if found.changed.is_empty() {
        FINE
    } else {
        FOUND
    })
}

/// One recorded decision: who asked, and in which circumstances.
struct Replay {
    principal: Principal,
    context: Option<Context>,
}

impl Replay {
    fn of(config: &Config, entry: &Entry, facts: &BTreeMap<String, String>) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let subject = &entry.subject;
        let listed = |name: &str| {
            let all = facts.get(name).map(String::as_str).unwrap_or_default();
            all.split_whitespace().map(str::to_owned).collect()
        };
        let context = || {
            Some(Context {
                environment: facts.get("environment")?.clone(),
                now: facts.get("now")?.parse().ok()?,
                isolation: facts.get("isolation")?.clone(),
                labels: listed("labels"),
                machine: listed("machine"),
                // Logs from before it was told were written in UTC.
                utc_offset: facts
                    .get("utc_offset")
                    .map_or(Some(0), |text| text.parse().ok())?,
            })
        };
        Self {
            // Roles and departments are not recorded: they are those that the configuration has now.
            principal: Principal {
                session: text(&subject.session),
                user: set::user(config, &text(&subject.user)),
                agent: agent(&text(&subject.agent)),
                plugin: PluginFacts {
                    id: text(&subject.plugin),
                    digest: format!("sha256:{}", text(&subject.plugin_digest)),
                    ..PluginFacts::default()
                },
            },
            context: context(),
        }
    }

    fn atom(
        &self,
        moment: Moment,
        recorded: &AtomDecision,
        current: &Pdp,
        candidate: &Pdp,
    ) -> Result<(Came, Came), String> {
        let context = self
            .context
            .as_ref()
            .ok_or("the circumstances were not recorded")?;
        let erased =
            recorded.asked.contains("sealed:") || self.principal.user.name.starts_with("sealed:");
        if erased {
            return Err("it was erased".to_owned());
        }
        if moment == Moment::Operation {
            return Err("it was an operation, which grants decide and not policies".to_owned());
        }
        let came = |pdp: &Pdp| self.decide(moment, &recorded.asked, pdp, context);
        let before = came(current)?;
        let repeated = before.outcome == outcome(recorded.outcome)
            && (moment == Moment::Call || recorded.granted == before.granted);
        if !repeated {
            let why = "the configured policies do not come to the recorded answer: they, roles, classification, \
                       --allow or the wall were others, or the record does not say enough";
            return Err(why.to_owned());
        }
        Ok((before, came(candidate)?))
    }

    fn decide(
        &self,
        moment: Moment,
        asked: &str,
        pdp: &Pdp,
        context: &Context,
    ) -> Result<Came, String> {
        if moment == Moment::Call {
            // At the gate a tool may bear its plugin's id.
            let own = format!("{}__", self.principal.plugin.id);
            let tool = asked.strip_prefix(&own).unwrap_or(asked);
            let call = Call {
                tool,
                arguments: &Map::new(),
                created: &Default::default(),
                counts: &Tally::default(),
            };
            let outcome = match pdp
                .decide_call_with(&self.principal, context, &call)
                .verdict
            {
                CallVerdict::Allow => "grant",
                CallVerdict::Ask => "ask",
                CallVerdict::Deny => "deny",
            };
            return Ok(Came {
                outcome,
                granted: Vec::new(),
            });
        }
        let asked: Capability = asked
            .parse()
            .map_err(|_| "what was asked is not readable".to_owned())?;
        let decision = pdp.decide(&self.principal, context, &asked);
        Ok(Came {
            outcome: answer(&decision),
            granted: decision.granted().iter().map(ToString::to_string).collect(),
        })
    }
}

/// The log writes name and version as one.
fn agent(recorded: &str) -> Agent {
    let (name, version) = recorded.rsplit_once(' ').unwrap_or((recorded, ""));
    Agent {
        name: name.to_owned(),
        version: version.to_owned(),
    }
}

fn outcome(recorded: Outcome) -> &'static str {
    recorded.as_str()
}

fn answer(decision: &Decision) -> &'static str {
    match decision.outcome {
        Answer::Grant(_) => "grant",
        Answer::Partial(_) => "partial",
        Answer::Deny => "deny",
        Answer::Ask { .. } => "ask",
    }
}

fn told(came: &Came) -> String {
    match came.granted.is_empty() {
        true => came.outcome.to_owned(),
        false => format!("{} ({})", came.outcome, came.granted.join(", ")),
    }
}

fn show(found: &Tallied) {
    for changed in &found.changed {
        let Changed {
            entry,
            time,
            plugin,
            user,
            asked,
            before,
            after,
        } = changed;
        say!("✘ {entry} {time} {plugin} for {user}: {asked}");
        say!("  was {}, would be {}", told(before), told(after));
    }
    for (why, times) in &found.unrepeatable {
        say!("- {times} not compared: {why}");
    }
    say!(
        "{} would change, {} stay as they are",
        found.changed.len(),
        found.same
    );
}

fn as_value(found: &Tallied) -> Value {
    let came = |came: &Came| json!({ "outcome": came.outcome, "granted": came.granted });
    let changed: Vec<Value> = found
        .changed
        .iter()
        .map(|c| {
            json!({
                "entry": c.entry, "time": c.time, "plugin": c.plugin, "user": c.user, "asked": c.asked,
                "before": came(&c.before), "after": came(&c.after),
            })
        })
        .collect();
    json!({ "same": found.same, "changed": changed, "not_compared": found.unrepeatable })
}

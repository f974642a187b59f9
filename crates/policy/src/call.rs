//! Call time: may this plugin's tool be called now, on behalf of this user?

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_capability::Kind;
use cedar_policy::{Entities, EntityUid, Request, RestrictedExpression};
use serde_json::{Map, Value};

use crate::decision::{Effect, Reason};
use crate::error::Problem;
use crate::evaluate::{Cause, First, Level, Verdict, with_actions};
use crate::pdp::{Pdp, Phase};
use crate::quota::{Charge, Counts, Per, Uncounted};
use crate::rule::Rule;
use crate::schema::Type;
use crate::subject::{Context, Principal, entity, text};

/// The answer to one tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum CallVerdict {
    /// It may run.
    Allow,
    /// It may run once a person approved it.
    Ask,
    /// It may not run.
    Deny,
}

/// The decision on one tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallDecision {
    /// The answer.
    pub verdict: CallVerdict,
    /// The policies that determined it.
    pub reasons: Vec<Reason>,
    /// How many people must say yes, where it asks: the most that a policy wants which permits it so.
    pub people: u8,
    /// What is to be counted if the call is made; see [`crate::Tally`].
    pub charges: Vec<Charge>,
}

/// One call that is asked about.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The tool's name within the principal's plugin.
    pub tool: &'a str,
    /// Its arguments, valid under the tool's schema.
    pub arguments: &'a Map<String, Value>,
    /// What this session made, as the host names it: policies see `context.created`.
    pub created: &'a BTreeSet<String>,
    /// How often quotas were charged.
    pub counts: &'a dyn Counts,
}

/// What a call is made of for Cedar.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
    principal: EntityUid,
    tool: EntityUid,
}

impl Pdp {
    /// Decides one call of `tool` where nothing is counted and nothing known of what the session made: a quota
    /// permits nothing. See [`Pdp::decide_call_with`].
    pub fn decide_call(
        &self,
        principal: &Principal,
        context: &Context,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> CallDecision {
        let call = Call {
            tool,
            arguments,
            created: &BTreeSet::new(),
            counts: &Uncounted,
        };
        self.decide_call_with(principal, context, &call)
    }

    /// Decides one call. Policies see the tool as `Tool::"<plugin id>/<tool>"` in `Plugin::"<plugin id>"`, the names
    /// of the arguments as `context.argument_names`, and the arguments themselves as `context.arguments` where the
    /// tool's schema was told ([`Pdp::with_tools`]); a policy that asks of arguments of another tool denies.
    pub fn decide_call_with(
        &self,
        principal: &Principal,
        context: &Context,
        call: &Call<'_>,
    ) -> CallDecision {
        let about = format!("{}/{}", principal.plugin.id, call.tool);
        self.judge_call(principal, context, &about, call)
            .unwrap_or_else(|problem| CallDecision {
                verdict: CallVerdict::Deny,
                reasons: vec![Reason {
                    policy: "evaluation".to_owned(),
                    effect: Effect::Error,
                    text: Some(problem.to_string()),
                    remedy: None,
                    about,
                }],
                people: 0,
                charges: Vec::new(),
            })
    }

    fn judge_call(
        &self,
        principal: &Principal,
        context: &Context,
        tool: &str,
        call: &Call<'_>,
    ) -> Result<CallDecision, Problem> {
        let phase = self.calls().at(context.now)?;
        let asked = self.call_asked(principal, context, tool, call, phase)?;
        let uids = [&asked.principal, &asked.tool];
        let mut matched = phase.shelves.judge(&asked.request, uids, &asked.entities);
        let mut limits = phase.limits.judge(&asked.request, uids, &asked.entities);
        matched.errors.append(&mut limits.errors);
        // A permit whose quota is used up permits no more, and a limit forbids only what goes beyond it.
        let mut spent: Vec<&Rule> = Vec::new();
        let mut charges: BTreeMap<&str, Charge> = BTreeMap::new();
        for id in matched.ids.iter().chain(&limits.ids) {
            let Some((rule, quota)) = self.rule(id).and_then(|r| Some((r, r.quota?))) else {
                continue;
            };
            let who = match quota.per {
                Per::All => String::new(),
                Per::User => principal.user.name.clone(),
                Per::Session => principal.session.clone(),
                // Names may hold anything, so their lengths keep them apart.
                Per::Plugin => {
                    let user = &principal.user.name;
                    format!("{}:{user}{}", user.len(), principal.plugin.id)
                }
            };
            let charge = Charge {
                policy: rule.id.clone(),
                who,
                quota,
            };
            if call.counts.used(&charge, context.now) >= quota.count {
                spent.push(rule);
            } else {
                charges.insert(&rule.id, charge);
            }
        }
        let is_spent = |id: &str| spent.iter().any(|rule| rule.id == id);
        let matched_ids = matched.ids.clone();
        matched.ids.retain(|id| !is_spent(id));
        matched
            .ids
            .extend(limits.ids.iter().filter(|id| is_spent(id)).cloned());
        let verdict = self.judge(matched, First::Ask);
        let decided: Vec<Charge> = charges
            .iter()
            .filter(|(id, _)| {
                verdict.level > Level::Deny && self.counts(id, &verdict, &matched_ids)
            })
            .map(|(_, charge)| charge.clone())
            .collect();
        Ok(told(verdict, tool, &spent, decided))
    }

    /// Whether a call that is allowed is to be counted under this rule: limits count every call that they concern,
    /// permits those that nothing permits without a quota.
    fn counts(&self, id: &str, verdict: &Verdict, matched: &BTreeSet<String>) -> bool {
        if !matched.contains(id) {
            return true;
        }
        let decisive = |cause: &Cause| self.rule(&cause.policy);
        let rules = verdict.causes.iter().filter_map(decisive);
        rules.clone().any(|rule| rule.id == id) && rules.clone().all(|rule| rule.quota.is_some())
    }

    pub(crate) fn call_asked(
        &self,
        principal: &Principal,
        context: &Context,
        tool: &str,
        call: &Call<'_>,
        phase: &Phase,
    ) -> Result<Asked, Problem> {
        let broken = |what: String| Problem::of("decision", what, "report this");
        let folders: Vec<_> = principal.folder()?.into_iter().collect();
        let mut entities = principal.entities(&folders)?;
        for folder in &folders {
            entities.push(entity(folder.uid.clone(), [], Default::default())?);
        }
        let uid = Type::Tool.uid(tool)?;
        let plugin = Type::Plugin.uid(&principal.plugin.id)?;
        entities.push(entity(uid.clone(), [], [plugin].into())?);
        let mut pairs = context.pairs(false, &phase.mentions)?;
        let strings = |each: &mut dyn Iterator<Item = &String>| {
            let each: Vec<_> = each.map(|one| text(one)).collect();
            RestrictedExpression::new_set(each)
        };
        if phase.mentions.has("argument_names") {
            let names = strings(&mut call.arguments.keys());
            pairs.insert("argument_names".to_owned(), names);
        }
        if phase.mentions.has("created") {
            pairs.insert("created".to_owned(), strings(&mut call.created.iter()));
        }
        if phase.mentions.arguments && self.asks_of_arguments(&principal.plugin.id, tool)? {
            pairs.insert(
                "arguments".to_owned(),
                self.arguments(tool, call.arguments)?,
            );
        }
        let context =
            cedar_policy::Context::from_pairs(pairs).map_err(|e| broken(e.to_string()))?;
        let action = self.calls().action.clone();
        let asked = principal.uid()?;
        let request = Request::new(asked.clone(), action, uid.clone(), context, None)
            .map_err(|e| broken(e.to_string()))?;
        Ok(Asked {
            request,
            entities: with_actions(entities)?,
            principal: asked,
            tool: uid,
        })
    }

    fn arguments(
        &self,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Result<RestrictedExpression, Problem> {
        let fields = self.tools.get(tool).ok_or_else(|| {
            let what = "a policy asks of its arguments, and its schema was not told";
            Problem::of(
                tool,
                what,
                "without it, nobody knows what the arguments mean",
            )
        })?;
        fields.value(arguments).map_err(|why| {
            let mend = "a policy asks of its arguments: give one that it can see exactly";
            Problem::of(tool, format!("the argument {why}"), mend)
        })
    }
}

fn told(verdict: Verdict, tool: &str, spent: &[&Rule], charges: Vec<Charge>) -> CallDecision {
    let people = verdict
        .causes
        .iter()
        .map(|cause| cause.people)
        .max()
        .unwrap_or_default();
    let mut reasons: Vec<Reason> = Vec::new();
    for cause in verdict.causes {
        let missing = cause.effect == Effect::Default;
        let mut used_up = spent
            .iter()
            .filter(|rule| rule.effect != Effect::Forbid)
            .peekable();
        if missing && used_up.peek().is_some() {
            reasons.extend(used_up.map(|rule| spent_reason(rule, tool)));
            continue;
        }
        let is_limit = spent.iter().find(|rule| rule.id == cause.policy);
        reasons.push(match is_limit {
            Some(rule) => spent_reason(rule, tool),
            None => Reason {
                text: if missing {
                    Some("no policy permits it".to_owned())
                } else {
                    cause.text
                },
                remedy: missing.then(|| {
                    let tool = calls_resource(tool);
                    format!("permit (principal, action == Action::\"call\", resource == {tool});")
                }),
                policy: cause.policy,
                effect: cause.effect,
                about: tool.to_owned(),
            },
        });
    }
    CallDecision {
        reasons,
        people,
        charges,
        verdict: match verdict.level {
            Level::Allow => CallVerdict::Allow,
            Level::Ask => CallVerdict::Ask,
            Level::Deny => CallVerdict::Deny,
        },
    }
}

fn spent_reason(rule: &Rule, tool: &str) -> Reason {
    let quota = rule.quota.map_or(0, |quota| quota.count);
    let used = format!("its quota of {quota} is used up for now");
    Reason {
        policy: rule.id.clone(),
        effect: Effect::Forbid,
        text: Some(match &rule.reason {
            Some(reason) => format!("{reason} ({used})"),
            None => used,
        }),
        remedy: None,
        about: tool.to_owned(),
    }
}

fn calls_resource(tool: &str) -> String {
    Type::Tool.uid(tool).map_or_else(
        |_| format!("{}:{tool}", Kind::CallTool),
        |uid| uid.to_string(),
    )
}

//! Why an answer is what it is, and what is the least that would have to change for all of it to be granted.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailiwick_capability::{Capability, Granted};
use cedar_policy::{Policy, PolicyId};
use serde_json::{Map, Value};

use crate::annotation::Annotations;
use crate::call::{Call, CallDecision, CallVerdict};
use crate::decision::{Decision, Effect, Outcome, Reason};
use crate::error::PolicyError;
use crate::pdp::Pdp;
use crate::person;
use crate::quota::Tally;
use crate::rule::Rule;
use crate::schema::Type;
use crate::subject::{Context, Principal};

/// Most forbids that one explanation makes exceptions to.
const MAX_EXCEPTIONS: usize = 64;

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// A capability, when a plugin is loaded.
    Load(&'a Capability),
    /// A call of a tool of the principal's plugin, with these arguments.
    Call(&'a str, &'a Map<String, Value>),
}

/// The decision that is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it, and it does not live long"
)]
pub enum Explained {
    /// On a capability.
    Load(Decision),
    /// On a call.
    Call(CallDecision),
}

impl Explained {
    /// Whether all that was asked is granted now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Load(decision) => decision.is_full(),
            Self::Call(decision) => decision.verdict == CallVerdict::Allow,
        }
    }

    /// The policies that determined it.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Load(decision) => &decision.reasons,
            Self::Call(decision) => &decision.reasons,
        }
    }

    fn is_full_once_approved(&self) -> bool {
        match self {
            Self::Load(decision) => match &decision.outcome {
                Outcome::Ask { pending, .. } => pending
                    .iter()
                    .any(|a| *a == Granted::whole(decision.asked.clone())),
                _ => false,
            },
            Self::Call(decision) => decision.verdict == CallVerdict::Ask,
        }
    }
}

/// One step of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A person approves.
    Approve,
    /// The user is given a role.
    Role(String),
    /// A policy is added: its text.
    Add(String),
    /// A `forbid` gets an exception: its id, and the clause that is written before its `;`.
    Except(String, String),
}

/// Why, and what would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision.
    pub decision: Explained,
    /// Changes that would each grant all that was asked, the smallest first; each was tried, and it does. Empty where
    /// it is granted already, or where no change of these kinds helps.
    pub changes: Vec<Vec<Step>>,
}

impl Pdp {
    /// Explains an answer. For a call quotas count as unused.
    ///
    /// # Errors
    /// A build that is broken.
    pub fn explain(
        &self,
        principal: &Principal,
        context: &Context,
        question: Question<'_>,
    ) -> Result<Explanation, PolicyError> {
        let decision = self.answer(principal, context, question);
        let mut changes = Vec::new();
        if !decision.is_full() {
            if decision.is_full_once_approved() {
                changes.push(vec![Step::Approve]);
            }
            for role in self.named(Type::Role) {
                let mut other = principal.clone();
                if other.user.roles.insert(role.clone())
                    && self.answer(&other, context, question).is_full()
                {
                    changes.push(vec![Step::Role(role)]);
                }
            }
            changes.extend(self.edited(principal, context, question)?);
            changes.sort_by_key(Vec::len);
        }
        Ok(Explanation { decision, changes })
    }

    fn answer(
        &self,
        principal: &Principal,
        context: &Context,
        question: Question<'_>,
    ) -> Explained {
        match question {
            Question::Load(asked) => Explained::Load(self.decide(principal, context, asked)),
            Question::Call(tool, arguments) => {
                let call = Call {
                    tool,
                    arguments,
                    created: &BTreeSet::new(),
                    counts: &Tally::default(),
                };
                Explained::Call(self.decide_call_with(principal, context, &call))
            }
        }
    }

    /// Whether any policy asks about groups of the operating system.
    #[must_use]
    pub fn asks_about_groups(&self) -> bool {
        !self.named(Type::Group).is_empty()
    }

    /// What of this type any policy names.
    fn named(&self, of: Type) -> BTreeSet<String> {
        let all = self
            .rules
            .iter()
            .flat_map(|rule| rule.policy.entity_literals());
        all.filter(|uid| Type::of(uid) == Some(of))
            .map(|uid| uid.id().unescaped().to_owned())
            .collect()
    }

    /// The least edit of policies: every forbid that applies must make an exception, so that none of these can be left
    /// out; and one permit is added if none permits.
    fn edited(
        &self,
        principal: &Principal,
        context: &Context,
        question: Question<'_>,
    ) -> Result<Option<Vec<Step>>, PolicyError> {
        let Some((permit, condition)) = wanted(principal, question)? else {
            return Ok(None);
        };
        for adds in [false, true] {
            let mut steps = Vec::new();
            let mut rules: Vec<Rule> = self.rules.as_ref().clone();
            if adds {
                rules.push(parsed("bailiwick:explain", &permit, None)?);
                steps.push(Step::Add(permit.clone()));
            }
            for _ in 0..MAX_EXCEPTIONS {
                let edited = Self {
                    tools: Arc::clone(&self.tools),
                    ..Self::from_rules(rules.clone(), Arc::clone(&self.classification))?
                };
                let answer = edited.answer(principal, context, question);
                if answer.is_full() {
                    return Ok(Some(steps));
                }
                let forbids = |reason: &&Reason| reason.effect == Effect::Forbid;
                let blocking = answer
                    .reasons()
                    .iter()
                    .find(forbids)
                    .map(|reason| reason.policy.clone());
                let Some(rule) =
                    blocking.and_then(|id| rules.iter_mut().find(|rule| rule.id == id))
                else {
                    break;
                };
                let clause = format!("unless {{ {condition} }}");
                let text = rule
                    .policy
                    .to_cedar()
                    .unwrap_or_else(|| rule.policy.to_string());
                let Some(head) = text.trim_end().strip_suffix(';') else {
                    break;
                };
                steps.push(Step::Except(rule.id.clone(), clause.clone()));
                let excepted = parsed(&rule.id.clone(), &format!("{head} {clause};"), Some(rule))?;
                if excepted.policy == rule.policy {
                    break;
                }
                *rule = excepted;
            }
        }
        Ok(None)
    }
}

/// A permit for what is asked, and the condition that holds for it and this user alone; none where it has no name.
fn wanted(
    principal: &Principal,
    question: Question<'_>,
) -> Result<Option<(String, String)>, PolicyError> {
    let user = Type::User.uid(&principal.user.name)?;
    let who = format!("principal in {user}");
    Ok(match question {
        Question::Load(asked) => {
            let granted = Granted::whole(asked.clone());
            let Ok(permit) = person::permit(&who, &granted) else {
                return Ok(None);
            };
            let condition = person::condition(asked)?;
            let condition =
                condition.map_or_else(|| who.clone(), |inside| format!("{who} && {inside}"));
            Some((permit, condition))
        }
        Question::Call(tool, _) => {
            let tool = Type::Tool.uid(&format!("{}/{tool}", principal.plugin.id))?;
            let permit = format!("permit ({who}, action == Action::\"call\", resource == {tool});");
            Some((permit, format!("{who} && resource == {tool}")))
        }
    })
}

fn parsed(id: &str, text: &str, like: Option<&Rule>) -> Result<Rule, PolicyError> {
    use crate::error::Problem;
    let policy = Policy::parse(Some(PolicyId::new(id)), text)
        .map_err(|e| Problem::of(id, e.to_string(), "report this"))?;
    let annotations = Annotations {
        reason: like.and_then(|rule| rule.reason.clone()),
        expires: like.and_then(|rule| rule.expires),
        quota: like.and_then(|rule| rule.quota),
        ..Annotations::default()
    };
    Rule::new(id, &policy, annotations)
        .map_err(|(_, (what, mend))| Problem::of(id, what, mend).into())
}

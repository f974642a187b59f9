//! What people are asked, and why.

use bailiwick_approval::{About, Question, Shown, evident};
use bailiwick_audit::Subject;
use bailiwick_policy::{CallDecision, Effect, Reason};
use serde_json::{Map, Value};

use crate::admit::Admitted;
use crate::host::{GateError, Host, random};
use crate::world::Source;

/// What is asked about one call.
pub(crate) fn question(
    host: &Host,
    admitted: &Admitted,
    tool: &str,
    arguments: &Map<String, Value>,
    decision: &CallDecision,
) -> Result<Question, GateError> {
    let (policies, people) = asks(decision);
    let matter = Matter {
        about: About::Call {
            tool: tool.to_owned(),
            arguments: Shown::of(&Value::Object(arguments.clone())),
        },
        reasons: &decision.reasons,
        policies,
        people,
    };
    matter.question(host, &admitted.subject, &admitted.source)
}

/// What is asked, and why.
pub(crate) struct Matter<'a> {
    pub(crate) about: About,
    pub(crate) reasons: &'a [Reason],
    pub(crate) policies: Vec<String>,
    pub(crate) people: u8,
}

impl Matter<'_> {
    /// The question as people see it, from now until the gate's patience ends.
    ///
    /// # Errors
    /// A system without random numbers.
    pub(crate) fn question(
        self,
        host: &Host,
        subject: &Subject,
        source: &Source,
    ) -> Result<Question, GateError> {
        let now = host.judge.now();
        let facts = &host.judge.in_force.now().facts;
        let patience = i64::try_from(host.approvals.patience.as_secs()).unwrap_or(i64::MAX);
        let mut hidden = false;
        let mut evident = |text: &str| {
            let (text, found) = evident(text);
            hidden |= found;
            text
        };
        let user = evident(&facts.user.name);
        let agent = evident(subject.agent.as_deref().unwrap_or_default());
        let task = facts.labels.iter().map(|label| evident(label)).collect();
        let reasons = self.reasons.iter();
        let reasons = reasons.map(|reason| evident(&reason.to_string())).collect();
        Ok(Question {
            id: random::<16>()?,
            session: subject.session.clone().unwrap_or_default(),
            plugin: source.manifest.id().to_string(),
            digest: source.digest_hex(),
            user,
            agent,
            task,
            hidden,
            about: self.about,
            reasons,
            policies: self.policies,
            people: self.people,
            given: Vec::new(),
            asked: now,
            until: now.saturating_add(patience),
            request: String::new(),
        })
    }
}

/// The policies that want a person's yes to a call, and the number of people.
pub(crate) fn asks(decision: &CallDecision) -> (Vec<String>, u8) {
    let asking = |reason: &&Reason| reason.effect == Effect::Ask;
    let asking: Vec<_> = decision.reasons.iter().filter(asking).cloned().collect();
    (crate::record::policies(&asking), decision.people.max(1))
}

/// What a question asks for, as the log keeps it.
pub(crate) fn asked(question: &Question) -> Vec<String> {
    match &question.about {
        About::Atoms(atoms) => atoms.clone(),
        About::Call { tool, arguments } => vec![
            format!("call_tool:{tool}"),
            format!("arguments:sha256:{}", arguments.sha256),
        ],
    }
}

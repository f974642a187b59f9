//! Capabilities that policy asks a person about, while the plugin runs without them or waits.

use std::sync::{Arc, PoisonError};

use bailiwick_approval::{About, Question};
use bailiwick_audit::Subject;
use bailiwick_capability::{Grant, Granted};
use bailiwick_policy::{Agent, Effect, Reason};
use bailiwick_token::{Ask, Asks, Token};
use tokio_util::sync::CancellationToken;

use crate::admit::{admit_approved, seal, verified};
use crate::approve::AtClient;
use crate::host::{GateError, Host};
use crate::matter::Matter;
use crate::note::Note;
use crate::pending::Pending;
use crate::record::policies;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::world::Source;

/// A plugin for which people can approve more than it was granted.
pub(crate) struct Wanting {
    pub(crate) source: Arc<Source>,
    subject: Subject,
    question: Question,
    token: Token,
}

/// What people approved of it.
pub(crate) struct Approved {
    pub(crate) source: Arc<Source>,
    pub(crate) grant: Grant,
    pub(crate) token: Token,
}

/// What can be asked about a plugin: only what its wall could hold, and only if the plugin could then be loaded.
///
/// # Errors
/// What stops the gate.
pub(crate) fn wanting(
    host: &Host,
    session: &str,
    agent: &Agent,
    source: &Arc<Source>,
) -> Result<Option<Wanting>, GateError> {
    if !host.approvals.askable() {
        return Ok(None);
    }
    let Ok(now) = host.judge.assess(session, agent, source) else {
        return Ok(None);
    };
    let decisions = || now.rows.iter().filter_map(|row| row.decision.as_ref());
    let pending: Vec<Granted> = decisions()
        .flat_map(|decision| decision.pending().to_vec())
        .collect();
    if pending.is_empty() {
        return Ok(None);
    }
    let most = Grant::new(pending);
    let Ok(then) = host.judge.assess_approved(session, agent, source, &most) else {
        return Ok(None);
    };
    let held = most.atoms().iter().filter(|atom| then.grant.holds(atom));
    let asked: Vec<Granted> = held.cloned().collect();
    if asked.is_empty() || !then.loadable() {
        return Ok(None);
    }
    let reasons: Vec<Reason> = decisions()
        .flat_map(|decision| &decision.reasons)
        .filter(|reason| reason.effect == Effect::Ask)
        .cloned()
        .collect();
    let policies = policies(&reasons);
    let people = host.judge.in_force.now().pdp.people(&policies).max(1);
    let asks = Asks {
        atoms: asked
            .iter()
            .cloned()
            .map(|granted| Ask { granted, people })
            .collect(),
        approvers: host.approvals.keys(),
    };
    let Ok(token) = seal(host, session, agent, source, &now.grant, asks) else {
        return Ok(None);
    };
    let subject = host
        .subject(session, agent)
        .with_plugin(source.manifest.id().as_str(), source.digest_hex());
    let matter = Matter {
        about: About::Atoms(asked.iter().map(ToString::to_string).collect()),
        reasons: &reasons,
        policies,
        people,
    };
    let question = matter.question(host, &subject, source)?;
    Ok(Some(Wanting {
        source: source.clone(),
        subject,
        question,
        token,
    }))
}

/// What a question about a plugin is about: its bytes, what it wants, and the policies that ask.
pub(crate) type Wanted = (String, Vec<String>, Vec<String>);

impl Wanting {
    pub(crate) fn wanted(&self) -> Wanted {
        let atoms = match &self.question.about {
            About::Atoms(atoms) => atoms.clone(),
            About::Call { .. } => Vec::new(),
        };
        (
            self.question.digest.clone(),
            atoms,
            self.question.policies.clone(),
        )
    }

    /// Waits for people's answer: at a console, or at the agent's client once it can be asked.
    ///
    /// # Errors
    /// What stops the gate. Without a yes it is an `Ok(Err(refusal))`.
    pub(crate) async fn approved(
        self,
        host: &Host,
        client: &dyn AtClient,
        cancel: &CancellationToken,
    ) -> Result<Result<Approved, Refusal>, GateError> {
        let (source, session) = (self.source, self.question.session.clone());
        let before = verified(host, &session, &source, &self.token);
        let pending = Pending {
            host,
            subject: &self.subject,
            question: self.question,
            client: Some(client),
            token: self.token,
            verify: &|token| verified(host, &session, &source, token),
        };
        let yes = match pending.approved(cancel).await? {
            Ok(yes) => yes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let after = verified(host, &session, &source, &yes.token);
        let (Ok(before), Ok(after)) = (before, after) else {
            return Ok(Err(Refusal::new(
                "approval_needed",
                "what was approved holds no more",
            )));
        };
        let more = after
            .grant()
            .atoms()
            .iter()
            .filter(|atom| !before.grant().atoms().contains(atom));
        let grant = Grant::new(more.cloned());
        Ok(Ok(Approved {
            source,
            grant,
            token: yes.token,
        }))
    }
}

impl Session {
    /// Puts to people what policy asks them about a plugin, once.
    pub(crate) fn want(&self, source: &Arc<Source>) -> Result<Option<Note>, GateError> {
        let Some(wanting) = wanting(&self.host, &self.id, &self.agent, source)? else {
            return Ok(None);
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if !asked.insert(wanting.wanted()) {
            return Ok(None);
        }
        self.wanting().push(wanting);
        let text = "a person can approve more: see `bailiwick approvals`";
        Ok(Some(Note::new(source.manifest.id().as_str(), text)))
    }

    /// What people are to be asked about, once.
    pub(crate) fn take_wanting(&self) -> Vec<Wanting> {
        std::mem::take(&mut *self.wanting())
    }

    /// Starts a plugin with what people approved, in its own place. Whoever calls this holds up other changes.
    ///
    /// # Errors
    /// What stops the gate. Gives what people may want to know, and whether anything changed.
    pub(crate) async fn start_approved(
        &self,
        approved: Approved,
    ) -> Result<(Vec<Note>, bool), GateError> {
        let id = approved.source.manifest.id().to_string();
        let mut current = self.sources().into_iter();
        if !current.any(|source| source.digest == approved.source.digest) {
            let why =
                "another version took its place while people were asked: the answer is not used";
            return Ok((vec![Note::new(&id, why)], false));
        }
        match admit_approved(&self.host, &self.id, &self.agent, approved).await? {
            Ok(admitted) => Ok((self.put(admitted).await?, true)),
            Err(why) => Ok((vec![Note::new(&id, &format!("refused: {why}"))], false)),
        }
    }
}

//! No record, no effect: every step of the gate goes through here before it takes effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bailiwick_audit::{AtomDecision, AuditError, Event, Log, Moment, Outcome, Redaction, Subject};
use bailiwick_capability::Grant;
use bailiwick_manifest::{Necessity, Start};
use bailiwick_mcp::CallToolResult;
use bailiwick_policy::{CallDecision, CallVerdict, Context, Reason};

use bailiwick_token::Verified;

use crate::assess::{Assessment, Row, Standing};
use crate::seen::counted;
use crate::world::{Launch, Source};

/// The most denied operations that are written at once; the rest are counted.
const MAX_DENIED: usize = 64;

/// Writes events; an error of the log stops whatever was about to happen.
#[derive(Clone)]
pub struct Recorder {
    log: Log,
    /// How arguments are kept.
    pub redaction: Redaction,
    /// Whether every act waits until its record is durable.
    pub strict: bool,
}

impl Recorder {
    /// A recorder that keeps digests of arguments.
    #[must_use]
    pub fn new(log: Log, strict: bool) -> Self {
        Self {
            log,
            redaction: Redaction::default(),
            strict,
        }
    }

    /// Writes an event; it becomes durable within the log's commit window.
    ///
    /// # Errors
    /// The log's own. Nothing may go on unlogged then.
    pub async fn written(&self, subject: &Subject, event: Event) -> Result<(), AuditError> {
        if self.strict {
            return self.durable(subject, event).await;
        }
        self.log.append(subject, &event).map(drop)
    }

    /// Writes an event and waits until it is durable.
    ///
    /// # Errors
    /// The log's own.
    pub async fn durable(&self, subject: &Subject, event: Event) -> Result<(), AuditError> {
        let (log, subject) = (self.log.clone(), subject.clone());
        tokio::task::spawn_blocking(move || log.append_durable(&subject, &event).map(drop))
            .await
            .map_err(|_| AuditError::Closed)?
    }

    /// A start behind a wall, with the command line of a program.
    pub(crate) fn start(&self, launch: &Launch, wall: &str, watched: bool) -> Event {
        let words = match &launch.source.manifest.runtime().start {
            Start::Command(words) => words.as_slice(),
            Start::Component(_) | Start::Embedded => &[],
        };
        let arguments = words.iter().skip(1);
        let arguments = arguments.map(|word| self.redaction.argument(&word.as_str().into()));
        Event::PluginStart {
            wall: wall.to_owned(),
            grant: lines(launch.grant()),
            tools: Vec::new(),
            watched,
            program: words.first().cloned(),
            arguments: arguments.collect(),
        }
    }

    /// The same, for what happens on behalf of `subject`.
    #[must_use]
    pub fn on_behalf_of(&self, subject: &Subject) -> Record {
        Record {
            recorder: self.clone(),
            subject: subject.clone(),
        }
    }

    /// Writes what a wall refused.
    ///
    /// # Errors
    /// The log's own.
    pub async fn denied(
        &self,
        subject: &Subject,
        denied: Vec<bailiwick_wall::Denied>,
    ) -> Result<(), AuditError> {
        for operation in counted(denied, MAX_DENIED) {
            let event = Event::OperationDenied {
                operation: operation.operation,
                target: operation.target,
                reason: operation.reason,
                dropped: operation.times.saturating_sub(1),
            };
            self.written(subject, event).await?;
        }
        Ok(())
    }
}

/// A recorder of one plugin's own acts.
#[derive(Clone)]
pub struct Record {
    recorder: Recorder,
    subject: Subject,
}

impl Record {
    /// Writes an event and waits until it is durable.
    ///
    /// # Errors
    /// The log's own. What was to be recorded must not happen then.
    pub async fn durable(&self, event: Event) -> Result<(), AuditError> {
        self.recorder.durable(&self.subject, event).await
    }
}

/// The decision on a whole manifest, as the log keeps it.
#[must_use]
pub fn load_decision(assessment: &Assessment, context: &Context) -> Event {
    let standings: Vec<Standing> = assessment.rows.iter().map(Row::standing).collect();
    let outcome = if !assessment.loadable() {
        Outcome::Deny
    } else if standings
        .iter()
        .all(|standing| *standing == Standing::Granted)
    {
        Outcome::Grant
    } else {
        Outcome::Partial
    };
    Event::Decision {
        outcome,
        moment: Moment::Load,
        atoms: assessment.rows.iter().map(atom_decision).collect(),
        context: facts(context),
    }
}

fn atom_decision(row: &Row) -> AtomDecision {
    let outcome = match row.standing() {
        Standing::Granted => Outcome::Grant,
        Standing::Partial => Outcome::Partial,
        Standing::Asks => Outcome::Ask,
        Standing::Refused => Outcome::Deny,
    };
    let reasons = row
        .decision
        .as_ref()
        .map(|decision| decision.reasons.as_slice())
        .unwrap_or_default();
    let mut lines: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    lines.extend(
        row.shortfall()
            .into_iter()
            .filter(|line| !lines.contains(line))
            .collect::<Vec<_>>(),
    );
    AtomDecision {
        asked: row.asked.to_string(),
        outcome,
        granted: row.granted().map(ToString::to_string).collect(),
        policies: policies(reasons),
        reasons: lines,
    }
}

/// The decision on one call, as the log keeps it.
#[must_use]
pub fn call_decision(tool: &str, decision: &CallDecision, context: &Context) -> Event {
    let outcome = match decision.verdict {
        CallVerdict::Allow => Outcome::Grant,
        CallVerdict::Ask => Outcome::Ask,
        CallVerdict::Deny => Outcome::Deny,
    };
    Event::Decision {
        outcome,
        moment: Moment::Call,
        atoms: vec![AtomDecision {
            asked: tool.to_owned(),
            outcome,
            granted: Vec::new(),
            policies: policies(&decision.reasons),
            reasons: decision.reasons.iter().map(ToString::to_string).collect(),
        }],
        context: facts(context),
    }
}

/// The ids of the policies that determined an answer.
#[must_use]
pub fn policies(reasons: &[Reason]) -> Vec<String> {
    let mut ids: Vec<String> = reasons.iter().map(|reason| reason.policy.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn facts(context: &Context) -> BTreeMap<String, String> {
    let listed = |names: &BTreeSet<String>| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.join(" ")
    };
    BTreeMap::from([
        ("environment".to_owned(), context.environment.clone()),
        ("isolation".to_owned(), context.isolation.clone()),
        ("now".to_owned(), context.now.to_string()),
        ("utc_offset".to_owned(), context.utc_offset.to_string()),
        ("labels".to_owned(), listed(&context.labels)),
        ("machine".to_owned(), listed(&context.machine)),
    ])
}

/// What a call brought back, as the log keeps it.
pub(crate) fn answered(
    call: String,
    tool: &str,
    result: &CallToolResult,
    started: Instant,
) -> Event {
    let whole = (
        &result.content,
        &result.structured_content,
        result.is_error,
        &result.rest,
    );
    let bytes = serde_json::to_vec(&whole).unwrap_or_default();
    Event::ToolResult {
        call,
        tool: tool.to_owned(),
        bytes: bytes.len() as u64,
        sha256: bailiwick_audit::sha256_hex(&bytes),
        is_error: result.is_error,
        millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// What a manifest asks for, as the log keeps it.
pub(crate) fn request(source: &Source) -> Event {
    let of = |necessity: Necessity| {
        let atoms = source
            .manifest
            .atoms()
            .iter()
            .filter(|atom| atom.necessity == necessity);
        atoms.map(|atom| atom.capability.to_string()).collect()
    };
    Event::Request {
        version: source.manifest.version().to_string(),
        required: of(Necessity::Required),
        optional: of(Necessity::Optional),
    }
}

/// A grant that was sealed, as the log keeps it.
pub(crate) fn minted(sealed: &Verified) -> Event {
    let expires = u64::try_from(sealed.expires()).unwrap_or_default();
    Event::TokenMinted {
        id: sealed
            .revocation_ids()
            .first()
            .map(hex::encode)
            .unwrap_or_default(),
        expiry: bailiwick_audit::format_time(std::time::Duration::from_secs(expires)),
        grant: lines(sealed.grant()),
    }
}

/// A grant, an atom a line.
#[must_use]
pub fn lines(grant: &Grant) -> Vec<String> {
    grant.atoms().iter().map(ToString::to_string).collect()
}

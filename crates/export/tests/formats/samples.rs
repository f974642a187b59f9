//! An event of every kind, with text of the caller's choice wherever a plugin or a client has a say.

use std::collections::BTreeMap;

use bailiwick_audit::{
    AtomDecision, Entry, Event, Moment, Outcome, QuestionState, Redaction, Subject,
};
use bailiwick_export::{Exported, Marker, MarkerKind, Record};

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const SPAN: &str = "00f067aa0ba902b7";

/// A record of this event at this index.
pub(crate) fn record(index: u64, event: Event, text: &str) -> Record {
    let mut subject = Subject::session(text)
        .with_plugin(text, "sha256:00")
        .with_user(text)
        .with_agent(text)
        .with_trace(TRACE);
    subject.span = Some(SPAN.to_owned());
    let time = "2026-11-23T15:04:05.678Z".to_owned();
    let entry = Entry {
        v: 2,
        time,
        subject,
        event,
    };
    let (log, leaf) = ("bailiwick-0".to_owned(), "bGVhZg==".to_owned());
    Record::Entry(Box::new(Exported {
        log,
        index,
        leaf,
        entry,
    }))
}

/// Records of every kind of event, and every kind of marker.
pub(crate) fn all(text: &str) -> Vec<Record> {
    let entries = events(text)
        .into_iter()
        .zip(0..)
        .map(|(event, index)| record(index, event, text));
    let markers = MarkerKind::ALL.into_iter().map(|kind| {
        let (log, time) = (
            "bailiwick-0".to_owned(),
            "2026-11-23T15:04:05.678Z".to_owned(),
        );
        Record::Marker(Marker {
            log,
            time,
            kind,
            from: 7,
            to: 9,
            detail: text.to_owned(),
        })
    });
    entries.chain(markers).collect()
}

#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn events(text: &str) -> Vec<Event> {
    let s = || text.to_owned();
    let list = || vec![s(), s()];
    let atom = AtomDecision {
        asked: s(),
        outcome: Outcome::Partial,
        granted: list(),
        policies: list(),
        reasons: list(),
    };
    let decision = |outcome, moment| Event::Decision {
        outcome,
        moment,
        atoms: vec![atom.clone()],
        context: BTreeMap::from([(s(), s())]),
    };
    let approval = |outcome| Event::Approval {
        asked: list(),
        outcome,
        approver: s(),
        duration: s(),
    };
    let question = |state| Event::Question {
        id: s(),
        asked: list(),
        state,
        by: Some(s()),
        reason: s(),
    };
    let arguments = Redaction::default().apply("t", &serde_json::json!({ text: text }));
    vec![
        Event::GateStart {
            version: s(),
            config_sha256: s(),
            policy_sha256: s(),
        },
        Event::GateStop { reason: s() },
        Event::SessionStart {
            client: s(),
            protocol: s(),
        },
        Event::SessionEnd { reason: s() },
        Event::Request {
            version: s(),
            required: list(),
            optional: list(),
        },
        decision(Outcome::Grant, Moment::Load),
        decision(Outcome::Partial, Moment::Call),
        decision(Outcome::Deny, Moment::Operation),
        decision(Outcome::Ask, Moment::Call),
        Event::TokenMinted {
            id: s(),
            expiry: s(),
            grant: list(),
        },
        Event::TokenRefused {
            id: Some(s()),
            reason: s(),
        },
        Event::TokenRevoked {
            id: s(),
            reason: s(),
        },
        approval(Outcome::Grant),
        approval(Outcome::Deny),
        approval(Outcome::Ask),
        question(QuestionState::Put),
        question(QuestionState::NotPut),
        question(QuestionState::AnswerRefused),
        question(QuestionState::Withdrawn),
        Event::PolicyChange {
            policy_sha256: s(),
            loaded: true,
            reason: s(),
        },
        Event::PolicyChange {
            policy_sha256: s(),
            loaded: false,
            reason: s(),
        },
        Event::PluginStart {
            wall: s(),
            grant: list(),
            tools: list(),
            watched: false,
            program: Some(s()),
            arguments: arguments.values().cloned().collect(),
        },
        Event::ToolsListed {
            offered: list(),
            withheld: BTreeMap::from([(s(), s())]),
        },
        Event::PluginRefused { reason: s() },
        Event::PluginEnd { status: s() },
        Event::PluginCrash { reason: s() },
        Event::ToolCall {
            call: s(),
            tool: s(),
            arguments,
        },
        Event::ToolResult {
            call: s(),
            tool: s(),
            bytes: u64::MAX,
            sha256: s(),
            is_error: false,
            millis: 3,
        },
        Event::ToolResult {
            call: s(),
            tool: s(),
            bytes: 0,
            sha256: s(),
            is_error: true,
            millis: 3,
        },
        Event::CallRefused {
            call: s(),
            tool: s(),
            reason: s(),
            policies: list(),
        },
        Event::OperationAllowed {
            operation: s(),
            target: s(),
            granted: s(),
        },
        Event::OperationDenied {
            operation: s(),
            target: s(),
            reason: s(),
            dropped: 3,
        },
        Event::PreparationStart {
            step: s(),
            wall: s(),
            grant: list(),
        },
        Event::PreparationEnd {
            step: s(),
            status: s(),
        },
        Event::PackagePrepared {
            registry: s(),
            package: s(),
            version: s(),
            integrity: s(),
        },
        Event::SecretStored {
            secret: s(),
            to: list(),
            places: list(),
            variable: s(),
            keeper: s(),
            replaced: false,
        },
        Event::SecretRemoved { secret: s() },
        Event::SecretUse {
            secret: s(),
            destination: s(),
        },
        Event::ToolChanged {
            tool: s(),
            pinned: s(),
            found: s(),
        },
        Event::Tamper {
            what: s(),
            detail: s(),
        },
        Event::KeyChange {
            key: s(),
            action: s(),
            id: s(),
        },
        Event::Erasure {
            of: s(),
            by: Some(s()),
            reason: s(),
            entries: 1,
            values: 2,
        },
        Event::Archived {
            entries: 256,
            root: s(),
            to: s(),
        },
        Event::Pruned {
            entries: 256,
            root: s(),
        },
        Event::Recovery {
            kept: 1,
            unsealed: 1,
            cut_bytes: 9,
            cut_sha256: Some(s()),
        },
    ]
}

//! How much an event matters. One table for all formats; a new kind of event does not compile without its row.

use bailiwick_audit::{Event, Outcome, QuestionState};

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// As it should be.
    Info,
    /// Worth finding again.
    Low,
    /// Something was stopped or failed.
    Medium,
    /// Somebody should look.
    High,
    /// Somebody should look now.
    Critical,
}

impl Severity {
    /// OCSF's `severity_id` with its caption.
    pub(crate) fn ocsf(self) -> (u8, &'static str) {
        match self {
            Self::Info => (1, "Informational"),
            Self::Low => (2, "Low"),
            Self::Medium => (3, "Medium"),
            Self::High => (4, "High"),
            Self::Critical => (5, "Critical"),
        }
    }

    /// Severity of RFC 5424, table 2: informational, notice, warning, error, critical.
    pub(crate) fn syslog(self) -> u8 {
        match self {
            Self::Info => 6,
            Self::Low => 5,
            Self::Medium => 4,
            Self::High => 3,
            Self::Critical => 2,
        }
    }

    /// CEF's scale from 0 to 10.
    pub(crate) fn cef(self) -> u8 {
        match self {
            Self::Info => 1,
            Self::Low => 3,
            Self::Medium => 5,
            Self::High => 8,
            Self::Critical => 10,
        }
    }

    /// SeverityNumber and short name of the OpenTelemetry log data model.
    pub(crate) fn otel(self) -> (i32, &'static str) {
        match self {
            Self::Info => (9, "INFO"),
            Self::Low => (10, "INFO2"),
            Self::Medium => (13, "WARN"),
            Self::High => (17, "ERROR"),
            Self::Critical => (21, "FATAL"),
        }
    }
}

/// How much an event of this kind, with this outcome, matters.
pub(crate) fn of_event(event: &Event) -> Severity {
    match event {
        Event::Tamper { .. } => Severity::Critical,
        Event::TokenRefused { .. } | Event::ToolChanged { .. } => Severity::High,
        Event::PluginRefused { .. }
        | Event::PluginCrash { .. }
        | Event::CallRefused { .. }
        | Event::OperationDenied { .. } => Severity::Medium,
        Event::Decision { outcome, .. } | Event::Approval { outcome, .. } => match outcome {
            Outcome::Grant => Severity::Info,
            Outcome::Partial | Outcome::Ask => Severity::Low,
            Outcome::Deny => Severity::Medium,
        },
        Event::Question { state, .. } => match state {
            QuestionState::Put | QuestionState::Withdrawn => Severity::Low,
            QuestionState::NotPut | QuestionState::AnswerRefused => Severity::Medium,
        },
        Event::PolicyChange { loaded: false, .. } => Severity::High,
        Event::Recovery { cut_bytes, .. } if *cut_bytes > 0 => Severity::Medium,
        Event::PolicyChange { .. }
        | Event::TokenRevoked { .. }
        | Event::KeyChange { .. }
        | Event::Erasure { .. }
        | Event::Archived { .. }
        | Event::Pruned { .. }
        | Event::SecretStored { .. }
        | Event::SecretRemoved { .. }
        | Event::SecretUse { .. }
        | Event::Recovery { .. } => Severity::Low,
        Event::GateStart { .. }
        | Event::GateStop { .. }
        | Event::SessionStart { .. }
        | Event::SessionEnd { .. }
        | Event::Request { .. }
        | Event::TokenMinted { .. }
        | Event::PluginStart { .. }
        | Event::ToolsListed { .. }
        | Event::PluginEnd { .. }
        | Event::ToolCall { .. }
        | Event::ToolResult { .. }
        | Event::OperationAllowed { .. }
        | Event::PreparationStart { .. }
        | Event::PreparationEnd { .. }
        | Event::PackagePrepared { .. } => Severity::Info,
    }
}

//! What is exported: entries of a log, and markers that say what an export lacks.

use bailiwick_audit::{Entry, Outcome, Subject, render};
use serde_json::{Value, json};

use crate::severity::{Severity, of_event};

/// One record of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An entry of the log.
    Entry(Box<Exported>),
    /// Something about the export itself.
    Marker(Marker),
}

/// An entry with what ties it to its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The log's origin, the name in its checkpoints.
    pub log: String,
    /// The entry's index in that log. Whoever receives records looks for holes in these numbers.
    pub index: u64,
    /// The RFC 6962 leaf hash that the log's tree holds for it, in base64.
    pub leaf: String,
    /// The entry as it read when it was exported.
    pub entry: Entry,
}

/// Why a marker is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarkerKind {
    /// The export of this log begins, at entry `from`.
    Begin,
    /// The target takes records again after it did not; nothing is missing, `from` is the next entry.
    Resumed,
    /// The entries `from` up to, not including, `to` cannot be had and are left out.
    Gap,
    /// The target refused the entries `from` up to, not including, `to`, for good.
    Refused,
    /// Entries of an earlier gap, which follow this marker.
    Refilled,
    /// The log no longer holds what was exported: it was cut, rolled back or rewritten. All that it holds now follows.
    LogChanged,
}

impl MarkerKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Begin,
        Self::Resumed,
        Self::Gap,
        Self::Refused,
        Self::Refilled,
        Self::LogChanged,
    ];

    /// As it stands in records: `export_gap`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "export_begin",
            Self::Resumed => "export_resumed",
            Self::Gap => "export_gap",
            Self::Refused => "export_refused",
            Self::Refilled => "export_refilled",
            Self::LogChanged => "export_log_changed",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::Begin | Self::Resumed | Self::Refilled => Severity::Info,
            Self::Gap | Self::Refused => Severity::High,
            Self::LogChanged => Severity::Critical,
        }
    }
}

/// A record about the export itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The log's origin.
    pub log: String,
    /// When it was made, RFC 3339 in UTC.
    pub time: String,
    /// Why.
    pub kind: MarkerKind,
    /// The first entry that it is about.
    pub from: u64,
    /// The entry after the last one that it is about.
    pub to: u64,
    /// More, for people.
    pub detail: String,
}

/// A record as the formats see it.
pub(crate) struct View<'a> {
    pub(crate) log: &'a str,
    /// The entry's index; of a marker, where it stands.
    pub(crate) index: u64,
    pub(crate) leaf: Option<&'a str>,
    pub(crate) time: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) severity: Severity,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) subject: Option<&'a Subject>,
    /// One line for people, without anything that ends a line or hides.
    pub(crate) summary: String,
    /// All of it.
    pub(crate) whole: Value,
}

impl Record {
    /// The entry's index, or the index that a marker stands at.
    #[must_use]
    pub fn index(&self) -> u64 {
        match self {
            Self::Entry(exported) => exported.index,
            Self::Marker(marker) => marker.from,
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Entry(exported) => View {
                log: &exported.log,
                index: exported.index,
                leaf: Some(&exported.leaf),
                time: &exported.entry.time,
                kind: exported.entry.event.kind(),
                severity: of_event(&exported.entry.event),
                outcome: exported.entry.event.outcome(),
                subject: Some(&exported.entry.subject),
                summary: render(exported.index, &exported.entry),
                whole: serde_json::to_value(&exported.entry).unwrap_or_default(),
            },
            Self::Marker(marker) => View {
                log: &marker.log,
                index: marker.from,
                leaf: None,
                time: &marker.time,
                kind: marker.kind.as_str(),
                severity: marker.kind.severity(),
                outcome: None,
                subject: None,
                summary: format!(
                    "{} entries {} to {}: {}",
                    marker.kind.as_str(),
                    marker.from,
                    marker.to,
                    bailiwick_audit::escape(&marker.detail)
                ),
                whole: json!({ "time": marker.time, "event": marker.event() }),
            },
        }
    }
}

impl Marker {
    /// As JSON, in the shape of an entry's event.
    pub(crate) fn event(&self) -> Value {
        json!({
            "kind": self.kind.as_str(), "from": self.from, "to": self.to, "detail": self.detail,
        })
    }
}

//! What one pass over a log finds.

use std::collections::BTreeMap;

use bailiwick_audit::{Entry, Stored, render};
use bailiwick_tlog::leaf_hash;

/// The most examples of one kind of event.
const EXAMPLES: usize = 3;

/// Evidence of a period, out of one log or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The logs, each with what its verification said.
    pub logs: Vec<LogState>,
    /// Entries in the period.
    pub entries: u64,
    /// Entries in the period by kind.
    pub counts: BTreeMap<String, u64>,
    /// Refusals in the period.
    pub denied: u64,
    /// The first entries of each kind.
    pub examples: BTreeMap<String, Vec<Example>>,
    /// Time of the first and of the last entry in the period.
    pub times: Option<(String, String)>,
}

/// A log and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// Its origin.
    pub origin: String,
    /// What verification says in one line.
    pub verdict: String,
    /// What was found wrong; empty where it verifies.
    pub wrong: Vec<String>,
    /// Its entries in the period.
    pub entries: u64,
    /// Its entries that could not be read, and are therefore not counted.
    pub unread: u64,
}

impl LogState {
    /// Whether the log is what was signed, and all of it could be read.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.wrong.is_empty() && self.unread == 0
    }
}

/// An entry as an example of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Which log: its position in [`Evidence::logs`].
    pub log: usize,
    /// Its index there.
    pub index: u64,
    /// Its leaf hash, in base64.
    pub leaf: String,
    /// When.
    pub time: String,
    /// The entry on one line.
    pub summary: String,
    /// The proof's file, relative to the report, where one was written.
    pub proof: Option<String>,
}

impl Evidence {
    pub(crate) fn add(&mut self, log: usize, stored: &Stored, entry: &Entry) {
        let kind = entry.event.kind();
        self.entries += 1;
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        if entry.event.outcome() == Some(bailiwick_audit::Outcome::Deny) {
            self.denied += 1;
        }
        match &mut self.times {
            None => self.times = Some((entry.time.clone(), entry.time.clone())),
            Some((first, last)) => {
                if entry.time < *first {
                    first.clone_from(&entry.time);
                }
                if entry.time > *last {
                    last.clone_from(&entry.time);
                }
            }
        }
        let examples = self.examples.entry(kind.to_owned()).or_default();
        if examples.len() < EXAMPLES {
            examples.push(Example {
                log,
                index: stored.index,
                leaf: leaf_hash(&stored.json).to_string(),
                time: entry.time.clone(),
                summary: render(stored.index, entry),
                proof: None,
            });
        }
    }

    /// Whether every log is what was signed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.logs.iter().all(LogState::is_sound)
    }

    /// How many entries of these kinds there are.
    #[must_use]
    pub fn count(&self, kinds: &[String]) -> u64 {
        kinds.iter().filter_map(|kind| self.counts.get(kind)).sum()
    }
}

//! What was seen of one plugin.

use std::collections::{BTreeMap, BTreeSet};

use crate::Seen;

/// Different uses kept of one plugin; of the rest only their number.
pub const MAX_LESSONS: usize = 65_536;

/// How often something was used, and while which tools ran; none: while no tool did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lesson {
    /// How often.
    pub times: u64,
    /// Tools by name.
    pub tools: BTreeSet<String>,
}

/// Everything that was seen of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lessons {
    seen: BTreeMap<Seen, Lesson>,
    beyond: u64,
}

impl Lessons {
    /// Adds a use.
    pub fn add(&mut self, seen: Seen, times: u64, tool: Option<&str>) {
        if self.seen.len() >= MAX_LESSONS && !self.seen.contains_key(&seen) {
            self.beyond = self.beyond.saturating_add(times);
            return;
        }
        let lesson = self.seen.entry(seen).or_default();
        lesson.times = lesson.times.saturating_add(times);
        lesson.tools.extend(tool.map(str::to_owned));
    }

    /// Counts uses that could not be told one by one.
    pub fn add_untold(&mut self, times: u64) {
        self.beyond = self.beyond.saturating_add(times);
    }

    /// How many uses are not among those that are kept: a proposal does not cover them.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// What was seen, in order.
    pub fn seen(&self) -> impl Iterator<Item = (&Seen, &Lesson)> {
        self.seen.iter()
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.beyond == 0
    }
}

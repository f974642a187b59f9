//! Prints the story as it happens, and keeps the score.

use std::io::IsTerminal as _;

use crate::report::say;
use serde_json::{Value, json};

/// What a step showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It went as promised.
    Good,
    /// It did not.
    Bad,
    /// An attack that worked where no wall was: as expected, and the point.
    Bare,
}

/// Prints for people, or collects for machines.
pub(super) struct Teller {
    json: bool,
    colour: bool,
    steps: Vec<Value>,
    broken: bool,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            json,
            colour,
            steps: Vec::new(),
            broken: false,
        }
    }

    /// A chapter.
    pub(super) fn chapter(&mut self, title: &str) {
        self.steps.push(json!({ "chapter": title }));
        if !self.json {
            say!("\n{}", self.paint("1", &format!("── {title} ──")));
        }
    }

    /// Plain text for people only.
    pub(super) fn say(&self, text: &str) {
        if !self.json {
            say!("{text}");
        }
    }

    /// Whether people read along.
    pub(super) fn aloud(&self) -> bool {
        !self.json
    }

    /// One thing that was tried, and what came of it.
    pub(super) fn step(&mut self, mark: Mark, what: &str, outcome: &str) {
        self.broken |= mark == Mark::Bad;
        let (sign, colour, name) = match mark {
            Mark::Good => ("✔", "32", "as_promised"),
            Mark::Bad => ("✘", "31", "broken"),
            Mark::Bare => ("!", "33", "worked_without_wall"),
        };
        self.steps
            .push(json!({ "tried": what, "outcome": outcome, "mark": name }));
        if !self.json {
            say!("  {} {what}\n      {outcome}", self.paint(colour, sign));
        }
    }

    /// Prints what was collected; tells whether all went as promised.
    pub(super) fn finish(self) -> anyhow::Result<bool> {
        if self.json {
            let all = json!({ "as_promised": !self.broken, "steps": self.steps });
            say!("{}", serde_json::to_string_pretty(&all)?);
        } else if self.broken {
            say!("\nSomething did not go as promised: please report it.");
        }
        Ok(!self.broken)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The first line of a text, short enough for one line of a terminal, without what terminals obey.
pub(super) fn brief(text: &str) -> String {
    const MOST: usize = 150;
    let line: String = text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

//! What the wall refused while the program ran, for the person and the report.

use std::collections::BTreeMap;

use bailiwick_gate::line;
use bailiwick_wall::Denied;
use serde_json::{Value, json};

/// Different refusals kept; the rest are counted.
const MAX_KEPT: usize = 1000;
/// Lines that a person gets to see.
const MAX_LINES: usize = 5;

/// Refused operations of one run, each once with its count, in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    kept: Vec<Denied>,
    places: BTreeMap<(String, String), usize>,
    beyond: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, denied: &[Denied]) {
        for one in denied {
            let key = (one.operation.clone(), one.target.clone());
            match self.places.get(&key) {
                Some(place) => {
                    if let Some(known) = self.kept.get_mut(*place) {
                        known.times = known.times.saturating_add(one.times);
                    }
                }
                None if self.kept.len() >= MAX_KEPT => {
                    self.beyond = self.beyond.saturating_add(one.times);
                }
                None => {
                    self.places.insert(key, self.kept.len());
                    self.kept.push(one.clone());
                }
            }
        }
    }

    /// A few lines for standard error. Of what a program looked for in vain, nothing is said where it ended well:
    /// most look in many places before they find what they need.
    pub(crate) fn lines(&self, ended_well: bool) -> Vec<String> {
        let matters = |denied: &&Denied| match denied.operation.as_str() {
            // Told by itself.
            "limit" => false,
            "read_files" => !ended_well && !is_usual(&denied.target),
            // As `getpwuid` asks for a cache of names before it reads the file.
            "network_access" if denied.target.contains("AF_UNIX") => !ended_well,
            _ => true,
        };
        let shown: Vec<&Denied> = self.kept.iter().filter(matters).collect();
        let mut lines: Vec<String> = shown.iter().take(MAX_LINES).map(|one| told(one)).collect();
        let rest = shown.iter().skip(MAX_LINES).map(|denied| denied.times);
        let rest = rest.sum::<u64>().saturating_add(self.beyond);
        if rest > 0 {
            lines.push(format!(
                "… and {rest} more; `bailiwick audit query --kind operation_denied` shows them"
            ));
        }
        lines
    }

    pub(crate) fn as_json(&self) -> Value {
        let one = |denied: &Denied| {
            json!({
                "operation": denied.operation,
                "target": denied.target,
                "reason": denied.reason,
                "times": denied.times,
            })
        };
        json!({
            "operations": self.kept.iter().map(one).collect::<Vec<_>>(),
            "not_listed": self.beyond,
        })
    }
}

/// What the C library asks for in every program, and does without.
fn is_usual(target: &str) -> bool {
    let places = ["/usr/share/locale/", "/usr/lib/locale/", "/etc/ld.so."];
    places.iter().any(|place| target.starts_with(place)) || target.contains("/gconv/")
}

fn told(denied: &Denied) -> String {
    let times = match denied.times {
        0 | 1 => String::new(),
        times => format!(" ({times} times)"),
    };
    let target = line(&denied.target);
    format!(
        "refused {} {target}{times}: {}",
        line(&denied.operation),
        line(&denied.reason)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(target: &str, times: u64) -> Denied {
        Denied {
            operation: "connect".to_owned(),
            target: target.to_owned(),
            reason: "not granted".to_owned(),
            times,
        }
    }

    #[test]
    fn repeats_are_counted_and_a_flood_stays_bounded() {
        let mut seen = Seen::default();
        assert!(seen.lines(true).is_empty());
        seen.add(&[denied("a", 2), denied("b", 1)]);
        seen.add(&[denied("a", 3)]);
        assert_eq!(
            seen.lines(true),
            [
                "refused connect a (5 times): not granted",
                "refused connect b: not granted"
            ]
        );
        for number in 0..2 * MAX_KEPT {
            seen.add(&[denied(&number.to_string(), 1)]);
        }
        let lines = seen.lines(true);
        assert_eq!(lines.len(), MAX_LINES + 1);
        let told = 2 * MAX_KEPT - (MAX_LINES - 2);
        assert!(
            lines[MAX_LINES].contains(&format!("{told} more")),
            "{lines:?}"
        );
        assert!(seen.as_json()["not_listed"].as_u64() > Some(0));
    }

    #[test]
    fn looking_in_vain_matters_only_where_it_ended_badly() {
        let mut seen = Seen::default();
        for target in [
            "/etc/shadow",
            "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules",
        ] {
            let operation = "read_files".to_owned();
            let denied = denied(target, 1);
            seen.add(&[Denied {
                operation,
                ..denied
            }]);
        }
        assert!(seen.lines(true).is_empty());
        assert_eq!(
            seen.lines(false),
            ["refused read_files /etc/shadow: not granted"]
        );
        assert_eq!(seen.as_json()["operations"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn what_was_tried_is_shown_without_what_terminals_obey() {
        let mut seen = Seen::default();
        seen.add(&[denied("/a\x1b]0;owned\x07\n/b", 1)]);
        let lines = seen.lines(true);
        assert!(
            lines.len() == 1 && !lines[0].contains(['\x1b', '\x07', '\n']),
            "{lines:?}"
        );
    }
}

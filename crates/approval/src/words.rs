//! Questions as people read them.

use std::fmt::Write as _;

use crate::plain::visible;
use crate::question::{About, Question};

impl Question {
    /// What is asked, in lines, with nothing in them that a terminal obeys or an eye misses.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = match &self.about {
            About::Call { tool, .. } => {
                format!(
                    "may its tool `{}` be called with these arguments?\n",
                    flat(tool)
                )
            }
            About::Atoms(_) => "may it have what it asks for?\n".to_owned(),
        };
        for (name, what) in self.rows() {
            // Writing to a text does not fail.
            let _ = writeln!(text, "  {name:<10} {}", flat(&what));
        }
        text.push_str("  the arguments are the agent's words, not ours");
        text
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("plugin", self.plugin.clone()),
            ("for", format!("{}, through {}", self.user, self.agent)),
        ];
        if !self.task.is_empty() {
            rows.push(("task", self.task.join(" ")));
        }
        rows.extend(self.reasons.iter().map(|reason| ("why", reason.clone())));
        if self.people > 1 {
            let given = if self.given.is_empty() {
                "nobody".to_owned()
            } else {
                self.given.join(", ")
            };
            rows.push((
                "people",
                format!("{} must say yes; so far {given}", self.people),
            ));
        }
        match &self.about {
            About::Atoms(atoms) => rows.extend(atoms.iter().map(|atom| ("asks for", atom.clone()))),
            About::Call { arguments, .. } => {
                let lines = arguments.text.lines().enumerate();
                rows.extend(
                    lines.map(|(at, line)| {
                        (if at == 0 { "arguments" } else { "" }, line.to_owned())
                    }),
                );
                if arguments.hidden {
                    let what = "they hold characters that cannot be seen; they are written as \\u{…} above";
                    rows.push(("BEWARE", what.to_owned()));
                }
                if arguments.cut {
                    let what = format!(
                        "they are longer than what is shown: {} bytes",
                        arguments.bytes
                    );
                    rows.push(("BEWARE", what));
                }
            }
        }
        rows
    }
}

/// On one line: no part of a question can look like another one.
fn flat(text: &str) -> String {
    visible(&text.replace(['\n', '\t'], " "))
}

#[cfg(test)]
mod tests {
    use crate::question::tests::question;
    use serde_json::json;

    #[test]
    fn l20_a_question_is_harmless_whoever_wrote_its_parts() {
        let mut asked = question(
            "send\u{1b}]0;",
            &json!({"to": "a\u{202e}b\n  why  all is well"}),
        );
        "ann\u{200b}".clone_into(&mut asked.user);
        asked.task = vec!["x\ny".to_owned()];
        asked.people = 2;
        let words = asked.words();
        assert!(
            !words.contains(['\u{1b}', '\u{202e}', '\u{200b}']),
            "{words}"
        );
        assert!(words.contains("BEWARE") && words.contains("so far nobody"));
        let forged = words
            .lines()
            .any(|line| line.trim_start().starts_with("why  all"));
        assert!(!forged, "no argument looks like a line of ours: {words}");
        assert!(!words.lines().any(|line| line == "y"));
    }
}

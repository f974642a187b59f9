//! Questions as people read them.

use std::fmt::Write as _;

use crate::plain::visible;
use crate::question::{About, Question};

/// Whose words a row holds: the reader is to believe ours, and judge the others.
#[derive(Debug, Clone, Copy)]
enum Whose {
    Gate,
    Setup,
    Policy,
    Plugin,
    Agent,
}

impl Whose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Setup => "setup",
            Self::Policy => "policy",
            Self::Plugin => "plugin",
            Self::Agent => "agent",
        }
    }
}

type Row = (&'static str, Whose, String);

impl Question {
    /// What is asked, in lines, with nothing in them that a terminal obeys or an eye misses. Each says whose words it
    /// is.
    #[must_use]
    pub fn words(&self) -> String {
        let rows = self.rows();
        let mut hidden = self.hidden || rows.iter().any(|(_, _, what)| flat(what).1);
        let mut text = match &self.about {
            About::Call { tool, arguments } => {
                let (tool, found) = flat(tool);
                hidden |= found || arguments.hidden;
                format!("may its tool `{tool}` be called with these arguments?\n")
            }
            About::Atoms(_) => "may it have what it asks for?\n".to_owned(),
        };
        let beware = hidden.then(|| {
            let what = "some of it cannot be seen; it is written as \\u{…} above";
            ("BEWARE", Whose::Gate, what.to_owned())
        });
        for (name, whose, what) in rows.into_iter().chain(beware) {
            let (whose, what) = (format!("[{}]", whose.as_str()), flat(&what).0);
            // Writing to a text does not fail.
            let _ = writeln!(text, "  {name:<10} {whose:<8} {what}");
        }
        text.push_str(match &self.about {
            About::Call { .. } => {
                "  in brackets: whose words these are; the tool's name is the plugin's"
            }
            About::Atoms(_) => "  in brackets: whose words these are",
        });
        text
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![
            ("plugin", Whose::Plugin, self.plugin.clone()),
            ("for", Whose::Gate, self.user.clone()),
            ("through", Whose::Agent, self.agent.clone()),
        ];
        if !self.task.is_empty() {
            rows.push(("task", Whose::Setup, self.task.join(" ")));
        }
        let reasons = self.reasons.iter();
        rows.extend(reasons.map(|reason| ("why", Whose::Policy, reason.clone())));
        if self.people > 1 {
            let given = if self.given.is_empty() {
                "nobody".to_owned()
            } else {
                self.given.join(", ")
            };
            let what = format!("{} must say yes; so far {given}", self.people);
            rows.push(("people", Whose::Gate, what));
        }
        match &self.about {
            About::Atoms(atoms) => {
                let atoms = atoms.iter();
                rows.extend(atoms.map(|atom| ("asks for", Whose::Plugin, atom.clone())));
            }
            About::Call { arguments, .. } => {
                let lines = arguments.text.lines().enumerate();
                rows.extend(lines.map(|(at, line)| {
                    let name = if at == 0 { "arguments" } else { "" };
                    (name, Whose::Agent, line.to_owned())
                }));
                if arguments.cut {
                    let what = format!(
                        "the arguments are longer than what is shown: {} bytes",
                        arguments.bytes
                    );
                    rows.push(("BEWARE", Whose::Gate, what));
                }
            }
        }
        rows
    }
}

/// On one line, so that no part of a question can look like another one; and whether any of it could not be seen.
fn flat(text: &str) -> (String, bool) {
    let text = text.replace(['\n', '\t'], " ");
    let shown = visible(&text);
    let found = shown != text;
    (shown, found)
}

#[cfg(test)]
mod tests {
    use crate::question::tests::question;
    use crate::question::{About, Question};
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
        for line in [
            "  for        [gate]   ann\\u{200b}",
            "  through    [agent]  a",
            "  task       [setup]  x y",
        ] {
            assert!(words.contains(line), "{line}: {words}");
        }
        let forged = words
            .lines()
            .any(|line| line.trim_start().starts_with("why  all"));
        assert!(!forged, "no argument looks like a line of ours: {words}");
        assert!(!words.lines().any(|line| line == "y"));
    }

    #[test]
    fn l20_a_question_bewares_of_every_row_and_says_whose_words_it_is() {
        let plain = question("send", &json!({"to": "bob"}));
        assert!(!plain.words().contains("BEWARE"));
        let change: [fn(&mut Question); 6] = [
            |asked| asked.plugin.push('\u{34f}'),
            |asked| asked.agent.push('\u{fe0f}'),
            |asked| asked.task.push("\u{2800}".to_owned()),
            |asked| asked.reasons.push("\u{17b4}".to_owned()),
            // The gate escaped what it found.
            |asked| asked.hidden = true,
            |asked| asked.about = About::Atoms(vec!["call_tool:a\u{180b}".to_owned()]),
        ];
        for (at, change) in change.into_iter().enumerate() {
            let mut asked = plain.clone();
            change(&mut asked);
            assert!(asked.words().contains("BEWARE     [gate]"), "{at}");
        }
        let mut atoms = plain.clone();
        atoms.about = About::Atoms(vec!["read_files:/data/".to_owned()]);
        let words = atoms.words();
        assert!(
            words.contains("asks for   [plugin] read_files:/data/"),
            "{words}"
        );
        assert!(!words.contains("arguments"), "it has none: {words}");
        assert!(plain.words().contains("arguments  [agent]  {"));
    }
}

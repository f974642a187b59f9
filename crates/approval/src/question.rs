//! What a person is asked, and what they may answer.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::plain::visible;

/// The most of a call's arguments that a question shows, in bytes; it says so where there is more.
pub const MAX_SHOWN: usize = 16 * 1024;
/// Apart from everything else that is ever hashed or signed here.
const DOMAIN: &[u8] = b"bailiwick approval v1\0";

/// A call's arguments as a person sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// JSON, indented, with a visible escape for everything that a terminal obeys or an eye misses.
    pub text: String,
    /// Whether such characters were found.
    pub hidden: bool,
    /// Whether there is more than `text` shows.
    pub cut: bool,
    /// Length of the whole in bytes, as compact JSON.
    pub bytes: u64,
    /// SHA-256 of the whole, as compact JSON, in hexadecimal.
    pub sha256: String,
}

impl Shown {
    /// The arguments of a call, for people.
    #[must_use]
    pub fn of(arguments: &serde_json::Value) -> Self {
        let whole = arguments.to_string();
        let pretty = serde_json::to_string_pretty(arguments).unwrap_or_else(|_| whole.clone());
        let mut text = visible(&pretty);
        let (hidden, cut) = (text != pretty, text.len() > MAX_SHOWN);
        text.truncate(text.floor_char_boundary(MAX_SHOWN));
        Self {
            text,
            hidden,
            cut,
            bytes: whole.len() as u64,
            sha256: hex::encode(Sha256::digest(whole.as_bytes())),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum About {
    /// One call of a tool.
    Call {
        /// The plugin's own name for it.
        tool: String,
        /// What it is called with.
        arguments: Shown,
    },
    /// Capabilities, before the plugin runs with them.
    Atoms(Vec<String>),
}

/// A question that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its name: random, so that nobody answers the next one by chance.
    pub id: String,
    /// The agent's session.
    pub session: String,
    /// The plugin that asks.
    pub plugin: String,
    /// Digest of the plugin's manifest, in hexadecimal.
    pub digest: String,
    /// On whose behalf.
    pub user: String,
    /// Through which agent.
    pub agent: String,
    /// The task, as the session's labels name it.
    pub task: Vec<String>,
    /// Whether the user, the agent, the task or a reason holds characters that cannot be seen; they are written with a
    /// visible escape.
    pub hidden: bool,
    /// What is asked.
    pub about: About,
    /// What policies say about it, a line each.
    pub reasons: Vec<String>,
    /// The policies that want a person to say yes, sorted.
    pub policies: Vec<String>,
    /// How many different people must say yes.
    pub people: u8,
    /// Who said yes already.
    pub given: Vec<String>,
    /// When it was asked, in seconds since 1970.
    pub asked: i64,
    /// When it is refused for want of an answer, in seconds since 1970.
    pub until: i64,
    /// What a yes is signed over, as the token library made it, in base64.
    pub request: String,
}

/// What a person can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Yes, this once.
    Once,
    /// Yes, until the session ends.
    Session,
    /// Yes, from now on: a policy is written.
    Ever,
    /// No, this once.
    No,
    /// No, from now on: a policy is written.
    Never,
}

impl Choice {
    /// All of them, as they are offered.
    pub const ALL: [Self; 5] = [Self::Once, Self::Session, Self::Ever, Self::No, Self::Never];

    /// Its name on command lines and in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Session => "session",
            Self::Ever => "ever",
            Self::No => "no",
            Self::Never => "never",
        }
    }

    /// The choice of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == name)
    }

    /// Whether it permits.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Once | Self::Session | Self::Ever)
    }
}

/// What a person answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What they chose.
    pub choice: Choice,
    /// A yes signed with the approver's key, in base64; a no needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
}

impl Question {
    /// What a yes to a call is signed over: this one call, or every call of the tool for which the same policies want
    /// a person's yes, in the same session or for ever. None for capabilities, which are signed as such.
    #[must_use]
    pub fn statement(&self, choice: Choice) -> Option<[u8; 32]> {
        let About::Call { tool, arguments } = &self.about else {
            return None;
        };
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        let mut parts = vec![
            choice.as_str(),
            &self.session,
            &self.plugin,
            &self.digest,
            tool,
        ];
        if choice == Choice::Once {
            parts.extend([self.id.as_str(), &arguments.sha256]);
        }
        parts.extend(self.policies.iter().map(String::as_str));
        // Lengths keep the parts apart, whatever they hold.
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Some(hash.finalize().into())
    }

    /// What the same matter is known by, however often it is asked.
    #[must_use]
    pub fn matter(&self) -> String {
        match &self.about {
            About::Call { tool, .. } => format!("{}\0call\0{tool}", self.plugin),
            About::Atoms(atoms) => format!("{}\0atoms\0{}", self.plugin, atoms.join("\0")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn question(tool: &str, arguments: &serde_json::Value) -> Question {
        Question {
            id: "q1".to_owned(),
            session: "s".to_owned(),
            plugin: "p".to_owned(),
            digest: "d".to_owned(),
            user: "ann".to_owned(),
            agent: "a".to_owned(),
            task: Vec::new(),
            hidden: false,
            about: About::Call {
                tool: tool.to_owned(),
                arguments: Shown::of(arguments),
            },
            reasons: Vec::new(),
            policies: vec!["ask".to_owned()],
            people: 1,
            given: Vec::new(),
            asked: 0,
            until: 60,
            request: String::new(),
        }
    }

    #[test]
    fn a_yes_to_one_call_is_none_to_another() {
        let base = question("send", &json!({"to": "a"}));
        let other_arguments = question("send", &json!({"to": "b"}));
        let mut other_id = base.clone();
        "q2".clone_into(&mut other_id.id);
        let mut other_policy = base.clone();
        other_policy.policies = vec!["other".to_owned()];
        let mut other_digest = base.clone();
        "e".clone_into(&mut other_digest.digest);
        let once = |q: &Question| q.statement(Choice::Once).unwrap();
        let session = |q: &Question| q.statement(Choice::Session).unwrap();
        assert_ne!(once(&base), once(&other_arguments));
        assert_ne!(once(&base), once(&other_id));
        assert_ne!(once(&base), session(&base));
        assert_ne!(
            base.statement(Choice::Ever),
            base.statement(Choice::Session)
        );
        assert_eq!(session(&base), session(&other_arguments));
        assert_ne!(session(&base), session(&other_policy));
        assert_ne!(session(&base), session(&other_digest));
        assert_ne!(session(&base), session(&question("sen", &json!({}))));
    }

    #[test]
    fn parts_that_flow_together_are_told_apart() {
        let (mut one, mut two) = (question("t", &json!({})), question("t", &json!({})));
        one.policies = vec!["ab".to_owned(), "c".to_owned()];
        two.policies = vec!["a".to_owned(), "bc".to_owned()];
        assert_ne!(
            one.statement(Choice::Session),
            two.statement(Choice::Session)
        );
    }

    #[test]
    fn l20_what_cannot_be_seen_is_shown() {
        let hostile = json!({"to": "ann\u{202e}gro.live@", "x": "a\u{200b}b", "e": "\u{1b}[2J"});
        let shown = Shown::of(&hostile);
        assert!(shown.hidden && !shown.cut);
        assert!(shown.text.contains("ann\\u{202e}gro"), "{}", shown.text);
        assert!(shown.text.contains("a\\u{200b}b"));
        assert!(!shown.text.contains('\u{1b}'));
        assert!(!Shown::of(&json!({"to": "Zürich"})).hidden);
    }

    #[test]
    fn long_arguments_are_cut_and_told() {
        let long = json!({"text": "ü".repeat(MAX_SHOWN), "last": "\u{202e}"});
        let shown = Shown::of(&long);
        assert!(shown.cut && shown.hidden, "also what is not shown is told");
        assert!(shown.text.len() <= MAX_SHOWN);
        assert_eq!(shown.bytes, long.to_string().len() as u64);
    }

    #[test]
    fn choices_have_their_names() {
        for choice in Choice::ALL {
            assert_eq!(Choice::parse(choice.as_str()), Some(choice));
            let wire = serde_json::to_value(choice).unwrap();
            assert_eq!(wire, choice.as_str());
        }
        assert_eq!(Choice::parse("yes"), None);
    }
}

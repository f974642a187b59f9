//! What an entry says, in words: what was done, and what came of it. What plugins and clients said is made harmless.

use bailiwick_audit::{AtomDecision, Entry, Event, Moment, Outcome, QuestionState, escape};

/// Longest text of one part, in characters.
const MAX_TEXT: usize = 120;
/// As many items of a list are named.
const MAX_ITEMS: usize = 4;

/// How something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    Plain,
    Good,
    Uneasy,
    Bad,
}

impl Tone {
    /// The ANSI colour, for terminals.
    pub(super) fn colour(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Uneasy => Some("33"),
            Self::Bad => Some("31"),
        }
    }

    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Grant => Self::Good,
            Outcome::Partial | Outcome::Ask => Self::Uneasy,
            Outcome::Deny => Self::Bad,
        }
    }
}

/// An entry in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deed {
    /// What was done: `calls notes.search`.
    pub(super) what: String,
    /// What came of it: `denied: not granted`; empty where that is not said.
    pub(super) outcome: String,
    pub(super) tone: Tone,
}

fn deed(what: impl Into<String>, outcome: impl Into<String>, tone: Tone) -> Deed {
    Deed {
        what: what.into(),
        outcome: outcome.into(),
        tone,
    }
}

/// Text from the log on one line, shortened.
pub(super) fn text(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_TEXT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    escape(&short)
}

/// The first few of a list.
pub(super) fn list<T: AsRef<str>>(items: &[T]) -> String {
    let mut shown: Vec<String> = items
        .iter()
        .take(MAX_ITEMS)
        .map(|item| text(item.as_ref()))
        .collect();
    if items.len() > MAX_ITEMS {
        shown.push(format!("and {} more", items.len() - MAX_ITEMS));
    }
    if shown.is_empty() {
        "nothing".to_owned()
    } else {
        shown.join(", ")
    }
}

/// The policies that determined an answer; the default where none did.
pub(super) fn by(policies: &[String]) -> String {
    if policies.is_empty() {
        "by default".to_owned()
    } else {
        format!("by {}", list(policies))
    }
}

/// An entry in words.
pub(super) fn of(entry: &Entry) -> Deed {
    match &entry.event {
        Event::GateStart { version, .. } => deed(
            "the gate starts",
            format!("version {}", text(version)),
            Tone::Plain,
        ),
        Event::GateStop { reason } => deed("the gate stops", text(reason), Tone::Plain),
        Event::SessionStart { client, .. } => deed("a session opens", text(client), Tone::Plain),
        Event::SessionEnd { reason } => deed("the session ends", text(reason), Tone::Plain),
        Event::Request {
            required, optional, ..
        } => {
            let all: Vec<&String> = required.iter().chain(optional).collect();
            deed(format!("asks for {}", list(&all)), "", Tone::Plain)
        }
        Event::Decision {
            outcome,
            moment,
            atoms,
            ..
        } => decision(*outcome, *moment, atoms),
        Event::Approval {
            asked,
            outcome,
            approver,
            duration,
        } => deed(
            format!("{} is asked for {}", text(approver), list(asked)),
            format!("{}, {}", said(*outcome), text(duration)),
            Tone::of(*outcome),
        ),
        Event::Question {
            asked,
            state,
            by,
            reason,
            ..
        } => question(asked, *state, by.as_deref(), reason),
        Event::PolicyChange { loaded, reason, .. } => match loaded {
            true => deed("policies change", "in force", Tone::Uneasy),
            false => deed(
                "policies are to change",
                format!("refused: {}", text(reason)),
                Tone::Bad,
            ),
        },
        Event::TokenMinted { id, expiry, .. } => deed(
            format!("token {} is sealed", short(id)),
            format!("until {}", text(expiry)),
            Tone::Plain,
        ),
        Event::TokenRefused { id, reason } => deed(
            format!("token {} is presented", short(id.as_deref().unwrap_or("?"))),
            format!("refused: {}", text(reason)),
            Tone::Bad,
        ),
        Event::TokenRevoked { id, reason } => deed(
            format!("token {} is revoked", short(id)),
            text(reason),
            Tone::Uneasy,
        ),
        other => of_plugin(other),
    }
}

fn question(asked: &[String], state: QuestionState, by: Option<&str>, reason: &str) -> Deed {
    let asked = list(asked);
    let reason = text(reason);
    match state {
        QuestionState::Put => deed(format!("people are asked for {asked}"), "", Tone::Uneasy),
        QuestionState::NotPut => deed(
            format!("people are not asked for {asked}"),
            reason,
            Tone::Bad,
        ),
        QuestionState::AnswerRefused => deed(
            format!("{} answers for {asked}", text(by.unwrap_or("somebody"))),
            format!("does not count: {reason}"),
            Tone::Bad,
        ),
        QuestionState::Withdrawn => deed(
            format!("the question for {asked} is withdrawn"),
            reason,
            Tone::Uneasy,
        ),
    }
}

fn decision(outcome: Outcome, moment: Moment, atoms: &[AtomDecision]) -> Deed {
    let asked: Vec<&String> = atoms.iter().map(|atom| &atom.asked).collect();
    let what = match moment {
        Moment::Load if atoms.len() == 1 => "decision on 1 atom".to_owned(),
        Moment::Load => format!("decision on {} atoms", atoms.len()),
        Moment::Call => format!("decision on calling {}", list(&asked)),
        Moment::Operation => format!("decision on {}", list(&asked)),
    };
    let refused: Vec<&String> = atoms
        .iter()
        .filter(|atom| atom.outcome != Outcome::Grant)
        .map(|atom| &atom.asked)
        .collect();
    let mut policies: Vec<String> = atoms
        .iter()
        .flat_map(|atom| atom.policies.clone())
        .collect();
    policies.sort_unstable();
    policies.dedup();
    let mut answer = format!("{} {}", said(outcome), by(&policies));
    if moment == Moment::Load && !refused.is_empty() {
        answer = format!("{answer}; not in full: {}", list(&refused));
    }
    deed(what, answer, Tone::of(outcome))
}

fn of_plugin(event: &Event) -> Deed {
    match event {
        Event::PluginStart { wall, grant, .. } => deed(
            format!("starts behind the {} wall", text(wall)),
            format!("with {}", list(grant)),
            Tone::Good,
        ),
        Event::ToolsListed { offered, withheld } if withheld.is_empty() => {
            deed(format!("offers {}", list(offered)), "", Tone::Plain)
        }
        Event::ToolsListed { offered, withheld } => {
            let names: Vec<&String> = withheld.keys().collect();
            deed(
                format!("offers {}", list(offered)),
                format!("withheld: {}", list(&names)),
                Tone::Uneasy,
            )
        }
        Event::PluginRefused { reason } => deed("is not started", text(reason), Tone::Bad),
        Event::PluginEnd { status } => deed("ends", text(status), Tone::Plain),
        Event::PluginCrash { reason } => deed("crashes", text(reason), Tone::Bad),
        Event::ToolCall {
            tool, arguments, ..
        } => {
            let names: Vec<&String> = arguments.keys().collect();
            let names = if names.is_empty() {
                String::new()
            } else {
                list(&names)
            };
            deed(format!("calls {}({names})", text(tool)), "", Tone::Plain)
        }
        Event::ToolResult {
            tool,
            bytes,
            is_error,
            millis,
            ..
        } => {
            let tone = if *is_error { Tone::Uneasy } else { Tone::Good };
            let how = if *is_error { "an error" } else { "ok" };
            deed(
                format!("{} answers", text(tool)),
                format!("{how}, {bytes} B in {millis} ms"),
                tone,
            )
        }
        Event::CallRefused {
            tool,
            reason,
            policies,
            ..
        } => {
            let by = if policies.is_empty() {
                String::new()
            } else {
                format!(" ({})", by(policies))
            };
            deed(
                format!("call of {}", text(tool)),
                format!("refused: {}{by}", text(reason)),
                Tone::Bad,
            )
        }
        Event::OperationAllowed {
            operation,
            target,
            granted,
        } => deed(
            format!("{} {}", text(operation), text(target)),
            format!("let through by {}", text(granted)),
            Tone::Good,
        ),
        Event::OperationDenied {
            operation,
            target,
            reason,
            dropped,
        } => {
            let more = if *dropped > 0 {
                format!(", and {dropped} more")
            } else {
                String::new()
            };
            deed(
                format!("{} {}", text(operation), text(target)),
                format!("stopped: {}{more}", text(reason)),
                Tone::Bad,
            )
        }
        Event::ToolChanged { tool, .. } => deed(
            format!("{} is not what was approved", text(tool)),
            "withheld",
            Tone::Bad,
        ),
        other => of_house(other),
    }
}

fn of_house(event: &Event) -> Deed {
    match event {
        Event::PreparationStart { step, wall, .. } => deed(
            format!("{} begins", text(step)),
            format!("wall: {}", text(wall)),
            Tone::Plain,
        ),
        Event::PreparationEnd { step, status } => {
            deed(format!("{} ends", text(step)), text(status), Tone::Plain)
        }
        Event::PackagePrepared {
            registry,
            package,
            version,
            ..
        } => deed(
            format!(
                "{}:{}@{} is fetched",
                text(registry),
                text(package),
                text(version)
            ),
            "",
            Tone::Plain,
        ),
        Event::SecretStored {
            secret,
            to,
            replaced,
            ..
        } => deed(
            format!("secret {} is kept", text(secret)),
            format!(
                "for {}{}",
                list(to),
                if *replaced {
                    ", in place of an older one"
                } else {
                    ""
                }
            ),
            Tone::Uneasy,
        ),
        Event::SecretRemoved { secret } => deed(
            format!("secret {} is removed", text(secret)),
            "",
            Tone::Uneasy,
        ),
        Event::SecretUse {
            secret,
            destination,
        } => deed(
            format!("secret {} is used", text(secret)),
            format!("sent to {}", text(destination)),
            Tone::Uneasy,
        ),
        Event::Tamper { what, detail } => deed(
            format!("{} was tampered with", text(what)),
            text(detail),
            Tone::Bad,
        ),
        Event::KeyChange { key, action, id } => deed(
            format!("{} key {}", text(key), text(action)),
            short(id),
            Tone::Uneasy,
        ),
        Event::Erasure {
            of,
            entries,
            values,
            ..
        } => deed(
            format!("{} is erased", text(of)),
            format!("{values} values of {entries} entries"),
            Tone::Uneasy,
        ),
        Event::Archived { entries, to, .. } => deed(
            format!("the first {entries} entries are archived"),
            text(to),
            Tone::Plain,
        ),
        Event::Pruned { entries, .. } => deed(
            format!("the first {entries} entries are pruned"),
            "their hashes stay",
            Tone::Uneasy,
        ),
        Event::Recovery {
            kept,
            unsealed,
            cut_bytes,
            ..
        } => deed(
            "the log is recovered",
            format!("{kept} entries kept, {unsealed} of them unsigned, {cut_bytes} B cut"),
            Tone::Uneasy,
        ),
        other => deed(other.kind(), "", Tone::Plain),
    }
}

/// A decision in words.
pub(super) fn said(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Grant => "granted",
        Outcome::Partial => "partly granted",
        Outcome::Deny => "denied",
        Outcome::Ask => "a person has to say",
    }
}

/// The beginning of an id or digest.
pub(super) fn short(id: &str) -> String {
    text(&id.chars().take(8).collect::<String>())
}

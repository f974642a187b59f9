//! What to look for.

use super::concern::Concern;
use crate::event::{Entry, Event, Moment, Outcome};

/// The kinds of event that this version knows, as they stand in the JSON.
pub const EVENT_KINDS: &[&str] = &[
    "gate_start",
    "gate_stop",
    "session_start",
    "session_end",
    "request",
    "decision",
    "token_minted",
    "token_refused",
    "token_revoked",
    "approval",
    "question",
    "policy_change",
    "plugin_start",
    "tools_listed",
    "plugin_refused",
    "plugin_end",
    "plugin_crash",
    "tool_call",
    "tool_result",
    "call_refused",
    "operation_allowed",
    "operation_denied",
    "preparation_start",
    "preparation_end",
    "package_prepared",
    "secret_stored",
    "secret_removed",
    "secret_use",
    "tool_changed",
    "tamper",
    "key_change",
    "erasure",
    "archived",
    "pruned",
    "recovery",
];

/// How many characters of a session's id name it.
pub const SESSION_PREFIX: usize = 8;

/// What to look for; what is `None` is not asked. All that is asked must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly this plugin id.
    pub plugin: Option<String>,
    /// Exactly this user.
    pub user: Option<String>,
    /// This session, or those whose ids begin so, from [`SESSION_PREFIX`] characters on.
    pub session: Option<String>,
    /// Exactly this agent.
    pub agent: Option<String>,
    /// Events that record this outcome; refusals of any kind count as `deny`.
    pub decision: Option<Outcome>,
    /// Exactly this kind of event: `tool_call`.
    pub kind: Option<String>,
    /// Events about exactly this tool: called, decided on, refused, changed, offered or withheld.
    pub tool: Option<String>,
    /// Events that name a capability which overlaps with this.
    pub capability: Option<Concern>,
    /// At or after this time, RFC 3339 in UTC; a date alone will do. Compared as text with the times of entries.
    pub since: Option<String>,
    /// Before this time, RFC 3339 in UTC; a date alone will do.
    pub until: Option<String>,
    /// The JSON of the entry holds this text.
    pub text: Option<String>,
    /// Upper and lower case of the text are the same.
    pub ignore_case: bool,
    /// At most this many.
    pub limit: Option<usize>,
}

impl Filter {
    /// Whether an entry is looked for. `json` is the entry as it is shown. `limit` is not considered.
    #[must_use]
    pub fn matches(&self, entry: &Entry, json: &[u8]) -> bool {
        let is =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let asked = |wanted: &Option<String>, holds: &dyn Fn(&str) -> bool| {
            wanted.as_deref().is_none_or(holds)
        };
        let subject = &entry.subject;
        is(&self.plugin, &subject.plugin)
            && is(&self.user, &subject.user)
            && is(&self.agent, &subject.agent)
            && asked(&self.session, &|wanted| {
                subject
                    .session
                    .as_deref()
                    .is_some_and(|id| is_session(id, wanted))
            })
            && self
                .decision
                .is_none_or(|outcome| entry.event.outcome() == Some(outcome))
            && asked(&self.kind, &|kind| entry.event.kind() == kind)
            && asked(&self.tool, &|tool| tools(&entry.event).contains(&tool))
            && asked(&self.since, &|since| entry.time.as_str() >= since)
            && asked(&self.until, &|until| entry.time.as_str() < until)
            && self
                .capability
                .as_ref()
                .is_none_or(|concern| concern.is_met_by(entry))
            && asked(&self.text, &|text| holds(json, text, self.ignore_case))
    }
}

/// Whether a session's id is the wanted one, or begins with it where that is long enough to name it.
#[must_use]
pub fn is_session(id: &str, wanted: &str) -> bool {
    id == wanted || (wanted.len() >= SESSION_PREFIX && id.starts_with(wanted))
}

/// The tools that an event is about.
#[must_use]
pub fn tools(event: &Event) -> Vec<&str> {
    match event {
        Event::ToolCall { tool, .. }
        | Event::ToolResult { tool, .. }
        | Event::CallRefused { tool, .. }
        | Event::ToolChanged { tool, .. } => vec![tool],
        Event::Decision {
            moment: Moment::Call,
            atoms,
            ..
        } => atoms.iter().map(|atom| atom.asked.as_str()).collect(),
        Event::PluginStart { tools, .. } => tools.iter().map(String::as_str).collect(),
        Event::ToolsListed { offered, withheld } => offered
            .iter()
            .chain(withheld.keys())
            .map(String::as_str)
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether the JSON of an entry holds a text. Bytes that are no text are shown, and searched, as U+FFFD.
fn holds(json: &[u8], text: &str, ignore_case: bool) -> bool {
    let json = String::from_utf8_lossy(json);
    if ignore_case {
        json.to_lowercase().contains(&text.to_lowercase())
    } else {
        json.contains(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_kind_of_event_is_known_by_its_name() {
        let schema = crate::entry_schema();
        let kinds = schema
            .pointer("/$defs/Event/oneOf")
            .and_then(Value::as_array);
        let mut kinds: Vec<&str> = kinds
            .expect("the kinds")
            .iter()
            .filter_map(|kind| kind.pointer("/properties/kind/const")?.as_str())
            .collect();
        kinds.sort_unstable();
        let mut ours = EVENT_KINDS.to_vec();
        ours.sort_unstable();
        assert_eq!(ours, kinds, "EVENT_KINDS names each kind of event");
    }

    #[test]
    fn a_session_is_named_by_the_beginning_of_its_id() {
        assert!(is_session("0af7651916cd43dd", "0af76519"));
        assert!(is_session("s1", "s1"));
        assert!(!is_session("s10", "s1"), "too short to be a beginning");
        assert!(!is_session("0af76519", "0af7651916cd43dd"));
    }

    #[test]
    fn text_is_found_in_either_case_only_where_that_is_asked() {
        assert!(holds(
            "{\"a\":\"ÖSTERREICH\"}".as_bytes(),
            "österreich",
            true
        ));
        assert!(!holds(
            "{\"a\":\"ÖSTERREICH\"}".as_bytes(),
            "österreich",
            false
        ));
        assert!(holds(b"{\"a\":\"x\xffy\"}", "x", false));
    }
}

//! Which class of OCSF an event belongs to. A new kind of event does not compile without its row.

use bailiwick_audit::{Entry, Event, Moment, Outcome, QuestionState};
use serde_json::{Map, Value, json};

use super::MAX_TEXT;
use crate::text::plain;

/// The classes that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    EventLog,
    DetectionFinding,
    AuthorizeSession,
    EntityManagement,
    UserAccess,
    ApplicationLifecycle,
    ApiActivity,
}

impl Class {
    pub(super) fn uid(self) -> u32 {
        match self {
            Self::EventLog => 1008,
            Self::DetectionFinding => 2004,
            Self::AuthorizeSession => 3003,
            Self::EntityManagement => 3004,
            Self::UserAccess => 3005,
            Self::ApplicationLifecycle => 6002,
            Self::ApiActivity => 6003,
        }
    }

    /// Whether the class has an actor; findings and application events have none of that name.
    pub(super) fn has_actor(self) -> bool {
        !matches!(self, Self::DetectionFinding | Self::ApplicationLifecycle)
    }
}

/// What is particular to an event: its class, what was done, and the attributes of that class.
pub(super) struct Fields {
    pub(super) class: Class,
    pub(super) activity: u8,
    /// The activity's name where it is `Other`.
    pub(super) activity_name: Option<&'static str>,
    pub(super) more: Map<String, Value>,
}

const OTHER: u8 = 99;

impl Fields {
    fn new(class: Class, activity: u8) -> Self {
        Self {
            class,
            activity,
            activity_name: None,
            more: Map::new(),
        }
    }

    fn other(class: Class, name: &'static str) -> Self {
        Self {
            activity_name: Some(name),
            ..Self::new(class, OTHER)
        }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// About the log itself.
    pub(super) fn log(activity: u8, name: Option<&'static str>) -> Self {
        Self {
            activity_name: name,
            ..Self::new(Class::EventLog, activity)
        }
        .with("log_name", json!("bailiwick audit log"))
        .with("log_provider", json!("bailiwick"))
    }

    fn finding(entry: &Entry, title: &str, about: &str) -> Self {
        let uid = format!("{} {title}", plain(&entry.time, 64));
        let info = json!({ "uid": uid, "title": title, "desc": plain(about, MAX_TEXT) });
        Self::new(Class::DetectionFinding, 1).with("finding_info", info)
    }

    /// About an application: a plugin, or the gate.
    fn app(activity: u8, name: Option<&'static str>, app: &str, version: Option<&str>) -> Self {
        let mut product = json!({ "name": text(app) });
        if let (Some(version), Some(product)) = (version, product.as_object_mut()) {
            product.insert("version".to_owned(), text(version));
        }
        Self {
            activity_name: name,
            ..Self::new(Class::ApplicationLifecycle, activity)
        }
        .with("app", product)
    }

    fn entity(activity: u8, name: Option<&'static str>, kind: &str, entity: &str) -> Self {
        let entity = json!({ "name": text(entity), "type": kind });
        Self {
            activity_name: name,
            ..Self::new(Class::EntityManagement, activity)
        }
        .with("entity", entity)
    }
}

fn text(text: &str) -> Value {
    let text = plain(text, MAX_TEXT);
    json!(if text.is_empty() {
        "unknown"
    } else {
        text.as_str()
    })
}

/// The row of an event.
pub(super) fn of_event(entry: &Entry) -> Fields {
    let plugin = entry.subject.plugin.as_deref().unwrap_or("unknown");
    match &entry.event {
        Event::GateStart { version, .. } => Fields::app(3, None, "bailiwick", Some(version)),
        Event::GateStop { .. } => Fields::app(4, None, "bailiwick", None),
        Event::PluginStart { .. } => Fields::app(3, None, plugin, None),
        Event::PluginEnd { .. } => Fields::app(4, None, plugin, None),
        Event::PluginCrash { .. } => Fields::app(OTHER, Some("Crash"), plugin, None),
        Event::PluginRefused { .. } => Fields::app(OTHER, Some("Refused"), plugin, None),
        Event::ToolsListed { .. } => Fields::app(OTHER, Some("Tools listed"), plugin, None),
        Event::PreparationStart { step, .. } => {
            Fields::app(OTHER, Some("Preparation start"), step, None)
        }
        Event::PreparationEnd { step, .. } => {
            Fields::app(OTHER, Some("Preparation end"), step, None)
        }
        Event::PackagePrepared {
            package, version, ..
        } => Fields::app(1, None, package, Some(version)),
        Event::SessionStart { client, .. } => api(entry, "Session start", client),
        Event::SessionEnd { .. } => api(entry, "Session end", "session"),
        Event::ToolCall { call, tool, .. } => tool_use(entry, "Call", tool, call),
        Event::ToolResult { call, tool, .. } => tool_use(entry, "Result", tool, call),
        Event::CallRefused { call, tool, .. } => tool_use(entry, "Refused", tool, call),
        Event::OperationAllowed {
            operation, target, ..
        } => {
            api(entry, "Operation", operation).with("resources", json!([{ "name": text(target) }]))
        }
        Event::Request {
            required, optional, ..
        } => {
            let asked: Vec<&String> = required.iter().chain(optional).collect();
            authorize(entry, Some("Request"), &asked)
        }
        Event::Decision { moment, atoms, .. } => {
            let granted: Vec<&String> = atoms.iter().flat_map(|atom| &atom.granted).collect();
            let name = match moment {
                Moment::Load => None,
                Moment::Call => Some("Call decision"),
                Moment::Operation => Some("Operation decision"),
            };
            authorize(entry, name, &granted)
        }
        Event::TokenMinted { grant, .. } => authorize(
            entry,
            Some("Token minted"),
            &grant.iter().collect::<Vec<_>>(),
        ),
        Event::TokenRefused { .. } => authorize(entry, Some("Token refused"), &[]),
        Event::TokenRevoked { .. } => authorize(entry, Some("Token revoked"), &[]),
        Event::Approval {
            asked,
            outcome,
            approver,
            ..
        } => approval(asked, *outcome, approver),
        Event::Question {
            asked, state, by, ..
        } => {
            let name = match state {
                QuestionState::Put => "Question put",
                QuestionState::NotPut => "Question not put",
                QuestionState::AnswerRefused => "Answer refused",
                QuestionState::Withdrawn => "Question withdrawn",
            };
            let user = entry.subject.user.as_deref();
            let who = by.as_deref().or(user).unwrap_or("unknown");
            of_people(Fields::other(Class::UserAccess, name), asked, who)
        }
        Event::PolicyChange {
            policy_sha256,
            loaded,
            ..
        } => match loaded {
            true => Fields::entity(3, None, "policy set", policy_sha256),
            false => Fields::entity(OTHER, Some("Refused"), "policy set", policy_sha256),
        },
        Event::KeyChange { key, .. } => Fields::entity(3, None, "key", key),
        Event::SecretStored {
            secret, replaced, ..
        } => Fields::entity(if *replaced { 3 } else { 1 }, None, "secret", secret),
        Event::SecretRemoved { secret } => Fields::entity(4, None, "secret", secret),
        Event::SecretUse { secret, .. } => Fields::entity(OTHER, Some("Use"), "secret", secret),
        Event::OperationDenied {
            operation,
            target,
            reason,
            ..
        } => Fields::finding(entry, "Operation denied", &format!("{operation}: {reason}")).with(
            "resources",
            json!([{ "name": text(target), "type": text(operation) }]),
        ),
        Event::ToolChanged { tool, .. } => Fields::finding(entry, "Tool changed", tool),
        Event::Tamper { what, detail } => {
            Fields::finding(entry, "Tampering", &format!("{what}: {detail}"))
        }
        Event::Erasure { .. } => Fields::log(2, None),
        Event::Archived { .. } => Fields::log(4, None),
        Event::Pruned { .. } => Fields::log(OTHER, Some("Pruned")),
        Event::Recovery { .. } => Fields::log(OTHER, Some("Recovery")),
    }
}

/// A use of the gate's interface by the agent.
fn api(entry: &Entry, activity: &'static str, operation: &str) -> Fields {
    let agent = entry.subject.agent.as_deref().unwrap_or("unknown");
    let service = entry.subject.plugin.as_deref().unwrap_or("bailiwick");
    let api = json!({ "operation": text(operation), "service": { "name": text(service) } });
    Fields::other(Class::ApiActivity, activity)
        .with("api", api)
        .with("src_endpoint", json!({ "name": text(agent) }))
}

fn tool_use(entry: &Entry, activity: &'static str, tool: &str, call: &str) -> Fields {
    let mut fields = api(entry, activity, tool);
    if let Some(Value::Object(api)) = fields.more.get_mut("api") {
        api.insert("request".to_owned(), json!({ "uid": text(call) }));
    }
    fields
}

/// What a plugin may do from now on; with a name, something else about that.
fn authorize(entry: &Entry, name: Option<&'static str>, atoms: &[&String]) -> Fields {
    let user = entry.subject.user.as_deref().unwrap_or("unknown");
    let atoms: Vec<Value> = atoms.iter().map(|atom| text(atom)).collect();
    let fields = match name {
        None => Fields::new(Class::AuthorizeSession, 1),
        Some(name) => Fields::other(Class::AuthorizeSession, name),
    };
    let fields = fields
        .with("user", json!({ "name": text(user) }))
        .with("privileges", json!(atoms));
    match &entry.subject.session {
        Some(session) => fields.with("session", json!({ "uid": text(session) })),
        None => fields,
    }
}

fn approval(asked: &[String], outcome: Outcome, approver: &str) -> Fields {
    let fields = match outcome {
        Outcome::Grant | Outcome::Partial => Fields::new(Class::UserAccess, 1),
        Outcome::Deny => Fields::other(Class::UserAccess, "Denied"),
        Outcome::Ask => Fields::other(Class::UserAccess, "Asked"),
    };
    of_people(fields, asked, approver)
}

fn of_people(fields: Fields, asked: &[String], who: &str) -> Fields {
    let asked: Vec<Value> = asked.iter().map(|atom| text(atom)).collect();
    fields
        .with("user", json!({ "name": text(who) }))
        .with("privileges", json!(asked))
}

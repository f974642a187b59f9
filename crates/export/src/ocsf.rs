//! Events of the Open Cybersecurity Schema Framework. The version is the newest whose schema a package registry has,
//! because every kind of event is checked against it.

mod class;

use bailiwick_audit::{Entry, Event, Outcome};
use serde_json::{Map, Value, json};

use crate::VERSION;
use crate::record::{Exported, Marker, Record, View};
use crate::text::{nanoseconds, plain};
use class::{Class, Fields, of_event};

/// The version of the schema that events are written for.
pub const OCSF_VERSION: &str = "1.8.0";
/// Longest message and name, in characters.
const MAX_TEXT: usize = 1024;

/// One event.
pub(crate) fn event(record: &Record) -> Value {
    let view = record.view();
    let fields = match record {
        Record::Entry(exported) => of_event(&exported.entry),
        Record::Marker(_) => Fields::log(99, Some("Export")),
    };
    let mut event = base(&view, &fields);
    if let Some(outcome) = view.outcome {
        decided(&mut event, outcome);
    }
    event.extend(fields.more);
    match record {
        Record::Entry(exported) => about_entry(&mut event, exported, fields.class),
        Record::Marker(marker) => about_marker(&mut event, marker),
    }
    Value::Object(event)
}

/// What every class has.
fn base(view: &View<'_>, fields: &Fields) -> Map<String, Value> {
    let (severity_id, severity) = view.severity.ocsf();
    let class_uid = fields.class.uid();
    let mut metadata = json!({
        "version": OCSF_VERSION,
        "product": { "name": "Bailiwick", "vendor_name": "Bailiwick", "version": VERSION },
        "profiles": ["security_control"],
        "log_name": view.log,
        "log_provider": "bailiwick",
        "event_code": view.kind,
        "original_time": plain(view.time, 64),
        "uid": format!("{}#{}", view.log, view.index),
        "sequence": view.index,
    });
    let trace = view.subject.and_then(|subject| subject.trace.as_deref());
    if let (Some(trace), Some(metadata)) = (trace, metadata.as_object_mut()) {
        metadata.insert("correlation_uid".to_owned(), json!(plain(trace, 64)));
    }
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
    put("metadata", metadata);
    put("category_uid", json!(class_uid / 1000));
    put("class_uid", json!(class_uid));
    put("activity_id", json!(fields.activity));
    put(
        "type_uid",
        json!(u64::from(class_uid) * 100 + u64::from(fields.activity)),
    );
    if let Some(name) = fields.activity_name {
        put("activity_name", json!(name));
    }
    put("severity_id", json!(severity_id));
    put("severity", json!(severity));
    put(
        "time",
        json!(nanoseconds(view.time).unwrap_or_default() / 1_000_000),
    );
    put("message", json!(plain(&view.summary, MAX_TEXT)));
    event
}

/// Action, disposition and status of the profile `security_control`. A refusal is no failure of the gate, and an
/// operation that was refused did not succeed: the status is the operation's.
fn decided(event: &mut Map<String, Value>, outcome: Outcome) {
    let (action, disposition, status) = match outcome {
        Outcome::Grant => ((1, "Allowed"), (1, "Allowed"), (1, "Success")),
        Outcome::Partial => ((4, "Modified"), (1, "Allowed"), (1, "Success")),
        Outcome::Deny => ((2, "Denied"), (2, "Blocked"), (2, "Failure")),
        Outcome::Ask => ((99, "Asked"), (14, "Delayed"), (99, "Asked")),
    };
    let named = [
        ("action", action),
        ("disposition", disposition),
        ("status", status),
    ];
    for (name, (id, caption)) in named {
        event.insert(format!("{name}_id"), json!(id));
        event.insert(name.to_owned(), json!(caption));
    }
    event.insert("is_alert".to_owned(), json!(outcome == Outcome::Deny));
}

fn about_entry(event: &mut Map<String, Value>, exported: &Exported, class: Class) {
    let whole = serde_json::to_value(&exported.entry).unwrap_or_default();
    let unmapped = json!({
        "log": exported.log, "index": exported.index, "leaf_hash": exported.leaf, "entry": whole,
    });
    event.insert("unmapped".to_owned(), unmapped);
    if class.has_actor() {
        event.insert("actor".to_owned(), actor(&exported.entry));
    }
    if let Event::ToolResult { is_error, .. } = exported.entry.event {
        let (id, status) = if is_error {
            (2, "Failure")
        } else {
            (1, "Success")
        };
        event.insert("status_id".to_owned(), json!(id));
        event.insert("status".to_owned(), json!(status));
    }
}

fn about_marker(event: &mut Map<String, Value>, marker: &Marker) {
    let unmapped = json!({ "log": marker.log, "marker": marker.event() });
    event.insert("unmapped".to_owned(), unmapped);
}

/// Who acted: the person through the agent's session.
fn actor(entry: &Entry) -> Value {
    let subject = &entry.subject;
    let mut actor = Map::new();
    actor.insert("app_name".to_owned(), json!("bailiwick"));
    if let Some(user) = &subject.user {
        actor.insert("user".to_owned(), json!({ "name": plain(user, MAX_TEXT) }));
    }
    if let Some(session) = &subject.session {
        actor.insert(
            "session".to_owned(),
            json!({ "uid": plain(session, MAX_TEXT) }),
        );
    }
    if let Some(agent) = &subject.agent {
        actor.insert("invoked_by".to_owned(), json!(plain(agent, MAX_TEXT)));
    }
    Value::Object(actor)
}

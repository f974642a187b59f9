//! OpenTelemetry log records, for OTLP 1 over HTTP in protobuf and, in files, JSON.

mod json;
pub(crate) mod model;

use bailiwick_audit::{Event, Subject};
use prost::Message as _;
use serde_json::Value;

use crate::VERSION;
use crate::record::{Record, View};
use crate::text::{hex_id, nanoseconds};
use model::{
    AnyValue, Array, Export, KeyValue, KeyValues, LogRecord, Resource, ResourceLogs, Scope,
    ScopeLogs, any_value,
};

/// The body of a request to `/v1/logs`: an `ExportLogsServiceRequest`.
pub(crate) fn protobuf(records: &[Record]) -> Vec<u8> {
    export(records).encode_to_vec()
}

/// One line of the OTLP file format: the same as JSON.
pub(crate) fn json(records: &[Record]) -> Value {
    json::export(&export(records))
}

/// Records of one log, under the resource that the log is.
fn export(records: &[Record]) -> Export {
    let log = records.first().map(|record| record.view().log.to_owned());
    let resource = vec![
        pair("service.name", text("bailiwick")),
        pair("service.version", text(VERSION)),
        pair("service.instance.id", text(&log.unwrap_or_default())),
    ];
    let scope = Scope {
        name: "bailiwick.audit".to_owned(),
        version: VERSION.to_owned(),
    };
    let log_records = records.iter().map(log_record).collect();
    Export {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: resource,
            }),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope),
                log_records,
            }],
        }],
    }
}

fn log_record(record: &Record) -> LogRecord {
    let view = record.view();
    let time = nanoseconds(view.time).unwrap_or_default();
    let (severity_number, severity_text) = view.severity.otel();
    let subject = view.subject;
    let trace = subject.and_then(|subject| hex_id::<16>(subject.trace.as_deref()?));
    let span = subject.and_then(|subject| hex_id::<8>(subject.span.as_deref()?));
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(text(&view.summary)),
        attributes: attributes(record, &view),
        // A span id without its trace means nothing.
        span_id: span
            .filter(|_| trace.is_some())
            .map(Vec::from)
            .unwrap_or_default(),
        trace_id: trace.map(Vec::from).unwrap_or_default(),
        event_name: format!("bailiwick.{}", view.kind),
    }
}

/// Semantic conventions where there is one, `bailiwick.*` for the rest, and the whole event as structure.
fn attributes(record: &Record, view: &View<'_>) -> Vec<KeyValue> {
    let mut found = vec![
        pair(
            "log.record.uid",
            text(&format!("{}#{}", view.log, view.index)),
        ),
        pair("bailiwick.log", text(view.log)),
        pair("bailiwick.index", int(view.index)),
        pair("bailiwick.kind", text(view.kind)),
    ];
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            found.push(pair(name, text(value)));
        }
    };
    put("bailiwick.leaf_hash", view.leaf);
    put(
        "bailiwick.outcome",
        view.outcome.map(|outcome| outcome.as_str()),
    );
    if let Some(subject) = view.subject {
        of_subject(subject, &mut put);
    }
    if let Record::Entry(exported) = record
        && let Event::ToolCall { call, tool, .. }
        | Event::ToolResult { call, tool, .. }
        | Event::CallRefused { call, tool, .. } = &exported.entry.event
    {
        put("gen_ai.operation.name", Some("execute_tool"));
        put("gen_ai.tool.name", Some(tool));
        put("gen_ai.tool.call.id", Some(call));
    }
    if let Some(event) = view.whole.get("event") {
        found.push(pair("bailiwick.event", any(event)));
    }
    found
}

fn of_subject(subject: &Subject, put: &mut impl FnMut(&str, Option<&str>)) {
    put("session.id", subject.session.as_deref());
    put("user.name", subject.user.as_deref());
    put("gen_ai.agent.name", subject.agent.as_deref());
    put("bailiwick.plugin", subject.plugin.as_deref());
    put("bailiwick.plugin.digest", subject.plugin_digest.as_deref());
    put("bailiwick.parent_span_id", subject.parent_span.as_deref());
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
    }
}

fn text(text: &str) -> AnyValue {
    AnyValue {
        value: Some(any_value::Value::Text(text.to_owned())),
    }
}

/// Above `i64::MAX` a number is text: it must not come out as another one.
fn int(number: u64) -> AnyValue {
    match i64::try_from(number) {
        Ok(number) => AnyValue {
            value: Some(any_value::Value::Int(number)),
        },
        Err(_) => text(&number.to_string()),
    }
}

fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(bool) => Some(any_value::Value::Bool(*bool)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Some(any_value::Value::Int(int)),
            (None, Some(double)) if !number.is_u64() => Some(any_value::Value::Double(double)),
            _ => Some(any_value::Value::Text(number.to_string())),
        },
        Value::String(text) => Some(any_value::Value::Text(text.clone())),
        Value::Array(items) => {
            let values = items.iter().map(any).collect();
            Some(any_value::Value::Array(Array { values }))
        }
        Value::Object(members) => {
            let values = members
                .iter()
                .map(|(key, value)| pair(key, any(value)))
                .collect();
            Some(any_value::Value::Map(KeyValues { values }))
        }
    };
    AnyValue { value }
}

//! The JSON of OTLP: camel case, 64-bit numbers as text, ids as hexadecimal digits.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::model::{AnyValue, Export, KeyValue, LogRecord, ResourceLogs, ScopeLogs, any_value};

pub(super) fn export(export: &Export) -> Value {
    let all: Vec<Value> = export.resource_logs.iter().map(resource_logs).collect();
    json!({ "resourceLogs": all })
}

fn resource_logs(logs: &ResourceLogs) -> Value {
    let attributes = logs
        .resource
        .as_ref()
        .map(|resource| pairs(&resource.attributes));
    let scopes: Vec<Value> = logs.scope_logs.iter().map(scope_logs).collect();
    json!({ "resource": { "attributes": attributes }, "scopeLogs": scopes })
}

fn scope_logs(logs: &ScopeLogs) -> Value {
    let scope = logs
        .scope
        .as_ref()
        .map(|scope| json!({ "name": scope.name, "version": scope.version }));
    let records: Vec<Value> = logs.log_records.iter().map(log_record).collect();
    json!({ "scope": scope, "logRecords": records })
}

fn log_record(record: &LogRecord) -> Value {
    json!({
        "timeUnixNano": record.time_unix_nano.to_string(),
        "observedTimeUnixNano": record.observed_time_unix_nano.to_string(),
        "severityNumber": record.severity_number,
        "severityText": record.severity_text,
        "body": record.body.as_ref().map(any),
        "attributes": pairs(&record.attributes),
        "traceId": hex(&record.trace_id),
        "spanId": hex(&record.span_id),
        "eventName": record.event_name,
    })
}

fn pairs(pairs: &[KeyValue]) -> Value {
    let pairs = pairs.iter().map(|pair| {
        let value = pair.value.as_ref().map_or_else(|| json!({}), any);
        json!({ "key": pair.key, "value": value })
    });
    pairs.collect()
}

fn any(value: &AnyValue) -> Value {
    match &value.value {
        None => json!({}),
        Some(any_value::Value::Text(text)) => json!({ "stringValue": text }),
        Some(any_value::Value::Bool(bool)) => json!({ "boolValue": bool }),
        Some(any_value::Value::Int(int)) => json!({ "intValue": int.to_string() }),
        Some(any_value::Value::Double(double)) => json!({ "doubleValue": double }),
        Some(any_value::Value::Array(array)) => {
            let values: Vec<Value> = array.values.iter().map(any).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Some(any_value::Value::Map(map)) => {
            json!({ "kvlistValue": { "values": pairs(&map.values) } })
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

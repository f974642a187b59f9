//! Every kind of event in every format: against the published schema, and against parsers as strict as the standards.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

mod parse;
mod rsyslog;
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use bailiwick_export::{Format, OCSF_VERSION, Record, encode_line, encode_lines};
use parse::{cef, frames, syslog};
use proptest::prelude::*;
use serde_json::Value;

/// What plugins would like to slip in: ends of lines, fields, headers, structure, and what terminals obey.
const ATTACKS: &[&str] = &[
    "",
    "x\n<13>1 2026-01-01T00:00:00Z evil evil - - - forged",
    "x\r\nCEF:0|Evil|Evil|1|forged|forged|10|act=grant",
    "x\" ] [evil@1 index=\"0\"] \u{feff}forged",
    "x]\\\"] [origin software=\"evil\"]",
    "x|10|act=grant externalId=0 \\| \\=",
    "=a=b externalId=999 cs6={} \\",
    "\\",
    "\\\\",
    "\\n",
    "]",
    "\"",
    "|",
    "=",
    "\t",
    "\u{0}\u{1b}[2J\u{7f}\u{85}\u{2028}\u{2029}\u{202e}\u{feff}",
    "{\"class_uid\":1}",
    "\",\"class_uid\":1,\"x\":\"",
    "é🦀\u{10ffff}",
    "11 <13>1 forged",
];

fn line(format: Format, record: &Record) -> String {
    String::from_utf8(encode_line(format, record, "host")).expect("every format is UTF-8")
}

fn name(record: &Record) -> String {
    match record {
        Record::Entry(exported) => exported.entry.event.kind().to_owned(),
        Record::Marker(marker) => marker.kind.as_str().to_owned(),
    }
}

#[test]
fn the_samples_have_every_kind_that_the_schema_has() {
    let text = std::fs::read(bailiwick_testkit::repository().join("docs/audit-entry.schema.json"))
        .unwrap();
    let schema: Value = serde_json::from_slice(&text).unwrap();
    let mut kinds = BTreeSet::new();
    collect_kinds(&schema, &mut kinds);
    let sampled: BTreeSet<String> = samples::events("")
        .iter()
        .map(|event| event.kind().to_owned())
        .collect();
    assert!(sampled.len() > 30);
    assert_eq!(sampled, kinds);
}

fn collect_kinds(schema: &Value, kinds: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(kind) = members.get("kind").and_then(|kind| kind["const"].as_str()) {
                kinds.insert(kind.to_owned());
            }
            members
                .values()
                .for_each(|value| collect_kinds(value, kinds));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_kinds(item, kinds)),
        _ => {}
    }
}

/// The published schema of each class that we use, as JSON Schema.
fn ocsf_schemas(classes: &BTreeSet<u64>) -> BTreeMap<String, Value> {
    let script = "
import json, sys
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=sys.argv[1]))
name = schema.lookup_class_name_from_uid
print(json.dumps({u: schema.get_class_schema(name(int(u)), ['security_control']) for u in sys.argv[2:]}))
";
    let output = Command::new(bailiwick_testkit::real::python())
        .args(["-I", "-c", script, OCSF_VERSION])
        .args(classes.iter().map(u64::to_string))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}; hint: cargo xtask setup");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_event_is_one_of_the_published_ocsf_schema() {
    let events = |text: &str| -> Vec<(String, Value)> {
        let of = |record: &Record| {
            (
                name(record),
                serde_json::from_str(&line(Format::Ocsf, record)).unwrap(),
            )
        };
        samples::all(text).iter().map(of).collect()
    };
    let plain = events("text");
    let classes: BTreeSet<u64> = plain
        .iter()
        .map(|(_, event)| event["class_uid"].as_u64().unwrap())
        .collect();
    assert!(classes.len() >= 7, "{classes:?}");
    let schemas: BTreeMap<String, jsonschema::Validator> = ocsf_schemas(&classes)
        .into_iter()
        .map(|(class, schema)| (class, jsonschema::validator_for(&schema).unwrap()))
        .collect();
    for text in ATTACKS.iter().chain(&["text"]) {
        for (name, event) in events(text) {
            let schema = &schemas[&event["class_uid"].to_string()];
            let errors: Vec<_> = schema
                .iter_errors(&event)
                .map(|error| format!("{error} at {}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}\n{event:#}");
            assert_eq!(event["metadata"]["version"], OCSF_VERSION);
            let (class, activity) = (
                event["class_uid"].as_u64().unwrap(),
                event["activity_id"].as_u64().unwrap(),
            );
            assert_eq!(event["type_uid"], class * 100 + activity, "{name}");
            assert_eq!(event["category_uid"], class / 1000, "{name}");
            assert!(
                (1..=5).contains(&event["severity_id"].as_u64().unwrap()),
                "{name}"
            );
            assert!(
                activity != 99 || event["activity_name"].is_string(),
                "{name} does not say which other activity"
            );
        }
    }
    // The validator can fail.
    let (_, mut event) = plain[0].clone();
    let schema = &schemas[&event["class_uid"].to_string()];
    event["severity_id"] = 7.into();
    assert!(!schema.is_valid(&event));
}

#[test]
fn an_ocsf_event_holds_the_whole_entry_and_its_place_in_the_log() {
    for record in samples::all(ATTACKS[1]) {
        let event: Value = serde_json::from_str(&line(Format::Ocsf, &record)).unwrap();
        let Record::Entry(exported) = &record else {
            continue;
        };
        let unmapped = &event["unmapped"];
        assert_eq!(
            unmapped["entry"],
            serde_json::to_value(&exported.entry).unwrap()
        );
        assert_eq!(unmapped["index"], exported.index);
        assert_eq!(unmapped["leaf_hash"], exported.leaf);
        assert_eq!(event["metadata"]["sequence"], exported.index);
        assert_eq!(event["metadata"]["correlation_uid"], samples::TRACE);
    }
}

#[test]
fn a_refusal_is_denied_and_blocked_and_never_a_success() {
    for record in samples::all("x") {
        let Record::Entry(exported) = &record else {
            continue;
        };
        let event: Value = serde_json::from_str(&line(Format::Ocsf, &record)).unwrap();
        let denied = exported.entry.event.outcome() == Some(bailiwick_audit::Outcome::Deny);
        assert_eq!(
            event["action_id"] == 2 && event["disposition_id"] == 2,
            denied,
            "{}",
            name(&record)
        );
        assert!(!denied || event["status_id"] == 2);
    }
}

/// Whatever a plugin says, a line is a line, a record has the fields that it has, and each reads back.
fn survives(text: &str) {
    for record in samples::all(text) {
        for format in Format::ALL {
            let line = line(format, &record);
            let hidden = |c: char| {
                c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}' | '\u{85}')
            };
            assert!(!line.contains(hidden), "{format}: {line:?}");
        }
        let message = syslog(line(Format::Syslog, &record).as_bytes()).unwrap();
        let names: Vec<&str> = message.data.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(names, ["bailiwick@32473", "origin"]);
        let fields: BTreeMap<_, _> = message.data[0].1.iter().cloned().collect();
        assert_eq!(fields.len(), message.data[0].1.len(), "a name stands twice");
        assert_eq!(
            (message.host.as_str(), message.id.as_str()),
            ("host", name(&record).as_str())
        );
        assert_eq!(message.priority / 8, 13);
        let event = cef(&line(Format::Cef, &record)).unwrap();
        assert_eq!(
            event.head[..3],
            ["Bailiwick", "Bailiwick", env!("CARGO_PKG_VERSION")]
        );
        assert_eq!(event.head[3], name(&record));
        let Record::Entry(exported) = &record else {
            continue;
        };
        let whole = serde_json::to_value(&exported.entry).unwrap();
        assert_eq!(fields["index"], exported.index.to_string());
        assert_eq!(serde_json::from_str::<Value>(&message.text).unwrap(), whole);
        assert_eq!(event.fields["externalId"], exported.index.to_string());
        assert_eq!(
            serde_json::from_str::<Value>(&event.fields["cs6"]).unwrap(),
            whole
        );
        if !text.contains(|c: char| c.is_control() || !c.is_ascii()) && text.len() < 500 {
            assert_eq!(fields["plugin"], text);
            assert_eq!(event.fields["suser"], text.trim_end_matches('\0'));
        }
    }
}

#[test]
fn text_from_plugins_adds_no_line_no_field_and_no_header() {
    ATTACKS.iter().for_each(|text| survives(text));
}

#[test]
fn a_record_of_any_size_is_one_line() {
    survives(&"\u{85}\"]|=\\".repeat(2000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_text_reads_back(text in "[ -~]{0,40}|\\PC{0,20}|[\\x00-\\x1f\"\\\\\\]|=]{0,20}") {
        survives(&text);
    }
}

#[test]
fn otlp_has_ids_in_the_fields_that_are_made_for_them() {
    for record in samples::all("x") {
        let json: Value = serde_json::from_str(&line(Format::Otlp, &record)).unwrap();
        let log = &json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        let is_entry = matches!(record, Record::Entry(_));
        assert_eq!(log["traceId"] == samples::TRACE, is_entry);
        assert_eq!(log["spanId"] == samples::SPAN, is_entry);
        assert_eq!(log["timeUnixNano"], "1795446245678000000");
        assert_eq!(log["eventName"], format!("bailiwick.{}", name(&record)));
    }
}

#[test]
fn the_strict_parsers_refuse_what_is_none() {
    let good = line(Format::Syslog, &samples::all("x")[0]);
    assert!(syslog(good.as_bytes()).is_ok());
    for (from, to) in [
        ("<110>", "<300>"),
        ("1 2026", "2 2026"),
        ("=\"x\"", "=\"x\"]\""),
        ("][origin", "] [origin"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let parsed = syslog(bad.as_bytes());
        assert!(parsed.is_err() || parsed.unwrap().data.len() != 2, "{bad}");
    }
    let framed = format!("{} {good}", good.len());
    assert_eq!(frames(framed.repeat(2).as_bytes()).unwrap().len(), 2);
    assert!(frames(&framed.as_bytes()[1..]).is_err());
    let good = line(Format::Cef, &samples::all("x")[0]);
    assert!(cef(&good.replace("CEF:0", "CEF:7")).is_err());
    assert!(cef(&format!("{good}\nx")).is_err());
}

#[test]
fn lines_end_once() {
    let records = samples::all("x\ny");
    for format in Format::ALL {
        let text = String::from_utf8(encode_lines(format, &records, "host")).unwrap();
        assert_eq!(text.lines().count(), records.len(), "{format}");
    }
}

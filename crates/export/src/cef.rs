//! Lines of the Common Event Format, version 0 (ArcSight's "Implementing ArcSight Common Event Format", revision 25).

use crate::VERSION;
use crate::record::{Record, View};
use crate::text::{MAX_FIELD, json_line, nanoseconds, plain};

/// `CEF:0|vendor|product|version|event class|name|severity|extension`, on one line without its end.
pub(crate) fn line(record: &Record) -> String {
    let view = record.view();
    let head = [
        "Bailiwick",
        "Bailiwick",
        VERSION,
        view.kind,
        &view.kind.replace('_', " "),
        &view.severity.cef().to_string(),
    ];
    let head: Vec<String> = head.iter().map(|field| header(field)).collect();
    let extension: Vec<String> = extension(&view)
        .into_iter()
        .map(|(key, value)| format!("{key}={}", escaped(&value)))
        .collect();
    format!("CEF:0|{}|{}", head.join("|"), extension.join(" "))
}

fn extension(view: &View<'_>) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let mut put = |key, value: Option<&str>| {
        if let Some(value) = value {
            fields.push((key, plain(value, MAX_FIELD)));
        }
    };
    let milliseconds = nanoseconds(view.time).map(|time| (time / 1_000_000).to_string());
    put("rt", milliseconds.as_deref());
    put("deviceExternalId", Some(view.log));
    put("externalId", Some(&view.index.to_string()));
    put("cat", Some(view.kind));
    put("act", view.outcome.map(|outcome| outcome.as_str()));
    let subject = view.subject;
    put("suser", subject.and_then(|subject| subject.user.as_deref()));
    let labelled = [
        (
            "cs1Label",
            "cs1",
            "session",
            subject.and_then(|subject| subject.session.as_deref()),
        ),
        (
            "cs2Label",
            "cs2",
            "plugin",
            subject.and_then(|subject| subject.plugin.as_deref()),
        ),
        ("cs3Label", "cs3", "leafHash", view.leaf),
        (
            "cs4Label",
            "cs4",
            "agent",
            subject.and_then(|subject| subject.agent.as_deref()),
        ),
        (
            "cs5Label",
            "cs5",
            "trace",
            subject.and_then(|subject| subject.trace.as_deref()),
        ),
    ];
    for (label, key, name, value) in labelled {
        if value.is_some() {
            put(label, Some(name));
            put(key, value);
        }
    }
    put("cs6Label", Some("entry"));
    fields.push(("cs6", json_line(&view.whole)));
    fields.push(("msg", plain(&view.summary, MAX_FIELD)));
    fields
}

/// A header's field: `\` and `|` are escaped; there is no end of a line in what [`plain`] gives.
fn header(text: &str) -> String {
    plain(text, MAX_FIELD)
        .replace('\\', "\\\\")
        .replace('|', "\\|")
}

/// An extension's value: `\` and `=` are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=")
}

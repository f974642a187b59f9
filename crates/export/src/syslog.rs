//! Messages of RFC 5424, alone and in the octet-counting frames of RFC 6587.

use std::fmt::Write as _;

use crate::VERSION;
use crate::record::{Record, View};
use crate::text::{MAX_FIELD, json_line, nanoseconds, plain};

/// Facility 13, "log audit" (RFC 5424, table 1).
const FACILITY: u8 = 13;
/// Our structured data's name. 32473 is the number that RFC 5612 sets aside for examples: we have none of our own.
const SD_ID: &str = "bailiwick@32473";

/// A message whose text is the whole entry as JSON on one line.
pub(crate) fn message(record: &Record, host: &str, limit: usize) -> Vec<u8> {
    let view = record.view();
    let header = header(&view, host);
    let mut sd = structured_data(&view, false);
    let mut text = json_line(&view.whole);
    if header.len() + sd.len() + text.len() + 5 > limit {
        // The index and the leaf hash stay, so that the rest can be looked up in the log.
        sd = structured_data(&view, true);
        text = plain(&view.summary, MAX_FIELD);
    }
    // The text is UTF-8 and says so with its byte order mark (RFC 5424 §6.4).
    format!("{header} {sd} \u{feff}{text}").into_bytes()
}

/// A message whose text is a line of CEF. It has no byte order mark: receivers look for `CEF:` at its beginning.
pub(crate) fn around(record: &Record, host: &str, line: &str) -> Vec<u8> {
    let view = record.view();
    let header = header(&view, host);
    let sd = structured_data(&view, false);
    format!("{header} {sd} {line}").into_bytes()
}

/// `MSG-LEN SP SYSLOG-MSG` (RFC 6587 §3.4.1): a message can hold anything and ends where its length says.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let mut framed = format!("{} ", message.len()).into_bytes();
    framed.extend_from_slice(message);
    framed
}

fn header(view: &View<'_>, host: &str) -> String {
    let priority = FACILITY * 8 + view.severity.syslog();
    // The time comes from the log, which somebody may have changed: what is no time is not passed on as one.
    let time = if nanoseconds(view.time).is_some() {
        view.time
    } else {
        "-"
    };
    let (host, id) = (token(host, 255), token(view.kind, 32));
    format!("<{priority}>1 {time} {host} bailiwick - {id}")
}

/// What a field of the header may hold: printable ASCII without spaces, or `-` for nothing.
fn token(text: &str, max: usize) -> String {
    let token: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(max)
        .collect();
    if token.is_empty() {
        "-".to_owned()
    } else {
        token
    }
}

fn structured_data(view: &View<'_>, cut: bool) -> String {
    let index = view.index.to_string();
    let mut out = format!("[{SD_ID}");
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(out, " {name}=\"{}\"", param_value(&plain(value, MAX_FIELD)));
        }
    };
    put("log", Some(view.log));
    put("index", Some(&index));
    put("leaf", view.leaf);
    put("kind", Some(view.kind));
    put("outcome", view.outcome.map(|outcome| outcome.as_str()));
    if let Some(subject) = view.subject {
        put("session", subject.session.as_deref());
        put("plugin", subject.plugin.as_deref());
        put("user", subject.user.as_deref());
        put("agent", subject.agent.as_deref());
        put("trace", subject.trace.as_deref());
        put("span", subject.span.as_deref());
    }
    put("cut", cut.then_some("1"));
    let _ = write!(
        out,
        "][origin software=\"bailiwick\" swVersion=\"{VERSION}\"]"
    );
    out
}

/// `"`, `\` and `]` are the three characters that PARAM-VALUE escapes (RFC 5424 §6.3.3).
fn param_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

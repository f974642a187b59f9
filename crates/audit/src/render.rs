//! An entry on one line, for people. What plugins and clients said is data: it can neither leave its line nor hide.

use std::fmt::Write as _;

use crate::argument::Argument;
use crate::event::{Entry, Event};

/// Longest text of one field on a line, in characters; the log itself has all of it.
const MAX_FIELD: usize = 160;

/// Writes an entry on one line of printable characters: `#17 2026-11-23T15:04:05.678Z deny call_refused …`.
#[must_use]
pub fn render(index: u64, entry: &Entry) -> String {
    let mut line = format!("#{index} {} ", escape(&entry.time));
    if let Some(outcome) = entry.event.outcome() {
        line.push_str(outcome.as_str());
        line.push(' ');
    }
    line.push_str(entry.event.kind());
    let subject = &entry.subject;
    let named = [
        ("plugin", &subject.plugin),
        ("session", &subject.session),
        ("user", &subject.user),
        ("agent", &subject.agent),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={}", quote(value));
        }
    }
    for (name, value) in fields(&entry.event) {
        let _ = write!(line, " {name}={}", quote(&value));
    }
    line
}

fn fields(event: &Event) -> Vec<(&'static str, String)> {
    match event {
        Event::GateStart {
            version,
            policy_sha256,
            ..
        } => {
            vec![
                ("version", version.clone()),
                ("policy", policy_sha256.clone()),
            ]
        }
        Event::GateStop { reason }
        | Event::SessionEnd { reason }
        | Event::PluginRefused { reason }
        | Event::PluginCrash { reason } => vec![("reason", reason.clone())],
        Event::SessionStart { client, protocol } => {
            vec![("client", client.clone()), ("protocol", protocol.clone())]
        }
        Event::Request {
            version,
            required,
            optional,
        } => vec![
            ("version", version.clone()),
            ("required", required.join(", ")),
            ("optional", optional.join(", ")),
        ],
        Event::Decision { atoms, .. } => {
            let atom =
                |atom: &crate::AtomDecision| format!("{} {}", atom.outcome.as_str(), atom.asked);
            vec![(
                "atoms",
                atoms.iter().map(atom).collect::<Vec<_>>().join(", "),
            )]
        }
        Event::TokenMinted { id, expiry, grant } => {
            vec![
                ("id", id.clone()),
                ("expiry", expiry.clone()),
                ("grant", grant.join(", ")),
            ]
        }
        Event::TokenRefused { id, reason } => {
            vec![
                ("id", id.clone().unwrap_or_default()),
                ("reason", reason.clone()),
            ]
        }
        Event::TokenRevoked { id, reason } => vec![("id", id.clone()), ("reason", reason.clone())],
        Event::Approval {
            asked,
            approver,
            duration,
            ..
        } => {
            vec![
                ("asked", asked.join(", ")),
                ("approver", approver.clone()),
                ("duration", duration.clone()),
            ]
        }
        Event::Question {
            id,
            asked,
            state,
            by,
            reason,
        } => vec![
            ("state", state.as_str().to_owned()),
            ("asked", asked.join(", ")),
            ("by", by.clone().unwrap_or_default()),
            ("reason", reason.clone()),
            ("question", id.clone()),
        ],
        Event::PolicyChange {
            policy_sha256,
            loaded,
            reason,
        } => {
            vec![
                ("policy", policy_sha256.clone()),
                ("loaded", loaded.to_string()),
                ("reason", reason.clone()),
            ]
        }
        Event::PluginStart {
            wall,
            grant,
            program,
            arguments,
            ..
        } => {
            let mut fields = vec![("wall", wall.clone()), ("grant", grant.join(", "))];
            if let Some(program) = program {
                fields.push(("program", program.clone()));
                fields.push(("arguments", shown(arguments).join(" ")));
            }
            fields
        }
        Event::PluginEnd { status } => vec![("status", status.clone())],
        Event::ToolsListed { offered, withheld } => vec![
            ("offered", offered.join(", ")),
            (
                "withheld",
                withheld.keys().cloned().collect::<Vec<_>>().join(", "),
            ),
        ],
        other => call_fields(other),
    }
}

fn call_fields(event: &Event) -> Vec<(&'static str, String)> {
    match event {
        Event::ToolCall {
            call,
            tool,
            arguments,
        } => {
            let named = arguments.keys().zip(shown(arguments.values()));
            let named = named.map(|(name, shown)| format!("{name}={shown}"));
            let arguments = named.collect::<Vec<_>>().join(", ");
            vec![
                ("tool", tool.clone()),
                ("arguments", arguments),
                ("call", call.clone()),
            ]
        }
        Event::ToolResult {
            call,
            tool,
            bytes,
            is_error,
            millis,
            ..
        } => vec![
            ("tool", tool.clone()),
            ("is_error", is_error.to_string()),
            ("bytes", bytes.to_string()),
            ("ms", millis.to_string()),
            ("call", call.clone()),
        ],
        Event::CallRefused {
            call, tool, reason, ..
        } => {
            vec![
                ("tool", tool.clone()),
                ("reason", reason.clone()),
                ("call", call.clone()),
            ]
        }
        Event::OperationDenied {
            operation,
            target,
            reason,
            dropped,
        } => {
            let mut fields = vec![
                ("operation", operation.clone()),
                ("target", target.clone()),
                ("reason", reason.clone()),
            ];
            if *dropped > 0 {
                fields.push(("dropped", dropped.to_string()));
            }
            fields
        }
        Event::PreparationStart { step, wall, grant } => vec![
            ("step", step.clone()),
            ("wall", wall.clone()),
            ("grant", grant.join(", ")),
        ],
        Event::OperationAllowed {
            operation,
            target,
            granted,
        } => vec![
            ("operation", operation.clone()),
            ("target", target.clone()),
            ("granted", granted.clone()),
        ],
        Event::PreparationEnd { step, status } => {
            vec![("step", step.clone()), ("status", status.clone())]
        }
        Event::PackagePrepared {
            registry,
            package,
            version,
            integrity,
        } => {
            vec![
                ("package", format!("{registry}:{package}@{version}")),
                ("integrity", integrity.clone()),
            ]
        }
        Event::SecretStored {
            secret,
            to,
            places,
            keeper,
            replaced,
            ..
        } => vec![
            ("secret", secret.clone()),
            ("to", to.join(", ")),
            ("as", places.join(", ")),
            ("kept", keeper.clone()),
            ("replaced", replaced.to_string()),
        ],
        Event::SecretRemoved { secret } => vec![("secret", secret.clone())],
        Event::SecretUse {
            secret,
            destination,
        } => vec![
            ("secret", secret.clone()),
            ("destination", destination.clone()),
        ],
        Event::ToolChanged {
            tool,
            pinned,
            found,
        } => {
            vec![
                ("tool", tool.clone()),
                ("pinned", pinned.clone()),
                ("found", found.clone()),
            ]
        }
        other => own_fields(other),
    }
}

/// Arguments as far as they were kept.
fn shown<'a>(arguments: impl IntoIterator<Item = &'a Argument>) -> Vec<String> {
    let one = |argument: &Argument| match (&argument.value, &argument.sha256) {
        (Some(value), _) => value.clone(),
        (None, Some(digest)) => format!("sha256:{}", digest.get(..12).unwrap_or(digest)),
        (None, None) => "(not kept)".to_owned(),
    };
    arguments.into_iter().map(one).collect()
}

/// What concerns the gate's own keys and log.
fn own_fields(event: &Event) -> Vec<(&'static str, String)> {
    match event {
        Event::Tamper { what, detail } => vec![("what", what.clone()), ("detail", detail.clone())],
        Event::Recovery {
            kept,
            unsealed,
            cut_bytes,
            ..
        } => vec![
            ("kept", kept.to_string()),
            ("unsealed", unsealed.to_string()),
            ("cut_bytes", cut_bytes.to_string()),
        ],
        Event::KeyChange { key, action, id } => vec![
            ("key", key.clone()),
            ("action", action.clone()),
            ("id", id.clone()),
        ],
        Event::Erasure {
            of,
            by,
            reason,
            entries,
            values,
        } => vec![
            ("of", of.clone()),
            ("by", by.clone().unwrap_or_default()),
            ("reason", reason.clone()),
            ("entries", entries.to_string()),
            ("values", values.to_string()),
        ],
        Event::Archived { entries, root, to } => vec![
            ("entries", entries.to_string()),
            ("root", root.clone()),
            ("to", to.clone()),
        ],
        Event::Pruned { entries, root } => {
            vec![("entries", entries.to_string()), ("root", root.clone())]
        }
        _ => Vec::new(),
    }
}

/// Plain where that is unmistakable, else in quotes.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+".contains(c);
    if !text.is_empty() && text.chars().count() <= MAX_FIELD && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX_FIELD).collect();
    let cut = short.len() < text.len();
    short = escape(&short);
    format!("\"{short}\"{}", if cut { "…" } else { "" })
}

/// Replaces every character that could end the line, move the cursor, change direction or be invisible by an escape
/// that is read back unmistakably: backslash and quote are escaped as well.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_deceptive(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// Controls, and format characters that reorder or hide text (Unicode category Cf and neighbours).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}' | '\u{1160}'
                | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
                | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Subject;
    use proptest::prelude::*;

    fn denied(target: &str) -> Entry {
        let event = Event::OperationDenied {
            operation: "read_files".into(),
            target: target.into(),
            reason: "not granted".into(),
            dropped: 0,
        };
        let subject = Subject::session("s1").with_plugin("notes", "sha256:00");
        Entry {
            v: 1,
            time: "2026-11-23T15:04:05.678Z".into(),
            subject,
            event,
        }
    }

    #[test]
    fn an_entry_reads_well() {
        assert_eq!(
            render(17, &denied("/etc/shadow")),
            "#17 2026-11-23T15:04:05.678Z deny operation_denied plugin=notes session=s1 operation=read_files \
             target=/etc/shadow reason=\"not granted\""
        );
    }

    #[test]
    fn text_from_plugins_cannot_leave_its_line_or_hide() {
        let line = render(
            0,
            &denied("a\n#18 forged\r\x1b[2K\u{202e}txt\u{200b}\u{e0041}\u{9b}\" b=\"c"),
        );
        assert!(
            line.contains(r#"a\n#18 forged\r\u{1b}[2K\u{202e}txt\u{200b}\u{e0041}\u{9b}\" b=\"c"#),
            "{line}"
        );
    }

    #[test]
    fn long_fields_are_shortened() {
        let line = render(0, &denied(&"é".repeat(10_000)));
        assert!(line.chars().count() < 400 && line.contains("\"…"), "{line}");
    }

    proptest! {
        #[test]
        fn a_line_is_always_one_line_of_harmless_characters(target in any::<String>()) {
            let line = render(0, &denied(&target));
            prop_assert!(!line.chars().any(is_deceptive), "{line:?}");
        }

        #[test]
        fn escapes_are_unmistakable(a in any::<String>(), b in any::<String>()) {
            prop_assert!(a == b || escape(&a) != escape(&b));
        }
    }
}

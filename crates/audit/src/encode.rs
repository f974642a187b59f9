//! Entry to bytes, within what a bundle can carry.

use bailiwick_tlog::MAX_ENTRY_BYTES;
use serde_json::Value;

use crate::argument::sha256_hex;
use crate::error::AuditError;
use crate::event::Entry;

/// Longest strings kept whole when an entry is too large, tried in turn. The last is still above every digest, id and
/// time that we write ourselves.
const STRING_LIMITS: [usize; 3] = [8192, 1024, 256];
/// How much of a long string stays readable.
const HEAD_BYTES: usize = 64;

/// The bytes of the leaf. An entry above the limit keeps its form, but its long strings give way to their beginning,
/// length and SHA-256: a plugin must not be able to avoid the log by making what it does too long to write down.
///
/// # Errors
/// [`AuditError::EntryTooLarge`] when many short parts add up to too much; the act that it records must not happen.
pub(crate) fn encode(entry: &Entry) -> Result<Vec<u8>, AuditError> {
    let bytes = serde_json::to_vec(entry).map_err(AuditError::encode)?;
    if bytes.len() <= MAX_ENTRY_BYTES {
        return Ok(bytes);
    }
    let mut value = serde_json::to_value(entry).map_err(AuditError::encode)?;
    for limit in STRING_LIMITS {
        shorten(&mut value, limit);
        // Through the type again, so that the order of fields is always the same.
        let short: Entry = serde_json::from_value(value.clone()).map_err(AuditError::encode)?;
        let bytes = serde_json::to_vec(&short).map_err(AuditError::encode)?;
        if bytes.len() <= MAX_ENTRY_BYTES {
            return Ok(bytes);
        }
    }
    Err(AuditError::EntryTooLarge {
        kind: entry.event.kind(),
        bytes: bytes.len(),
    })
}

fn shorten(value: &mut Value, limit: usize) {
    match value {
        Value::String(text) if text.len() > limit => *text = stand_in(text),
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, limit)),
        Value::Object(members) => {
            let long: Vec<_> = members
                .keys()
                .filter(|name| name.len() > limit)
                .cloned()
                .collect();
            for name in long {
                if let Some(item) = members.remove(&name) {
                    members.insert(stand_in(&name), item);
                }
            }
            members.values_mut().for_each(|item| shorten(item, limit));
        }
        _ => {}
    }
}

fn stand_in(text: &str) -> String {
    let mut head = HEAD_BYTES.min(text.len());
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let (start, _) = text.split_at(head);
    format!(
        "{start}… [{} bytes, sha256:{}]",
        text.len(),
        sha256_hex(text.as_bytes())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Subject};

    fn denied(target: String) -> Entry {
        let event = Event::OperationDenied {
            operation: "read_files".into(),
            target,
            reason: "not granted".into(),
            dropped: 0,
        };
        Entry {
            v: 1,
            time: "2026-11-23T15:04:05.678Z".into(),
            subject: Subject::session("s"),
            event,
        }
    }

    #[test]
    fn short_entries_are_kept_as_they_are() {
        let entry = denied("/etc/shadow".into());
        let bytes = encode(&entry).expect("short");
        assert_eq!(
            serde_json::from_slice::<Entry>(&bytes).expect("an entry"),
            entry
        );
    }

    #[test]
    fn a_giant_string_gives_way_to_its_digest_and_the_entry_is_still_one() {
        let giant = "é".repeat(100_000);
        let bytes = encode(&denied(giant.clone())).expect("shortened");
        assert!(bytes.len() < 1024);
        let entry: Entry = serde_json::from_slice(&bytes).expect("still an entry");
        let Event::OperationDenied { target, reason, .. } = entry.event else {
            panic!("other kind")
        };
        assert_eq!(reason, "not granted");
        assert!(
            target.starts_with('é') && target.contains("[200000 bytes, sha256:"),
            "{target}"
        );
        assert!(target.contains(&sha256_hex(giant.as_bytes())));
    }

    #[test]
    fn a_giant_argument_name_gives_way_too() {
        let mut arguments = std::collections::BTreeMap::new();
        let rule = crate::Redaction::default();
        arguments.extend(rule.apply("t", &serde_json::json!({ ("n".repeat(70_000)): 1 })));
        let mut entry = denied(String::new());
        entry.event = Event::ToolCall {
            call: "1".into(),
            tool: "t".into(),
            arguments,
        };
        assert!(encode(&entry).expect("shortened").len() < 1024);
    }

    #[test]
    fn too_many_small_parts_are_refused() {
        let mut entry = denied(String::new());
        let required = vec!["read_files:/some/where/".to_owned(); 10_000];
        entry.event = Event::Request {
            version: "1".into(),
            required,
            optional: vec![],
        };
        assert!(matches!(
            encode(&entry),
            Err(AuditError::EntryTooLarge {
                kind: "request",
                ..
            })
        ));
    }

    #[test]
    fn an_entry_of_exactly_the_limit_is_not_shortened() {
        let empty = encode(&denied(String::new())).expect("short").len();
        let full = encode(&denied("x".repeat(MAX_ENTRY_BYTES - empty))).expect("fits");
        assert_eq!(full.len(), MAX_ENTRY_BYTES);
        assert!(
            encode(&denied("x".repeat(MAX_ENTRY_BYTES - empty + 1)))
                .expect("shortened")
                .len()
                < 1024
        );
    }
}

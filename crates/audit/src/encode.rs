//! Entry to bytes, within what a bundle can carry.

use bailiwick_tlog::MAX_ENTRY_BYTES;
use serde_json::Value;

use crate::argument::sha256_hex;
use crate::error::AuditError;
use crate::event::Entry;
use crate::openings::Opening;
use crate::seal::seal;

/// Longest strings kept whole when an entry is too large, tried in turn. The last is still above every digest, id and
/// time that we write ourselves.
const STRING_LIMITS: [usize; 3] = [8192, 1024, 256];
/// How much of a long string stays readable.
const HEAD_BYTES: usize = 64;

/// The bytes of the leaf, with what is personal sealed, and what opens it. An entry above the limit keeps its form, but
/// its long strings give way to their beginning, length and SHA-256, which are then sealed as they would have been: a
/// plugin must not be able to avoid the log by making what it does too long to write down.
///
/// # Errors
/// [`AuditError::EntryTooLarge`] when many short parts add up to too much; the act that it records must not happen.
pub(crate) fn encode(entry: &Entry, persons: &[String]) -> Result<Encoded, AuditError> {
    let whole = sealed(entry.clone(), persons)?;
    if whole.fits() {
        return Ok(whole);
    }
    let mut bytes = whole.bytes();
    let mut value = serde_json::to_value(entry).map_err(AuditError::encode)?;
    for limit in STRING_LIMITS {
        shorten(&mut value, limit);
        // Through the type again, so that the order of fields is always the same.
        let short: Entry = serde_json::from_value(value.clone()).map_err(AuditError::encode)?;
        let short = sealed(short, persons)?;
        if short.fits() {
            return Ok(short);
        }
        bytes = short.bytes();
    }
    Err(AuditError::EntryTooLarge {
        kind: entry.event.kind(),
        bytes,
    })
}

/// An entry as it is written.
pub(crate) struct Encoded {
    entry: Entry,
    /// The bytes of the leaf.
    pub(crate) json: Vec<u8>,
    /// What opens its sealed strings.
    pub(crate) openings: Vec<Opening>,
}

impl Encoded {
    /// The same with another time, as long as the one before.
    ///
    /// # Errors
    /// As [`encode`].
    pub(crate) fn at(mut self, time: String) -> Result<Self, AuditError> {
        self.entry.time = time;
        self.json = serde_json::to_vec(&self.entry).map_err(AuditError::encode)?;
        Ok(self)
    }

    /// Whichever is larger, the leaf or what it hides: neither may grow without bound.
    fn bytes(&self) -> usize {
        let hidden = self.openings.iter().map(|opening| opening.value().len());
        self.json.len().max(hidden.sum())
    }

    fn fits(&self) -> bool {
        self.bytes() <= MAX_ENTRY_BYTES
    }
}

fn sealed(mut entry: Entry, persons: &[String]) -> Result<Encoded, AuditError> {
    let openings = seal(&mut entry, persons)?;
    let json = serde_json::to_vec(&entry).map_err(AuditError::encode)?;
    Ok(Encoded {
        entry,
        json,
        openings,
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
    use crate::Subject;
    use crate::event::Event;

    fn denied(target: String) -> Entry {
        let event = Event::OperationDenied {
            operation: "read_files".into(),
            target,
            reason: "not granted".into(),
            dropped: 0,
        };
        Entry {
            v: crate::ENTRY_VERSION,
            time: "2026-11-23T15:04:05.678Z".into(),
            subject: Subject::session("s"),
            event,
        }
    }

    /// What somebody with the openings reads.
    fn written(entry: &Entry) -> (usize, Entry) {
        let encoded = encode(entry, &[]).expect("fits");
        let mut read = serde_json::from_slice(&encoded.json).expect("an entry");
        crate::seal::open(&mut read, &encoded.openings);
        (encoded.json.len(), read)
    }

    fn refused(reason: String) -> Entry {
        let mut entry = denied(String::new());
        entry.event = Event::PluginRefused { reason };
        entry
    }

    #[test]
    fn another_time_changes_nothing_else() {
        let entry = denied("/etc/shadow".into());
        let encoded = encode(&entry, &[]).expect("short");
        let later = encoded
            .at("2026-11-23T15:04:05.679Z".to_owned())
            .expect("short");
        let mut read: Entry = serde_json::from_slice(&later.json).expect("an entry");
        crate::seal::open(&mut read, &later.openings);
        assert_eq!(read.time, "2026-11-23T15:04:05.679Z");
        assert_eq!(
            Entry {
                time: entry.time.clone(),
                ..read
            },
            entry
        );
    }

    #[test]
    fn short_entries_are_kept_as_they_are() {
        let entry = denied("/etc/shadow".into());
        assert_eq!(written(&entry).1, entry);
    }

    #[test]
    fn a_giant_string_gives_way_to_its_digest_and_the_entry_is_still_one() {
        let giant = "é".repeat(100_000);
        let (bytes, entry) = written(&denied(giant.clone()));
        assert!(bytes < 1024);
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
    fn what_a_giant_string_gave_way_to_is_sealed_as_it_would_have_been() {
        let giant = "é".repeat(100_000);
        let Encoded { json, openings, .. } = encode(&denied(giant.clone()), &[]).expect("fits");
        let json = String::from_utf8(json).expect("text");
        assert!(!json.contains(&sha256_hex(giant.as_bytes())) && !json.contains("éé"));
        assert_eq!(openings.len(), 1);
        assert!(openings[0].value().len() < 1024);
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
        assert!(written(&entry).0 < 1024);
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
            encode(&entry, &[]),
            Err(AuditError::EntryTooLarge {
                kind: "request",
                ..
            })
        ));
    }

    #[test]
    fn an_entry_of_exactly_the_limit_is_not_shortened() {
        let empty = written(&refused(String::new())).0;
        let full = refused("x".repeat(MAX_ENTRY_BYTES - empty));
        assert_eq!(written(&full), (MAX_ENTRY_BYTES, full));
        let over = refused("x".repeat(MAX_ENTRY_BYTES - empty + 1));
        assert!(written(&over).0 < 1024);
    }
}

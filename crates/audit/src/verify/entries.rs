//! Whether what was signed are entries at all: JSON of a version and a kind that this program reads.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::event::{ENTRY_VERSION, Entry, Event};

/// As many are named; the rest are counted.
const MAX_NAMED: usize = 100;

/// Looks at every entry once. Only the signer can have written what is no entry; but then nobody can read it, and a
/// log that cannot be read proves nothing.
#[derive(Debug, Default)]
pub(crate) struct EntryCheck {
    /// Kinds of which one entry was read in full. The others of a kind are read for their form only, which is
    /// several times faster.
    kinds: Vec<String>,
    /// Index, and what is wrong.
    pub(crate) malformed: Vec<(u64, String)>,
    pub(crate) more: u64,
    /// Bytes of all entries.
    pub(crate) bytes: u64,
    /// How many entries from the first may be gone, since an entry says that they were pruned.
    pub(crate) pruned: u64,
}

/// Entries of this kind are read in full, each of them.
const PRUNED: &str = "pruned";

/// What every version has, borrowed from the entry: no allocation for the usual one.
#[derive(Deserialize)]
struct Shape<'a> {
    v: u32,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(default, rename = "subject")]
    _subject: Option<IgnoredAny>,
    #[serde(borrow)]
    event: Kind<'a>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

impl EntryCheck {
    pub(crate) fn entry(&mut self, index: u64, entry: &[u8]) {
        self.bytes = self.bytes.saturating_add(entry.len() as u64);
        if let Err(why) = self.read(entry) {
            if self.malformed.len() < MAX_NAMED {
                self.malformed.push((index, why));
            } else {
                self.more = self.more.saturating_add(1);
            }
        }
    }

    fn read(&mut self, entry: &[u8]) -> Result<(), String> {
        let shape: Shape<'_> = serde_json::from_slice(entry).map_err(|error| error.to_string())?;
        if shape.v == 0 || shape.v > ENTRY_VERSION {
            return Err(format!(
                "its version is {}, and this program reads 1 to {ENTRY_VERSION}",
                shape.v
            ));
        }
        if !is_time(shape.time.as_bytes()) {
            return Err("its time is none".to_owned());
        }
        let kind = shape.event.kind.as_ref();
        let known = self.kinds.iter().any(|known| known == kind);
        if kind == PRUNED || !known {
            let read: Entry = serde_json::from_slice(entry).map_err(|error| error.to_string())?;
            if let Event::Pruned { entries, .. } = read.event {
                self.pruned = self.pruned.max(entries);
            }
            if !known {
                self.kinds.push(kind.to_owned());
            }
        }
        Ok(())
    }
}

/// RFC 3339 in UTC, as [`crate::format_time`] writes it; a finer fraction is let through.
fn is_time(text: &[u8]) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let Some((start, end)) = text.split_at_checked(FORM.len()) else {
        return false;
    };
    let fits = start.iter().zip(FORM).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    });
    let digits = match end {
        [b'Z'] => return fits,
        [b'.', digits @ .., b'Z'] => digits,
        _ => return false,
    };
    fits && !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(entry: &str) -> Option<String> {
        let mut check = EntryCheck::default();
        check.entry(7, entry.as_bytes());
        check.malformed.pop().map(|(index, why)| {
            assert_eq!(index, 7);
            why
        })
    }

    #[test]
    fn entries_pass_and_what_only_looks_like_one_does_not() {
        let time = "2026-11-23T15:04:05.678Z";
        let good = format!(
            r#"{{"v":1,"time":"{time}","subject":{{}},"event":{{"kind":"gate_stop","reason":"x"}}}}"#
        );
        assert_eq!(why(&good), None);
        for bad in [
            "",
            "{}",
            "[]",
            "null",
            "not JSON",
            &good.replace("\"v\":1", "\"v\":0"),
            &good.replace("\"v\":1", "\"v\":4000000000"),
            &good.replace("\"v\":1", "\"v\":1,\"v\":1"),
            &good.replace(time, "yesterday"),
            &good.replace(time, "2026-11-23 15:04:05.678Z"),
            &good.replace(time, "2026-11-23T15:04:05.678"),
            &good.replace("gate_stop", "no_such_kind"),
            &good.replace("\"reason\"", "\"raisin\""),
            &good.replace("}}", "}"),
            &format!("{good}{good}"),
            &good.replace('x', "\u{1}"),
        ] {
            assert!(why(bad).is_some(), "{bad}");
        }
        let invalid_text = good.replace('x', "@").into_bytes();
        let at = invalid_text.iter().position(|byte| *byte == b'@');
        let mut invalid_text = invalid_text;
        invalid_text[at.expect("there")] = 0xff;
        let mut check = EntryCheck::default();
        check.entry(0, &invalid_text);
        assert_eq!(check.malformed.len(), 1);
    }

    #[test]
    fn many_bad_entries_are_counted_not_kept() {
        let mut check = EntryCheck::default();
        for index in 0..1000 {
            check.entry(index, b"{}");
        }
        assert_eq!((check.malformed.len(), check.more), (100, 900));
        assert_eq!(check.bytes, 2000);
    }
}

//! Text of plugins and clients made harmless, before any format adds its own escapes.

use std::fmt::Write as _;

use bailiwick_audit::escape;
use serde_json::Value;

/// Longest value of one field beside the whole entry, in characters.
pub(crate) const MAX_FIELD: usize = 512;

/// One line of at most `max` characters. What ends a line, steers a terminal, reorders or hides is written as an
/// escape; what is cut ends in `…`. Backslashes and quotes stay: each format escapes its own.
pub(crate) fn plain(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for (count, c) in text.chars().enumerate() {
        if count == max {
            out.push('…');
            break;
        }
        if matches!(c, ' '..='~') {
            out.push(c);
        } else {
            out.push_str(&escape(c.encode_utf8(&mut [0; 4])));
        }
    }
    out
}

/// JSON on one line, in which everything that a reader could take for the end of a line, or not see, is a `\u` escape.
/// A parser of JSON gets back exactly what went in.
pub(crate) fn json_line(value: &Value) -> String {
    let text = value.to_string();
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Outside strings JSON is ASCII, and there serde_json writes nothing but printable characters.
        let harmless = matches!(c, ' '..='~') || {
            let mut buffer = [0; 4];
            let c: &str = c.encode_utf8(&mut buffer);
            escape(c) == c
        };
        if harmless {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// A span of time since 1970 in nanoseconds, from RFC 3339; `None` where it is no such time.
pub(crate) fn nanoseconds(time: &str) -> Option<u64> {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let parsed = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    u64::try_from(parsed.unix_timestamp_nanos()).ok()
}

/// The bytes of a W3C trace or span id: `N` bytes as lower-case hexadecimal digits, not all zero.
pub(crate) fn hex_id<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (bytes != [0; N]).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_line_of_json_reads_back_as_what_went_in(text in any::<String>(), name in any::<String>()) {
            let value = serde_json::json!({ name: text });
            let line = json_line(&value);
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
            let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}');
            prop_assert!(!line.chars().any(hidden));
        }

        #[test]
        fn a_field_is_one_bounded_line(text in any::<String>()) {
            let plain = plain(&text, 40);
            prop_assert!(!plain.chars().any(char::is_control));
            prop_assert!(plain.chars().count() <= 40 * 10 + 1);
        }
    }

    #[test]
    fn ids_that_are_not_of_w3c_are_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(hex_id::<16>(id).is_some());
        let zero = "0".repeat(32);
        for wrong in [
            zero.as_str(),
            &id.to_uppercase(),
            &id[1..],
            "+bf92f3577b34da6a3ce929d0e0e4736",
        ] {
            assert!(hex_id::<16>(wrong).is_none(), "{wrong}");
        }
    }
}

//! URL path prefixes, normalised once (RFC 3986 §6.2.2).

use std::fmt;

use crate::CapabilityError;

/// Longest URL path, in bytes.
const MAX_PATH: usize = 2048;

/// A URL path, percent-decoded. As a scope `/v1/` covers what lies below it, `/v1` also itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UrlPath(String);

impl UrlPath {
    /// Reads and decodes a path.
    ///
    /// # Errors
    /// What servers read in more than one way: dot segments (also as `..;x`), empty segments, back-slashes,
    /// encoded slashes, percent signs and control characters, query and fragment.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        let refuse = |why: &str| {
            Err(CapabilityError::new(
                format!("the URL path `{}` {why}", text.escape_debug()),
                "write a plain path prefix such as `/v1/items/`",
            ))
        };
        if !text.starts_with('/') || text.len() > MAX_PATH {
            return refuse("does not start with `/` or is too long");
        }
        if text.contains(['?', '#', '\\', '*', ' ']) {
            return refuse("holds `?`, `#`, `*`, a space or a back-slash");
        }
        let Some(decoded) = decode(text) else {
            return refuse("has a percent-encoding that servers read in more than one way");
        };
        let inner = decoded.strip_prefix('/').unwrap_or(&decoded);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let ambiguous = |segment: &str| {
            let bare = segment.split(';').next().unwrap_or(segment);
            segment.is_empty() || bare == "." || bare == ".."
        };
        if decoded != "/" && inner.split('/').any(ambiguous) {
            return refuse("holds an empty, `.` or `..` segment");
        }
        Ok(Self(decoded))
    }

    /// The decoded path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        other
            .0
            .strip_prefix(&self.0)
            .is_some_and(|rest| rest.is_empty() || self.0.ends_with('/') || rest.starts_with('/'))
    }
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let hex = |b: u8| {
                char::from(b)
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
            };
            let value = hex(bytes.next()?)? * 16 + hex(bytes.next()?)?;
            if matches!(value, b'/' | b'\\' | b'%') {
                return None;
            }
            value
        } else {
            byte
        };
        out.push(byte);
    }
    String::from_utf8(out)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
}

impl fmt::Display for UrlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"/-._~!$&'()+,;=:@".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

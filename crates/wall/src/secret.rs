//! A secret that a plugin may use and never sees: its value, and where alone it may go.

use std::fmt;
use std::str::FromStr;

use bailiwick_capability::NetScope;
use zeroize::Zeroizing;

/// Longest secret, in bytes.
pub const MAX_SECRET: usize = 64 << 10;

/// A secret's value. It cannot be printed, compared or serialised (L35), and is wiped when dropped.
#[derive(Clone)]
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes over the bytes.
    ///
    /// # Errors
    /// A sentence, where it is empty, longer than [`MAX_SECRET`], or holds a control character: none of
    /// those can stand in a header.
    pub fn new(bytes: Vec<u8>) -> Result<Self, &'static str> {
        let bytes = Zeroizing::new(bytes);
        if bytes.is_empty() || bytes.len() > MAX_SECRET {
            return Err("a secret has 1 to 65536 bytes");
        }
        if bytes.iter().any(u8::is_ascii_control) {
            return Err("a secret holds no control characters, such as an end of line");
        }
        Ok(Self(bytes))
    }

    /// The bytes, for the one place where they leave.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where in a request a secret may stand in for its placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A header, by lower-case name; the placeholder may be a part of its value (`Bearer …`).
    Header(String),
    /// The user name or the password of `Authorization: Basic` (RFC 7617).
    Basic,
    /// The whole value of one parameter of the query.
    Query(String),
    /// The whole value of one top-level field of a JSON or form body.
    Field(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Basic => f.write_str("basic"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Field(name) => write!(f, "field:{name}"),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let token = |name: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            (1..=64).contains(&name.len()) && name.bytes().all(plain)
        };
        let place = match text.split_once(':') {
            None if text == "basic" => Some(Self::Basic),
            Some(("header", name)) if token(name) => Some(Self::Header(name.to_ascii_lowercase())),
            Some(("query", name)) if token(name) => Some(Self::Query(name.to_owned())),
            Some(("field", name)) if token(name) => Some(Self::Field(name.to_owned())),
            _ => None,
        };
        place.ok_or_else(|| {
            format!(
                "`{}` is no place of a request: write `header:NAME`, `basic`, `query:NAME` or `field:NAME`",
                text.escape_debug()
            )
        })
    }
}

/// Where a secret may go, and how the plugin finds its placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The only destinations; `https` ones, or `http` to a loopback address.
    pub to: Vec<NetScope>,
    /// The only places in a request.
    pub places: Vec<Place>,
    /// The environment variable that holds the placeholder.
    pub variable: String,
}

/// A secret as the broker uses it.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Its name, as in `use_secret:NAME`.
    pub name: String,
    /// What the plugin holds in its place: unguessable, new for every start.
    pub placeholder: String,
    /// The value.
    pub value: SecretValue,
    /// Where it may go.
    pub binding: Binding,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l35_a_secret_is_never_printed() {
        let value = SecretValue::new(b"hunter2".to_vec()).unwrap();
        assert!(!format!("{value:?}").contains("hunter2"));
        for bad in [b"".to_vec(), b"a\nb".to_vec(), vec![b'a'; MAX_SECRET + 1]] {
            assert!(SecretValue::new(bad).is_err());
        }
    }

    #[test]
    fn places_print_as_they_are_written() {
        for text in [
            "header:x-api-key",
            "basic",
            "query:key",
            "field:client_secret",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        assert_eq!(
            "header:Authorization".parse(),
            Ok(Place::Header("authorization".to_owned()))
        );
        for bad in [
            "",
            "header:",
            "header:a b",
            "cookie:x",
            "basic:x",
            "query:a&b",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}

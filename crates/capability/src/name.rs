//! Names: of variables, secrets, log streams, tools and models.

use std::fmt;

use crate::{CapabilityError, Kind};

/// Longest name, in bytes.
const MAX_NAME: usize = 128;

/// A name of 1 to 128 letters, digits and `_ . - / :`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name, or every name that starts with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameScope {
    /// This name.
    Exact(Name),
    /// Every name that starts so, and is not empty after it or is.
    Prefix(Name),
}

impl NameScope {
    /// Reads `NAME`, or `PREFIX*` where `kind` knows prefixes.
    ///
    /// # Errors
    /// Other characters; a lone star; a prefix of secrets, which are only ever named exactly.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, CapabilityError> {
        let unsuitable = || CapabilityError::unsuitable(kind, &text.escape_debug().to_string());
        let (stem, is_prefix) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        let exact_only = matches!(kind, Kind::UseSecret | Kind::UseModel);
        if !(1..=MAX_NAME).contains(&stem.len()) || (is_prefix && exact_only) {
            return Err(unsuitable());
        }
        let allowed: &[u8] = if kind == Kind::ReadEnvironment {
            b"_"
        } else {
            b"_.-/:"
        };
        if !stem
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || allowed.contains(&b))
        {
            return Err(unsuitable());
        }
        if kind == Kind::ReadEnvironment && stem.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(unsuitable());
        }
        let name = Name(stem.to_owned());
        Ok(if is_prefix {
            Self::Prefix(name)
        } else {
            Self::Exact(name)
        })
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Exact(_), Self::Prefix(_)) => false,
            (Self::Prefix(a), Self::Exact(b) | Self::Prefix(b)) => b.0.starts_with(&a.0),
        }
    }
}

impl fmt::Display for NameScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{}", name.0),
            Self::Prefix(name) => write!(f, "{}*", name.0),
        }
    }
}

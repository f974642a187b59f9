//! Absolute paths, and the two file scopes that a kernel can hold: a file and a subtree.

use std::fmt;

use crate::CapabilityError;

/// Longest path, in bytes: Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// A normalised absolute path: no empty, `.` or `..` segment, no trailing slash but the root's,
/// no control character. Whether links were resolved is the caller's business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsPath(String);

impl AbsPath {
    /// Reads a path as a person writes it in a scope.
    ///
    /// # Errors
    /// Relative paths, `.` and `..`, globs, control characters and over-long paths.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        if text.contains(['*', '?']) {
            return Err(CapabilityError::new(
                format!("`{text}` is a glob"),
                "name a file, or a whole subtree by a trailing `/`; no other pattern can be enforced",
            ));
        }
        if text.contains(" except ") {
            return Err(CapabilityError::new(
                format!("`{text}` holds the reserved word ` except `"),
                "rename the directory, or grant its parent",
            ));
        }
        Self::exactly(text)
    }

    /// Takes a path that the file system gave; globs are ordinary characters there.
    ///
    /// # Errors
    /// As [`AbsPath::parse`], but for globs.
    pub fn exactly(text: &str) -> Result<Self, CapabilityError> {
        let refuse = |why: &str, help: &str| {
            Err(CapabilityError::new(
                format!("the path `{}` {why}", text.escape_debug()),
                help,
            ))
        };
        if text.len() > MAX_PATH {
            return refuse("is longer than 4096 bytes", "grant a directory further up");
        }
        if text.chars().any(char::is_control) {
            return refuse("holds a control character", "remove it");
        }
        if !text.starts_with('/') {
            return refuse(
                "is relative",
                "write it from the root, such as `/data/docs/`",
            );
        }
        let mut clean = String::with_capacity(text.len());
        for segment in text.split('/').filter(|segment| !segment.is_empty()) {
            if segment == "." || segment == ".." {
                return refuse("holds `.` or `..`", "write the path without them");
            }
            clean.push('/');
            clean.push_str(segment);
        }
        if clean.is_empty() {
            clean.push('/');
        }
        Ok(Self(clean))
    }

    /// The path, without a trailing slash but the root's.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parent; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.rfind('/')?;
        let parent = self.0.get(..cut.max(1))?;
        (self.0.len() > 1).then(|| Self(parent.to_owned()))
    }

    /// Whether `self` lies at or below `tree`, segment by segment.
    #[must_use]
    pub fn is_within(&self, tree: &Self) -> bool {
        tree.0 == "/"
            || self
                .0
                .strip_prefix(&tree.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One file, or a directory with all that is below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathScope {
    /// Exactly this path.
    File(AbsPath),
    /// This directory and everything below it.
    Tree(AbsPath),
}

impl PathScope {
    /// Reads `/a/file`, `/a/tree/` or `/a/tree/**`.
    ///
    /// # Errors
    /// As [`AbsPath::parse`].
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        let stem = text
            .strip_suffix("**")
            .filter(|stem| stem.ends_with('/'))
            .unwrap_or(text);
        let path = AbsPath::parse(stem)?;
        Ok(if stem.ends_with('/') {
            Self::Tree(path)
        } else {
            Self::File(path)
        })
    }

    /// The path itself.
    #[must_use]
    pub fn path(&self) -> &AbsPath {
        match self {
            Self::File(path) | Self::Tree(path) => path,
        }
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => a == b,
            (Self::File(_), Self::Tree(_)) => false,
            (Self::Tree(a), Self::File(b) | Self::Tree(b)) => b.is_within(a),
        }
    }
}

impl fmt::Display for PathScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{path}"),
            Self::Tree(path) if path.as_str() == "/" => write!(f, "/"),
            Self::Tree(path) => write!(f, "{path}/"),
        }
    }
}

//! Why a text is not a capability, and how to mend it.

use crate::Kind;

/// Why a text is not a capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CapabilityError {
    message: String,
    help: String,
}

impl CapabilityError {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }

    pub(crate) fn unsuitable(kind: Kind, scope: &str) -> Self {
        Self::new(
            format!("`{scope}` is no scope of `{kind}`"),
            format!("`{kind}` takes {}", kind.scope_help()),
        )
    }

    /// What is wrong, in one sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How to mend it, in one sentence.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }
}

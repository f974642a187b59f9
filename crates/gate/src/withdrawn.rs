//! Grants that hold no more: their time is over, or somebody took them back.

use std::sync::Arc;

use bailiwick_token::Revocations;

/// What is revoked, as of now. It is asked before every call and several times a second, so it must be cheap.
pub trait RevocationList: Send + Sync {
    /// The present list.
    ///
    /// # Errors
    /// A list that cannot be read, in a sentence for the operator: nothing is trusted until it can.
    fn current(&self) -> Result<Arc<Revocations>, String>;
}

/// For gates without a list: tests, and programs that a person runs by hand.
#[derive(Debug, Default)]
pub struct NothingRevoked(Arc<Revocations>);

impl RevocationList for NothingRevoked {
    fn current(&self) -> Result<Arc<Revocations>, String> {
        Ok(self.0.clone())
    }
}

/// Why a grant holds no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lapse {
    /// Its time is over.
    #[error("the grant of `{0}` expired; open a new session")]
    Expired(String),
    /// It was taken back.
    #[error("the grant of `{plugin}` was revoked: {why}")]
    Revoked {
        /// The plugin's id.
        plugin: String,
        /// The revocation's own reason.
        why: String,
    },
    /// Whether it was taken back cannot be told.
    #[error("the grant of `{plugin}` counts no more: what is revoked cannot be read")]
    Unknown {
        /// The plugin's id.
        plugin: String,
        /// What is wrong with the list, for the operator.
        why: String,
    },
}

impl Lapse {
    /// The code of the refusal that an agent gets.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Expired(_) => "grant_expired",
            Self::Revoked { .. } | Self::Unknown { .. } => "grant_revoked",
        }
    }

    /// The reason of the plugin's end, for the log.
    #[must_use]
    pub fn status(&self) -> String {
        match self {
            Self::Expired(_) => "its grant expired".to_owned(),
            Self::Revoked { why, .. } => format!("its grant was revoked: {why}"),
            Self::Unknown { why, .. } => format!("what is revoked cannot be read: {why}"),
        }
    }
}

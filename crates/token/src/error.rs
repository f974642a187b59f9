//! Why a token is refused or cannot be made.

/// Why a token is refused or cannot be made. Exhaustive, so that a new reason breaks the caller's build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Larger than [`crate::MAX_TOKEN_BYTES`], or more than [`crate::MAX_BLOCKS`] attenuations or
    /// [`crate::MAX_ATOMS`] atoms.
    #[error("the token is too large: {0}; ask for fewer, wider atoms")]
    TooLarge(&'static str),
    /// The text is no base64, or the bytes are no Biscuit in its one serialised form.
    #[error("not a token: {0}; take a fresh one from the gate")]
    Malformed(String),
    /// It names another signing key.
    #[error("the token was sealed with another key; take a fresh one from this gate")]
    ForeignKey,
    /// It claims to be minted after its key retired.
    #[error(
        "the token was issued at {issued} with a key that retired at {retired} (seconds since 1970): it is forged, or the clocks differ; take a fresh one from the gate"
    )]
    RetiredKey {
        /// When it claims to be minted.
        issued: i64,
        /// When its key retired.
        retired: i64,
    },
    /// A signature does not fit the bytes.
    #[error("the token was altered: {0}; take a fresh one from the gate")]
    Altered(String),
    /// A block holds a fact, rule, check, scope or context that is not ours, or somebody signed it who may not approve.
    #[error(
        "block {block} of the token holds {what}; only atoms, an expiry and approvals may be added"
    )]
    Unknown {
        /// 0 is the authority block.
        block: usize,
        /// What it holds.
        what: String,
    },
    /// Its time is over.
    #[error(
        "the token expired at {expires} and it is {now} (seconds since 1970); begin a new session"
    )]
    Expired {
        /// The earliest expiry of all blocks.
        expires: i64,
        /// The time that the caller gave.
        now: i64,
    },
    /// Its time has not begun.
    #[error(
        "the token was issued at {issued} and it is {now} (seconds since 1970); set the clocks right"
    )]
    NotYetValid {
        /// When it was minted.
        issued: i64,
        /// The time that the caller gave.
        now: i64,
    },
    /// It belongs to another session.
    #[error("the token belongs to another session; use the one of this session")]
    WrongSession,
    /// It was minted for another plugin, or another version of it.
    #[error(
        "the token was minted for another plugin digest; the plugin has changed and must be decided anew"
    )]
    WrongPlugin,
    /// A claim cannot be sealed.
    #[error("cannot seal {0}")]
    Unsealable(String),
    /// A key is not an Ed25519 key of 32 bytes.
    #[error("not an Ed25519 key: {0}; give its 32 bytes")]
    BadKey(String),
    /// Biscuit's own checks refused, which ours should have seen before.
    #[error("the token's checks refuse it: {0}")]
    Refused(String),
}

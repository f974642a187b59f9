//! How things are decided, and what becomes of questions to people.

use serde::{Deserialize, Serialize};

/// What was decided on one atom, or on one call. A refusal is an outcome, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub enum Outcome {
    /// All that was asked.
    Grant,
    /// Less than was asked.
    Partial,
    /// Nothing.
    Deny,
    /// A person is to be asked.
    Ask,
}

impl Outcome {
    /// As written in entries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Partial => "partial",
            Self::Deny => "deny",
            Self::Ask => "ask",
        }
    }
}

/// The decision on one atom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct AtomDecision {
    /// The atom as it was asked for, `read_files:/data/`.
    pub asked: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The atoms granted instead; empty when nothing was.
    pub granted: Vec<String>,
    /// Ids of the policies that determined it; empty for the default deny.
    pub policies: Vec<String>,
    /// Why, for people.
    pub reasons: Vec<String>,
}

/// When a decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub enum Moment {
    /// Before a plugin is loaded.
    Load,
    /// Before a tool is called.
    Call,
    /// Before a single operation.
    Operation,
}

/// What becomes of a question to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub enum QuestionState {
    /// It is about to be shown.
    Put,
    /// It was not shown, and is refused.
    NotPut,
    /// An answer to it does not count; it waits on.
    AnswerRefused,
    /// It waits no more, though nobody answered.
    Withdrawn,
}

impl QuestionState {
    /// As written in entries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::NotPut => "not_put",
            Self::AnswerRefused => "answer_refused",
            Self::Withdrawn => "withdrawn",
        }
    }
}

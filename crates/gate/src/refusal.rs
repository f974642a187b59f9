//! What an agent hears when something is refused: what was missing, that policy decided it, that other ways
//! are closed too, and what a person can do. No policy text, no secret.

use bailiwick_mcp::CallToolResult;
use serde_json::{Map, Value, json};

use crate::world::CallError;

/// The member of structured content and of `_meta` in which the gate speaks; no plugin's answer may have it.
pub const OWN_MEMBER: &str = "bailiwick";

/// Why a call did not reach the plugin, or brought nothing back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable code for machines.
    pub code: &'static str,
    /// What happened, in one sentence for the agent.
    pub message: String,
    /// The capability that was missing, where it was one.
    pub capability: Option<String>,
    /// What a person can do about it.
    pub remedy: Option<String>,
    /// Ids of the policies that determined it: for the log, never for the agent.
    pub policies: Vec<String>,
}

impl Refusal {
    /// A refusal with a code and a sentence.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            capability: None,
            remedy: None,
            policies: Vec::new(),
        }
    }

    /// The same, for want of `capability`.
    #[must_use]
    pub fn missing(mut self, capability: impl ToString) -> Self {
        let capability = capability.to_string();
        self.remedy = Some(format!(
            "a person can grant `{capability}` in the plugin's manifest and the policies, or with `--allow`"
        ));
        self.capability = Some(capability);
        self
    }

    /// Whether policy decided it, rather than the plugin or the arguments' form.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(
            self.code,
            "capability_missing" | "policy_denied" | "approval_needed" | "grant_expired"
        )
    }

    /// The tool result that the agent gets.
    #[must_use]
    pub fn into_result(self) -> CallToolResult {
        let denied = self.is_denial();
        let mut text = self.message.clone();
        if denied {
            text.push_str(
                ". This was decided by policy, and other ways to the same end are closed too: do not try to work around it",
            );
        }
        if let Some(remedy) = &self.remedy {
            text.push_str("; ");
            text.push_str(remedy);
        }
        let mut inner = Map::new();
        inner.insert("code".to_owned(), self.code.into());
        inner.insert("message".to_owned(), self.message.into());
        inner.insert("denied".to_owned(), denied.into());
        if let Some(capability) = self.capability {
            inner.insert("capability".to_owned(), capability.into());
        }
        if let Some(remedy) = self.remedy {
            inner.insert("remedy".to_owned(), remedy.into());
        }
        let structured: Value = json!({ OWN_MEMBER: inner });
        let mut result = CallToolResult::error(text, Some(structured.clone()));
        if let Value::Object(own) = structured {
            result.meta = own;
        }
        result
    }
}

impl From<&CallError> for Refusal {
    fn from(error: &CallError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

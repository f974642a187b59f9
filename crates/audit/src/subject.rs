//! On whose behalf something happened.

use serde::{Deserialize, Serialize};

/// On whose behalf something happened. Every part may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct Subject {
    /// Session id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Plugin id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Digest of the plugin as it was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_digest: Option<String>,
    /// The person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The agent that acts for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Trace id, as in W3C trace context: 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Span id of what happened, as in W3C trace context: 16 hexadecimal digits. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    /// Span id of the client's own span, in which it happened. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span: Option<String>,
}

impl Subject {
    /// A subject of this session; the other parts are set by name.
    #[must_use]
    pub fn session(id: impl Into<String>) -> Self {
        Self {
            session: Some(id.into()),
            ..Self::default()
        }
    }

    /// The same with this plugin.
    #[must_use]
    pub fn with_plugin(mut self, id: impl Into<String>, digest: impl Into<String>) -> Self {
        self.plugin = Some(id.into());
        self.plugin_digest = Some(digest.into());
        self
    }

    /// The same with this user.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The same with this agent.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// The same with this trace id.
    #[must_use]
    pub fn with_trace(mut self, trace: impl Into<String>) -> Self {
        self.trace = Some(trace.into());
        self
    }

    /// The same with this span id.
    #[must_use]
    pub fn with_span(mut self, span: impl Into<String>) -> Self {
        self.span = Some(span.into());
        self
    }
}

//! What goes wrong: JSON-RPC errors on the wire, and our own.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::message::MessageError;
use crate::revision::Revision;
use crate::text::excerpt;

/// The text is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The message is not a request that we understand.
pub const INVALID_REQUEST: i64 = -32600;
/// The method is not in the closed table of this direction and revision.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters do not fit the method.
pub const INVALID_PARAMS: i64 = -32602;
/// The answering side failed.
pub const INTERNAL_ERROR: i64 = -32603;
/// HTTP headers and body disagree (2026-07-28).
pub const HEADER_MISMATCH: i64 = -32020;
/// The request needs a client capability that it did not declare (2026-07-28).
pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
/// The request names a protocol version that the server does not speak (2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// A JSON-RPC error object. It travels to the peer, so it never holds what only the operator may see.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// One of the codes above, or one outside the reserved range.
    pub code: i64,
    /// One concise sentence.
    pub message: String,
    /// More, for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error of this code without data.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same error with data.
    #[must_use]
    pub fn with_data(self, data: Value) -> Self {
        Self {
            data: Some(data),
            ..self
        }
    }

    /// `-32601` for a method outside the closed table.
    #[must_use]
    pub fn method_not_found(method: &str) -> Self {
        Self::new(
            METHOD_NOT_FOUND,
            format!("method {} is not available here", excerpt(method)),
        )
    }

    /// `-32602`
    #[must_use]
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// `-32600`
    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    /// `-32603`
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL_ERROR, message)
    }

    /// `-32022` with what was asked for and what there is.
    #[must_use]
    pub fn unsupported_version(requested: &str, supported: &[Revision]) -> Self {
        let supported: Vec<_> = supported.iter().map(|revision| revision.as_str()).collect();
        Self::new(UNSUPPORTED_VERSION, "Unsupported protocol version")
            .with_data(json!({ "supported": supported, "requested": requested }))
    }

    pub(crate) fn from_value(value: Value) -> Option<Self> {
        let Value::Object(mut members) = value else {
            return None;
        };
        let code = members.get("code")?.as_i64()?;
        let Some(Value::String(message)) = members.shift_remove("message") else {
            return None;
        };
        Some(Self {
            code,
            message,
            data: members.shift_remove("data"),
        })
    }

    pub(crate) fn data_member(&self, name: &str) -> Option<&Value> {
        self.data
            .as_ref()
            .and_then(Value::as_object)
            .and_then(|data: &Map<_, _>| data.get(name))
    }
}

/// Why an exchange with a plugin or an agent failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum McpError {
    /// The peer's side of the connection ended: end of file, a crash, or a broken pipe.
    #[error("the plugin is gone: {reason}")]
    PluginGone {
        /// What was seen last.
        reason: String,
    },
    /// The plugin went away at the very first message, a `server/discover` that older servers do not know. Start it
    /// again and connect with [`Negotiation::Legacy`](crate::Negotiation::Legacy).
    #[error(
        "the plugin ended when it was probed with server/discover: {reason}; start it again with the initialize handshake alone"
    )]
    GoneOnProbe {
        /// What was seen last.
        reason: String,
    },
    /// No answer in time. The request was cancelled; an answer that comes later is dropped.
    #[error("no answer to {method} within {after:?}{}", malformed_note(*.malformed))]
    TimedOut {
        /// The method that was asked.
        method: &'static str,
        /// How long we waited.
        after: Duration,
        /// How many lines that are no MCP messages came from the plugin meanwhile.
        malformed: u64,
    },
    /// The plugin answered with a JSON-RPC error.
    #[error("the plugin answered {method} with an error: {error}")]
    Refused {
        /// The method that was asked.
        method: &'static str,
        /// The error as the plugin gave it.
        error: RpcError,
    },
    /// The plugin's answer is not an answer to what was asked.
    #[error("the plugin's answer to {method} has another shape than MCP's: {why}")]
    BadAnswer {
        /// The method that was asked.
        method: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The line that should have held the answer could not be read.
    #[error("the plugin's answer cannot be read: {0}")]
    Unreadable(MessageError),
    /// The two sides share no revision.
    #[error("no common MCP revision: the plugin speaks {theirs}, this connection allows {ours}")]
    NoCommonRevision {
        /// What we offered.
        ours: String,
        /// What the plugin named.
        theirs: String,
    },
    /// What we were asked to send does not fit one message.
    #[error(
        "the message of {size} bytes is over the limit of {limit}; send less, or raise the limit"
    )]
    TooLarge {
        /// Bytes of the message.
        size: usize,
        /// The limit that it breaks.
        limit: usize,
    },
    /// Reading or writing failed on our side of an agent's connection.
    #[error("the connection failed: {0}")]
    Io(String),
}

fn malformed_note(count: u64) -> String {
    match count {
        0 => String::new(),
        _ => format!("; meanwhile the plugin wrote {count} lines that are not MCP messages"),
    }
}

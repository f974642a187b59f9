//! MCP as the gate speaks it: strict messages, closed method tables, a client towards plugins and a server towards
//! the agent, over any byte stream, in the 2026-07-28 revision and in those with an `initialize` handshake.
//!
//! Every line is parsed into values and written anew; raw bytes are never forwarded. A response is read as the answer
//! to the request of its id and as nothing else. Fields that MCP does not know survive inside tools, calls, results
//! and content blocks. See `docs/mcp.md` for the choices behind it.

mod call;
mod client;
mod content;
mod counters;
mod elicit;
mod error;
mod events;
mod job;
mod json;
mod link;
mod message;
mod meta;
mod method;
mod negotiate;
mod outbox;
mod reader;
mod receive;
mod revision;
mod server;
mod session;
mod text;
mod tool;

pub use call::{CallOutcome, CallToolResult, InputRequired, ToolCall};
pub use client::{Client, ClientOptions, Negotiation, ToolList};
pub use counters::Counters;
pub use elicit::Elicitor;
pub use error::{
    HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY, McpError, PARSE_ERROR, RpcError, UNSUPPORTED_VERSION,
};
pub use events::{NoEvents, PluginEvents};
pub use json::{JsonError, JsonLimits, canonical, parse as parse_json};
pub use message::{Message, MessageError, RequestId};
pub use meta::{Implementation, Peer};
pub use method::{AgentNotification, AgentRequest, PluginNotification, PluginRequest};
pub use reader::{Line, LineReader};
pub use revision::Revision;
pub use server::{Handler, ListChanged, ServerOptions, serve};
pub use text::excerpt;
pub use tokio_util::sync::CancellationToken;
pub use tool::{Tool, ToolPin};

/// Bounds on what a peer may send in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line; a longer one is skipped and is an error. For a server also the limit of what it sends.
    pub line: usize,
    /// Bounds inside the line.
    pub json: JsonLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 16 << 20,
            json: JsonLimits::default(),
        }
    }
}

//! The server towards the agent.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Limits;
use crate::call::{CallOutcome, ToolCall};
use crate::counters::Counters;
use crate::elicit::Elicitor;
use crate::error::{McpError, RpcError};
use crate::meta::{Implementation, Peer};
use crate::session::Session;
use crate::tool::Tool;

/// What the agent talks to. A panic in a handler is answered with an internal error and ends nothing else.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Who we say we are.
    fn server_info(&self) -> Implementation;

    /// Advice to the model, if any.
    fn instructions(&self) -> Option<String> {
        None
    }

    /// Told with each request of an agent whose user can be asked at any time: until 2025-11-25.
    fn may_be_asked(&self, peer: &Peer, elicitor: Elicitor) {
        let _ = (peer, elicitor);
    }

    /// The tools that this client may call, all of them, in a stable order.
    ///
    /// # Errors
    /// What the agent is told.
    async fn list_tools(&self, peer: &Peer) -> Result<Vec<Tool>, RpcError>;

    /// Runs one call. When `cancel` is cancelled the agent no longer waits and no answer is sent; return soon.
    ///
    /// # Errors
    /// What the agent is told; a tool that failed, or was denied, is a result with `is_error` instead.
    async fn call_tool(
        &self,
        peer: &Peer,
        call: ToolCall,
        cancel: CancellationToken,
    ) -> Result<CallOutcome, RpcError>;

    /// The same, where the agent's user can be asked meanwhile; a 2026-07-28 agent is asked with
    /// [`CallOutcome::InputRequired`] instead.
    ///
    /// # Errors
    /// As [`Handler::call_tool`].
    async fn call_tool_asking(
        &self,
        peer: &Peer,
        call: ToolCall,
        elicitor: Elicitor,
        cancel: CancellationToken,
    ) -> Result<CallOutcome, RpcError> {
        drop(elicitor);
        self.call_tool(peer, call, cancel).await
    }
}

/// Announces that the list of tools has changed, to any number of connections. Many changes in a row may arrive as one.
#[derive(Debug, Clone)]
pub struct ListChanged(watch::Sender<u64>);

impl Default for ListChanged {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl ListChanged {
    /// Tells all connections.
    pub fn notify(&self) {
        self.0
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// How to serve an agent.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Bounds on each message.
    pub limits: Limits,
    /// Calls and lists that may run at the same time; more are refused at once.
    pub in_flight: usize,
    /// How long calls may go on after the agent's input has ended, before they are cancelled.
    pub drain: Duration,
    /// Announces changes of the list of tools; without it the capability is not declared.
    pub list_changed: Option<ListChanged>,
    /// Where to count what is dropped.
    pub counters: Arc<Counters>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            in_flight: 256,
            drain: Duration::from_secs(10),
            list_changed: None,
            counters: Arc::default(),
        }
    }
}

/// Serves one agent until its input ends: the 2026-07-28 revision and the older ones, also side by side. An agent that
/// does not read its answers is not read from.
///
/// # Errors
/// [`McpError::Io`] when the stream breaks; the end of the input is none.
pub async fn serve<R, W>(
    reader: R,
    writer: W,
    handler: Arc<dyn Handler>,
    options: ServerOptions,
) -> Result<(), McpError>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    Session::new(writer, handler, options).run(reader).await
}

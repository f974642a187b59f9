//! An MCP server of one tool that answers with what it was told.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_mcp::{
    CallOutcome, CallToolResult, CancellationToken, Handler, Implementation, Peer, RpcError,
    ServerOptions, Tool, ToolCall,
};
use serde_json::{Value, json};
use tokio::net::unix::pipe;

use crate::Outcome;

/// Serves on standard input and output, which must be pipes, until the input ends.
pub(crate) fn serve() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let input: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned()?;
        let output: OwnedFd = std::io::stdout().as_fd().try_clone_to_owned()?;
        let reader = pipe::Receiver::from_owned_fd(input)?;
        let writer = pipe::Sender::from_owned_fd(output)?;
        bailiwick_mcp::serve(reader, writer, Arc::new(Echo), ServerOptions::default()).await?;
        Ok(())
    })
}

struct Echo;

#[async_trait]
impl Handler for Echo {
    fn server_info(&self) -> Implementation {
        Implementation::new("bench-echo", "1.0.0")
    }

    async fn list_tools(&self, _peer: &Peer) -> Result<Vec<Tool>, RpcError> {
        let schema = json!({
            "type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"],
        });
        let schema = schema.as_object().cloned().unwrap_or_default();
        Ok(vec![Tool::new("echo", schema)])
    }

    async fn call_tool(
        &self,
        _peer: &Peer,
        call: ToolCall,
        _cancel: CancellationToken,
    ) -> Result<CallOutcome, RpcError> {
        let text = call.arguments.get("message").and_then(Value::as_str);
        Ok(CallOutcome::Complete(CallToolResult::text(
            text.unwrap_or_default(),
        )))
    }
}

//! MCP clients: to a plugin without any wall, and to the gate.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bailiwick_gate::Gate;
use bailiwick_mcp::{
    CallToolResult, Client, ClientOptions, Implementation, ServerOptions, ToolCall, serve,
};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// A connection, and what must live as long as it.
pub(super) struct Connection {
    client: Client,
    served: Option<JoinHandle<()>>,
    _child: Option<Child>,
}

fn options() -> ClientOptions {
    ClientOptions {
        info: Implementation::new("demo-agent", "1.0.0"),
        ..ClientOptions::default()
    }
}

impl Connection {
    /// A plugin as agents usually run it: with all of the person's power.
    pub(super) async fn bare(program: &str, args: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("no pipe to the plugin")?;
        let stdout = child.stdout.take().context("no pipe from the plugin")?;
        let client = Client::connect(stdout, stdin, options()).await?;
        Ok(Self {
            client,
            served: None,
            _child: Some(child),
        })
    }

    /// The gate, over a pipe in memory: the same code that `serve` runs.
    pub(super) async fn gate(gate: Arc<Gate>) -> anyhow::Result<Self> {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (reader, writer) = tokio::io::split(theirs);
        let served = tokio::spawn(async move {
            // How the connection ended shows on our side of it.
            let _ = serve(reader, writer, gate, ServerOptions::default()).await;
        });
        let (reader, writer) = tokio::io::split(ours);
        let client = Client::connect(reader, writer, options()).await?;
        Ok(Self {
            client,
            served: Some(served),
            _child: None,
        })
    }

    /// Hangs up, and waits until the other side has let go of everything.
    pub(super) async fn end(self) {
        self.client.close().await;
        drop(self.client);
        if let Some(served) = self.served {
            let _ = timeout(PATIENCE, served).await;
        }
    }

    pub(super) async fn tools(&self) -> anyhow::Result<Vec<String>> {
        Ok(self
            .client
            .list_tools()
            .await?
            .tools
            .into_iter()
            .map(|tool| tool.name)
            .collect())
    }

    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: &Value,
    ) -> anyhow::Result<CallToolResult> {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        Ok(self
            .client
            .call_tool(ToolCall::new(tool, arguments), PATIENCE)
            .await?
            .complete()?)
    }

    pub(super) fn revision(&self) -> String {
        self.client.revision().to_string()
    }
}

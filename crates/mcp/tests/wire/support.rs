//! A handler to serve, and a wire to speak raw lines on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bailiwick_mcp::{
    CallOutcome, CallToolResult, CancellationToken, Handler, Implementation, InputRequired,
    McpError, Peer, RpcError, ServerOptions, Tool, ToolCall, serve,
};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

/// Generous, so that a busy machine does not fail a test; only reached when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// A server with tools that echo, hang, fail, panic and ask.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) cancelled: Arc<tokio::sync::Notify>,
    pub(crate) started: Arc<tokio::sync::Notify>,
}

#[async_trait]
impl Handler for Sample {
    fn server_info(&self) -> Implementation {
        Implementation::new("sample", "1")
    }

    fn instructions(&self) -> Option<String> {
        Some("be kind".into())
    }

    async fn list_tools(&self, _peer: &Peer) -> Result<Vec<Tool>, RpcError> {
        let tool = json!({
            "name": "echo", "description": "echoes", "inputSchema": {"type": "object", "x-kept": 1},
            "outputSchema": {"type": "array"}, "annotations": {"readOnlyHint": true}, "future": {"a": [1]}
        });
        Ok(vec![Tool::from_value(tool).unwrap()])
    }

    async fn call_tool(
        &self,
        peer: &Peer,
        call: ToolCall,
        cancel: CancellationToken,
    ) -> Result<CallOutcome, RpcError> {
        match call.name.as_str() {
            "echo" => {
                let mut result = CallToolResult::text(Value::Object(call.arguments).to_string());
                result.structured_content = Some(json!({
                    "revision": peer.revision.as_str(), "client": peer.client.as_ref().map(|client| client.name.clone()),
                    "meta": call.meta, "rest": call.rest
                }));
                result.rest.insert("future".into(), json!({"kept": true}));
                Ok(result.into())
            }
            "hang" => {
                self.started.notify_one();
                cancel.cancelled().await;
                self.cancelled.notify_one();
                Ok(CallToolResult::text("never seen").into())
            }
            "ask" if call.rest.contains_key("inputResponses") => {
                Ok(CallToolResult::text("thanks").into())
            }
            "ask" => Ok(CallOutcome::InputRequired(InputRequired {
                state: Some("s".into()),
                ..InputRequired::default()
            })),
            "denied" => Ok(CallToolResult::error("no", Some(json!({"denied": true}))).into()),
            "big" => Ok(CallToolResult::text("x".repeat(2 << 20)).into()),
            "panic" => panic!("a handler that panics"),
            _ => Err(RpcError::invalid_params("no such tool")),
        }
    }
}

/// One end of a connection on which a test speaks lines.
pub(crate) struct Wire {
    pub(crate) from: ReadHalf<DuplexStream>,
    pub(crate) to: WriteHalf<DuplexStream>,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: DuplexStream) -> Self {
        let (from, to) = tokio::io::split(stream);
        Self {
            from,
            to,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.to.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.raw(format!("{message}\n")).await;
    }

    /// The next line as JSON; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let line = async {
            loop {
                if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.buffer.drain(..=at).collect();
                    return Some(serde_json::from_slice(&line).unwrap());
                }
                if self.from.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                    assert!(self.buffer.is_empty(), "a torn line at the end");
                    return None;
                }
            }
        };
        tokio::time::timeout(PATIENCE, line)
            .await
            .expect("a line within a minute")
    }

    pub(crate) async fn ask(&mut self, message: Value) -> Value {
        self.send(message).await;
        self.next().await.expect("an answer")
    }

    pub(crate) async fn initialize(&mut self, version: &str) -> Value {
        let answer = self
            .ask(json!({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": {
                "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}
            }}))
            .await;
        self.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        answer
    }
}

pub(crate) fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {}
    })
}

pub(crate) fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

pub(crate) fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    params["_meta"] = modern_meta();
    request(id, method, params)
}

pub(crate) fn serving(
    sample: Sample,
    options: ServerOptions,
) -> (Wire, JoinHandle<Result<(), McpError>>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (from, to) = tokio::io::split(theirs);
    let task = tokio::spawn(serve(from, to, Arc::new(sample), options));
    (Wire::new(ours), task)
}

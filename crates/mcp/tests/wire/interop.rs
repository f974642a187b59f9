//! Against rmcp, the official SDK: its client with our server, its server with our client, and ours with ours.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{PATIENCE, Sample, members};
use bailiwick_mcp::{
    CallOutcome, Client, ClientOptions, ListChanged, McpError, Negotiation, PluginEvents, Revision,
    ServerOptions, ToolCall, serve,
};
use rmcp::model as m;
use rmcp::service::RequestContext;
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleServer, ServerHandler,
    ServiceExt,
};
use serde_json::json;
use tokio::io::DuplexStream;

fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 << 10)
}

#[derive(Clone, Default)]
struct Agent;

impl ClientHandler for Agent {}

fn serve_sample(stream: DuplexStream) {
    let (from, to) = tokio::io::split(stream);
    tokio::spawn(serve(
        from,
        to,
        Arc::new(Sample::default()),
        ServerOptions::default(),
    ));
}

#[tokio::test]
async fn rmcp_as_agent_works_in_each_way_of_opening() {
    let modern = vec![m::ProtocolVersion::V_2026_07_28];
    for (mode, revision) in [
        (ClientLifecycleMode::Initialize, "2025-11-25"),
        (
            ClientLifecycleMode::Discover {
                preferred_versions: modern.clone(),
            },
            "2026-07-28",
        ),
        (
            ClientLifecycleMode::Auto {
                preferred_versions: modern.clone(),
                legacy_version: None,
            },
            "2026-07-28",
        ),
    ] {
        let (ours, theirs) = pipe();
        serve_sample(ours);
        let agent = Agent
            .serve_with_lifecycle(theirs, mode.clone())
            .await
            .unwrap();
        let tools = agent.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), 1, "{mode:?}");
        assert_eq!(tools[0].name, "echo");
        let call = m::CallToolRequestParams::new("echo")
            .with_arguments(members(json!({"a": [1, 2.5, "ü"]})));
        let result = agent.call_tool(call).await.unwrap();
        assert_eq!(
            result.content[0].as_text().unwrap().text,
            r#"{"a":[1,2.5,"ü"]}"#
        );
        assert_eq!(result.structured_content.unwrap()["revision"], revision);
        let error = agent
            .call_tool(m::CallToolRequestParams::new("unknown"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no such tool"), "{error}");
        agent.cancel().await.unwrap();
    }
}

/// An rmcp server that speaks both families.
#[derive(Clone, Default)]
struct Plugin;

impl ServerHandler for Plugin {
    fn get_info(&self) -> m::ServerConfig {
        m::ServerConfig::new(m::ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _request: Option<m::PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<m::ListToolsResult, ErrorData> {
        let schema = members(json!({"type": "object", "properties": {"a": {}}}));
        Ok(m::ListToolsResult::with_all_items(vec![m::Tool::new(
            "echo", "echoes", schema,
        )]))
    }

    async fn call_tool(
        &self,
        request: m::CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<m::CallToolResponse, ErrorData> {
        match request.name.as_ref() {
            "hang" => {
                context.ct.cancelled().await;
                Err(ErrorData::internal_error("cancelled", None))
            }
            "echo" => {
                let text = serde_json::to_string(&request.arguments).unwrap();
                Ok(m::CallToolResult::success(vec![m::ContentBlock::text(text)]).into())
            }
            _ => Err(ErrorData::invalid_params(
                Cow::Borrowed("no such tool"),
                None,
            )),
        }
    }
}

async fn client_of_rmcp(negotiation: Negotiation) -> Result<Client, McpError> {
    let (ours, theirs) = pipe();
    tokio::spawn(async move {
        if let Ok(server) = Plugin.serve(theirs).await {
            let _ = server.waiting().await;
        }
    });
    let (from, to) = tokio::io::split(ours);
    Client::connect(
        from,
        to,
        ClientOptions {
            negotiation,
            ..ClientOptions::default()
        },
    )
    .await
}

#[tokio::test]
async fn rmcp_as_plugin_works_in_each_way_of_opening() {
    for (negotiation, revision) in [
        (Negotiation::Legacy, Revision::V2025_11_25),
        (Negotiation::Modern, Revision::V2026_07_28),
        (Negotiation::Auto, Revision::V2026_07_28),
    ] {
        let client = client_of_rmcp(negotiation).await.unwrap();
        assert_eq!(client.revision(), revision);
        let list = client.list_tools().await.unwrap();
        assert_eq!(list.tools.len(), 1);
        assert!(list.notes.is_empty());
        let call = ToolCall::new("echo", members(json!({"a": 1})));
        let result = client
            .call_tool(call, PATIENCE)
            .await
            .unwrap()
            .complete()
            .unwrap();
        assert_eq!(result.all_text(), r#"{"a":1}"#);
        let refused = client
            .call_tool(ToolCall::new("no", members(json!({}))), PATIENCE)
            .await;
        assert!(matches!(refused, Err(McpError::Refused { error, .. }) if error.code == -32602));
        let late = client
            .call_tool(
                ToolCall::new("hang", members(json!({}))),
                Duration::from_millis(50),
            )
            .await;
        assert!(matches!(late, Err(McpError::TimedOut { .. })));
        let call = ToolCall::new("echo", members(json!({})));
        assert!(
            client.call_tool(call, PATIENCE).await.is_ok(),
            "the connection lives on"
        );
    }
}

#[derive(Default)]
struct Heard(tokio::sync::Notify);

impl PluginEvents for Heard {
    fn tools_list_changed(&self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn our_client_and_our_server_lose_nothing_between_them() {
    for negotiation in [Negotiation::Auto, Negotiation::Legacy] {
        let (ours, theirs) = pipe();
        let (from, to) = tokio::io::split(theirs);
        let changed = ListChanged::default();
        let options = ServerOptions {
            list_changed: Some(changed.clone()),
            ..ServerOptions::default()
        };
        tokio::spawn(serve(from, to, Arc::new(Sample::default()), options));
        let heard = Arc::new(Heard::default());
        let (from, to) = tokio::io::split(ours);
        let options = ClientOptions {
            negotiation,
            events: heard.clone(),
            ..ClientOptions::default()
        };
        let client = Client::connect(from, to, options).await.unwrap();
        assert_eq!(client.server_info().unwrap().name, "sample");
        assert_eq!(client.instructions(), Some("be kind"));

        let tool = client.list_tools().await.unwrap().tools.remove(0);
        assert_eq!(tool.rest, members(json!({"future": {"a": [1]}})));
        assert_eq!(tool.input_schema["x-kept"], 1);

        let mut call = ToolCall::new(
            "echo",
            members(json!({"n": 9007199254740993_i64, "z": 1, "a": 2})),
        );
        call.meta = members(json!({"traceparent": "00-ab"}));
        call.rest = members(json!({"future": [1]}));
        let result = client
            .call_tool(call, PATIENCE)
            .await
            .unwrap()
            .complete()
            .unwrap();
        assert_eq!(result.all_text(), r#"{"n":9007199254740993,"z":1,"a":2}"#);
        assert_eq!(result.rest, members(json!({"future": {"kept": true}})));
        let seen = result.structured_content.unwrap();
        assert_eq!(seen["meta"], json!({"traceparent": "00-ab"}));
        assert_eq!(seen["rest"], json!({"future": [1]}));

        let calls = (0..50).map(|n| {
            let call = ToolCall::new("echo", members(json!({"n": n})));
            client.call_tool(call, PATIENCE)
        });
        for (n, call) in calls.enumerate().collect::<Vec<_>>() {
            let text = call.await.unwrap().complete().unwrap().all_text();
            assert_eq!(text, json!({"n": n}).to_string());
        }
        // A change may be announced only once the subscription or the handshake has arrived, which the calls waited for.
        changed.notify();
        tokio::time::timeout(PATIENCE, heard.0.notified())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn questions_of_a_tool_are_an_outcome_of_their_own() {
    let (ours, theirs) = pipe();
    serve_sample(theirs);
    let (from, to) = tokio::io::split(ours);
    let client = Client::connect(from, to, ClientOptions::default())
        .await
        .unwrap();
    let asked = client
        .call_tool(ToolCall::new("ask", members(json!({}))), PATIENCE)
        .await
        .unwrap();
    let CallOutcome::InputRequired(input) = asked else {
        panic!("the tool asks");
    };
    let mut again = ToolCall::new("ask", members(json!({})));
    again.rest = members(json!({"requestState": input.state, "inputResponses": {}}));
    let result = client
        .call_tool(again, PATIENCE)
        .await
        .unwrap()
        .complete()
        .unwrap();
    assert_eq!(result.all_text(), "thanks");
}

#[tokio::test]
async fn dropping_a_call_tells_the_server() {
    let sample = Sample::default();
    let (started, cancelled) = (sample.started.clone(), sample.cancelled.clone());
    let (ours, theirs) = pipe();
    let (from, to) = tokio::io::split(theirs);
    tokio::spawn(serve(from, to, Arc::new(sample), ServerOptions::default()));
    let (from, to) = tokio::io::split(ours);
    let client = Client::connect(from, to, ClientOptions::default())
        .await
        .unwrap();
    tokio::select! {
        _ = client.call_tool(ToolCall::new("hang", members(json!({}))), PATIENCE) => panic!("it hangs"),
        () = started.notified() => {}
    }
    tokio::time::timeout(PATIENCE, cancelled.notified())
        .await
        .unwrap();
}

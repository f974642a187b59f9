//! The client towards one plugin.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::Limits;
use crate::call::{CallOutcome, ToolCall};
use crate::counters::Counters;
use crate::error::McpError;
use crate::events::{NoEvents, PluginEvents};
use crate::link::{Link, OnDrop, Stop};
use crate::message::request_line;
use crate::meta::Implementation;
use crate::negotiate::{self, Agreed};
use crate::revision::Revision;
use crate::text::excerpt;
use crate::tool::Tool;

/// Pages of one tool list; a plugin could go on for ever.
const MAX_PAGES: usize = 100;
/// Tools of one plugin.
const MAX_TOOLS: usize = 2_000;
/// The longest cursor, in bytes.
const CURSOR_BYTES: usize = 8 << 10;

/// How to find out which revision a plugin speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Negotiation {
    /// Ask with `server/discover`, and take any answer but a modern one, or none in time, for an older server: the
    /// rule of the 2026-07-28 revision.
    #[default]
    Auto,
    /// `server/discover` alone.
    Modern,
    /// The `initialize` handshake alone, for a server that ends at a request which it does not know.
    Legacy,
}

/// How to speak to a plugin.
#[derive(Clone)]
pub struct ClientOptions {
    /// Who we say we are.
    pub info: Implementation,
    /// The `ClientCapabilities` that we declare; empty by default, so that the plugin may ask for nothing.
    pub capabilities: Map<String, Value>,
    /// How the revision is found.
    pub negotiation: Negotiation,
    /// The oldest revision that is accepted.
    pub oldest: Revision,
    /// Bounds on each message of the plugin.
    pub limits: Limits,
    /// Bytes of one line to the plugin.
    pub send_limit: usize,
    /// How long the answer to `server/discover` may take before the plugin counts as an older one.
    pub probe_timeout: Duration,
    /// How long any other request but a tool call may take.
    pub request_timeout: Duration,
    /// Who hears and answers what the plugin says besides answering.
    pub events: Arc<dyn PluginEvents>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            info: Implementation::new("bailiwick", env!("CARGO_PKG_VERSION")),
            capabilities: Map::new(),
            negotiation: Negotiation::Auto,
            oldest: Revision::V2024_11_05,
            limits: Limits::default(),
            send_limit: Limits::default().line,
            probe_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            events: Arc::new(NoEvents),
        }
    }
}

/// A plugin's tools, and what was left out of the list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolList {
    /// In the plugin's order, names unique.
    pub tools: Vec<Tool>,
    /// Why entries were left out; for the operator, safe to show.
    pub notes: Vec<String>,
}

/// A connection to a plugin. Calls may run side by side; dropping the client closes the plugin's input.
pub struct Client {
    pub(crate) link: Arc<Link>,
    agreed: Agreed,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Client")
            .field("agreed", &self.agreed)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Agrees with the plugin on a revision, over its output (`reader`) and its input (`writer`).
    ///
    /// # Errors
    /// [`McpError::GoneOnProbe`] when the plugin should be started again and asked with [`Negotiation::Legacy`];
    /// otherwise why there is no connection.
    pub async fn connect<R, W>(
        reader: R,
        writer: W,
        options: ClientOptions,
    ) -> Result<Self, McpError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let stop = Stop(CancellationToken::new());
        let (link, receiver) = Link::new(reader, writer, &options, stop);
        tokio::spawn(receiver.run());
        let agreed = negotiate::agree(&link, &options).await?;
        let client = Self { link, agreed };
        client.listen(&options).await;
        Ok(client)
    }

    /// The revision agreed on.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.agreed.revision
    }

    /// Who the plugin says it is.
    #[must_use]
    pub fn server_info(&self) -> Option<&Implementation> {
        self.agreed.server.as_ref()
    }

    /// The `ServerCapabilities` that the plugin declared.
    #[must_use]
    pub fn capabilities(&self) -> &Map<String, Value> {
        &self.agreed.capabilities
    }

    /// The plugin's advice to the model. Text of the plugin.
    #[must_use]
    pub fn instructions(&self) -> Option<&str> {
        self.agreed.instructions.as_deref()
    }

    /// What was dropped so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.link.counters
    }

    /// Returns when the plugin's side has ended, with what was seen last.
    pub async fn gone(&self) -> String {
        self.link.ended.cancelled().await;
        self.link.open().gone.clone().unwrap_or_default()
    }

    /// Closes the plugin's input, which asks it to end. Open calls fail when it does.
    pub async fn close(&self) {
        self.link.outbox.close().await;
    }

    /// All tools of the plugin. An entry that is not a tool is left out with a note, and so are all entries of a name
    /// that occurs more than once.
    ///
    /// # Errors
    /// When a page cannot be had, when the list does not end, or when it goes in circles.
    pub async fn list_tools(&self) -> Result<ToolList, McpError> {
        const METHOD: &str = "tools/list";
        let bad = |why: String| McpError::BadAnswer {
            method: METHOD,
            why,
        };
        let mut list = ToolList::default();
        let mut cursors = HashSet::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let mut params = Map::new();
            if let Some(cursor) = cursor.take() {
                params.insert("cursor".into(), Value::String(cursor));
            }
            let mut page = self.ask(METHOD, params).await?;
            let Some(Value::Array(entries)) = page.shift_remove("tools") else {
                return Err(bad("it has no list \"tools\"".into()));
            };
            if list
                .tools
                .len()
                .saturating_add(list.notes.len())
                .saturating_add(entries.len())
                > MAX_TOOLS
            {
                return Err(bad(format!("more than {MAX_TOOLS} tools")));
            }
            for entry in entries {
                match Tool::from_value(entry) {
                    Ok(tool) => list.tools.push(tool),
                    Err(why) => list.notes.push(format!("left out {why}")),
                }
            }
            match page.shift_remove("nextCursor") {
                None | Some(Value::Null) => {
                    drop_repeated(&mut list);
                    return Ok(list);
                }
                Some(Value::String(next)) if next.len() <= CURSOR_BYTES => {
                    if !cursors.insert(next.clone()) {
                        return Err(bad("its pages go in circles".into()));
                    }
                    cursor = Some(next);
                }
                Some(_) => return Err(bad("\"nextCursor\" is not a short text".into())),
            }
        }
        Err(bad(format!("more than {MAX_PAGES} pages")))
    }

    /// Calls a tool and waits at most `timeout` for what comes of it. On time-out, and when the returned future is
    /// dropped, the plugin is told that the call is cancelled.
    ///
    /// # Errors
    /// [`McpError`]; a tool that ran and failed is no error but a result with `is_error`.
    pub async fn call_tool(
        &self,
        call: ToolCall,
        timeout: Duration,
    ) -> Result<CallOutcome, McpError> {
        const METHOD: &str = "tools/call";
        let answer = self.request(METHOD, call.into_params(), timeout).await?;
        CallOutcome::from_members(answer, self.agreed.revision).map_err(|why| McpError::BadAnswer {
            method: METHOD,
            why,
        })
    }

    async fn ask(
        &self,
        method: &'static str,
        params: Map<String, Value>,
    ) -> Result<Map<String, Value>, McpError> {
        let mut answer = self
            .request(method, params, self.link.request_timeout)
            .await?;
        let kind = answer
            .shift_remove("resultType")
            .filter(|_| self.agreed.revision.is_modern());
        match kind.as_ref().map(Value::as_str) {
            None | Some(Some("complete")) => Ok(answer),
            Some(other) => Err(McpError::BadAnswer {
                method,
                why: format!(
                    "unexpected resultType {}",
                    excerpt(other.unwrap_or_default())
                ),
            }),
        }
    }

    async fn request(
        &self,
        method: &'static str,
        mut params: Map<String, Value>,
        timeout: Duration,
    ) -> Result<Map<String, Value>, McpError> {
        self.agreed.stamp(&mut params);
        self.link
            .request(method, params, timeout, OnDrop::Cancel)
            .await
    }

    /// Subscribes to changes of the tool list, which a 2026-07-28 server announces only on request.
    async fn listen(&self, options: &ClientOptions) {
        let tools = self.agreed.capabilities.get("tools");
        let changes = tools
            .and_then(|tools| tools.get("listChanged"))
            .and_then(Value::as_bool);
        if !self.agreed.revision.is_modern() || changes != Some(true) {
            return;
        }
        let mut params = Map::new();
        params.insert("notifications".into(), json!({ "toolsListChanged": true }));
        self.agreed.stamp(&mut params);
        let Ok((id, _ignored)) = self.link.enter() else {
            return;
        };
        let line = request_line(id, "subscriptions/listen", &params);
        let sent = tokio::time::timeout(options.request_timeout, self.link.outbox.send(line)).await;
        if !matches!(sent, Ok(Ok(()))) {
            options
                .events
                .note("changes of the tool list could not be subscribed to");
        }
    }
}

fn drop_repeated(list: &mut ToolList) {
    let mut seen = HashSet::new();
    let repeated: HashSet<String> = list
        .tools
        .iter()
        .filter(|tool| !seen.insert(tool.name.as_str()))
        .map(|tool| tool.name.clone())
        .collect();
    list.tools.retain(|tool| !repeated.contains(&tool.name));
    let mut repeated: Vec<_> = repeated.into_iter().collect();
    repeated.sort_unstable();
    list.notes.extend(
        repeated
            .iter()
            .map(|name| format!("left out all tools of the repeated name {}", excerpt(name))),
    );
}

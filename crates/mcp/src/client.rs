//! The client towards one plugin.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::Limits;
use crate::call::{CallOutcome, ToolCall};
use crate::counters::Counters;
use crate::error::McpError;
use crate::events::{NoEvents, PluginEvents};
use crate::message::{notification_line, request_line};
use crate::meta::{self, Implementation};
use crate::negotiate::{self, Agreed};
use crate::outbox::Outbox;
use crate::receive::{Answer, Open, Receiver};
use crate::revision::Revision;
use crate::text::excerpt;
use crate::tool::Tool;

/// Pages of one tool list; a plugin could go on for ever.
const MAX_PAGES: usize = 100;
/// Tools of one plugin.
const MAX_TOOLS: usize = 2_000;
/// The longest cursor, in bytes.
const CURSOR_BYTES: usize = 8 << 10;
/// Short lines waiting for a plugin that does not read: answers to its pings, cancellations. More are dropped.
const CONTROL_QUEUE: usize = 64;

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
    /// Bounds on each message.
    pub limits: Limits,
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

/// What becomes of a request that nobody waits for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDrop {
    /// The plugin is told.
    Cancel,
    /// Nothing: the handshake must not be cancelled.
    Forget,
}

/// Cancels the tasks of a connection when the last user of it goes.
pub(crate) struct Stop(pub(crate) CancellationToken);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The connection itself, before and after a revision is agreed on.
pub(crate) struct Link {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) revision: Arc<OnceLock<Revision>>,
    pub(crate) request_timeout: Duration,
    open: Arc<Mutex<Open>>,
    ended: CancellationToken,
    next_id: AtomicI64,
    control: mpsc::Sender<Vec<u8>>,
    line_limit: usize,
    _stop: Stop,
}

impl Link {
    fn new<R, W>(
        reader: R,
        writer: W,
        options: &ClientOptions,
        stop: Stop,
    ) -> (Arc<Self>, Receiver<R>)
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (control, lines) = mpsc::channel(CONTROL_QUEUE);
        let outbox = Arc::new(Outbox::new(writer));
        tokio::spawn(
            stop.0
                .clone()
                .run_until_cancelled_owned(courier(Arc::clone(&outbox), lines)),
        );
        let link = Self {
            outbox,
            counters: Arc::default(),
            revision: Arc::default(),
            request_timeout: options.request_timeout,
            open: Arc::default(),
            ended: CancellationToken::new(),
            next_id: AtomicI64::new(1),
            control,
            line_limit: options.limits.line,
            _stop: stop,
        };
        let receiver = Receiver::new(reader, &link, link._stop.0.clone(), options);
        (Arc::new(link), receiver)
    }

    pub(crate) fn shared(&self) -> (Arc<Mutex<Open>>, CancellationToken, mpsc::Sender<Vec<u8>>) {
        (
            Arc::clone(&self.open),
            self.ended.clone(),
            self.control.clone(),
        )
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a request: its id, and where its answer will arrive.
    fn enter(&self) -> Result<(i64, oneshot::Receiver<Answer>), McpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (send, receive) = oneshot::channel();
        let mut open = self.open();
        if let Some(reason) = &open.gone {
            return Err(McpError::PluginGone {
                reason: reason.clone(),
            });
        }
        open.requests.insert(id, send);
        Ok((id, receive))
    }

    /// Sends a request and waits for the answer to exactly this request.
    pub(crate) async fn request(
        &self,
        method: &'static str,
        params: Map<String, Value>,
        timeout: Duration,
        on_drop: OnDrop,
    ) -> Result<Map<String, Value>, McpError> {
        let malformed = self.counters.malformed();
        let (id, answer) = self.enter()?;
        let mut waiting = Waiting {
            link: self,
            id,
            told: false,
            on_drop,
        };
        let line = request_line(id, method, &params);
        if line.len() > self.line_limit {
            return Err(McpError::TooLarge {
                size: line.len(),
                limit: self.line_limit,
            });
        }
        let exchange = async {
            waiting.told = true;
            if let Err(error) = self.outbox.send(line).await {
                return Err(self.gone(&error.to_string()));
            }
            answer
                .await
                .unwrap_or_else(|_| Err(self.gone("its connection was closed")))
        };
        let answered = tokio::time::timeout(timeout, exchange).await;
        match answered {
            Ok(result) => {
                waiting.told = false;
                result?.map_err(|error| McpError::Refused { method, error })
            }
            Err(_) => Err(McpError::TimedOut {
                method,
                after: timeout,
                malformed: self.counters.malformed().saturating_sub(malformed),
            }),
        }
    }

    fn gone(&self, otherwise: &str) -> McpError {
        let reason = self
            .open()
            .gone
            .clone()
            .unwrap_or_else(|| otherwise.to_owned());
        McpError::PluginGone { reason }
    }
}

/// Takes a request off the list of open ones, however its waiting ends.
struct Waiting<'l> {
    link: &'l Link,
    id: i64,
    told: bool,
    on_drop: OnDrop,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.link.open().requests.remove(&self.id);
        if self.told && self.on_drop == OnDrop::Cancel {
            let mut params = Map::new();
            params.insert("requestId".into(), self.id.into());
            // A plugin that reads nothing cannot be told; the queue is bounded.
            let _ = self
                .link
                .control
                .try_send(notification_line("notifications/cancelled", &params));
        }
    }
}

/// Sends the short lines that nobody may wait for.
async fn courier(outbox: Arc<Outbox>, mut lines: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if outbox.send(line).await.is_err() {
            return;
        }
    }
}

/// Puts the metadata of a 2026-07-28 request into its params, beside what is there.
pub(crate) fn stamp(params: &mut Map<String, Value>, metadata: &Map<String, Value>) {
    match params.get_mut("_meta") {
        Some(Value::Object(meta)) => {
            meta::strip_reserved(meta);
            meta.extend(metadata.clone());
        }
        _ => {
            params.insert("_meta".into(), Value::Object(metadata.clone()));
        }
    }
}

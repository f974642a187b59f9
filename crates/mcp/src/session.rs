//! One agent's connection: reading, looking up, running side by side, answering.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::call::ToolCall;
use crate::elicit::Asked;
use crate::error::{INTERNAL_ERROR, INVALID_REQUEST, McpError, PARSE_ERROR, RpcError};
use crate::job::{Cache, Job, Work, finish};
use crate::message::{
    Message, MessageError, RequestId, error_line, notification_line, result_line, salvage_id,
};
use crate::meta::{self, Implementation, Peer};
use crate::method::{AgentNotification, AgentRequest};
use crate::outbox::Outbox;
use crate::reader::{Line, LineReader};
use crate::revision::Revision;
use crate::server::{Handler, ServerOptions};

/// Subscriptions of one agent that are open at the same time.
const MAX_SUBSCRIPTIONS: usize = 16;
/// How long calls may take to notice that they are cancelled, once the agent is gone.
const CANCELLED_GRACE: Duration = Duration::from_secs(2);
/// The error when too much runs at once; outside the range that JSON-RPC reserves.
const BUSY: i64 = -31000;

type Members = Map<String, Value>;

pub(crate) struct Session {
    outbox: Arc<Outbox>,
    asked: Arc<Asked>,
    handler: Arc<dyn Handler>,
    options: ServerOptions,
    /// The client of the handshake, for requests without metadata of their own.
    greeted: Option<Arc<Peer>>,
    initialized: bool,
    subscriptions: Vec<Subscription>,
    running: HashMap<RequestId, CancellationToken>,
    ids: HashMap<Id, RequestId>,
    tasks: JoinSet<std::io::Result<()>>,
}

impl Session {
    pub(crate) fn new(
        writer: impl AsyncWrite + Send + Unpin + 'static,
        handler: Arc<dyn Handler>,
        options: ServerOptions,
    ) -> Self {
        Self {
            outbox: Arc::new(Outbox::new(writer)),
            asked: Arc::default(),
            handler,
            options,
            greeted: None,
            initialized: false,
            subscriptions: Vec::new(),
            running: HashMap::new(),
            ids: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    pub(crate) async fn run(
        mut self,
        source: impl AsyncRead + Send + Unpin,
    ) -> Result<(), McpError> {
        let result = self
            .serve(source)
            .await
            .map_err(|error| McpError::Io(error.to_string()));
        if result.is_ok() {
            self.drain().await;
        }
        self.outbox.close().await;
        result
    }

    async fn serve(&mut self, source: impl AsyncRead + Send + Unpin) -> std::io::Result<()> {
        let mut lines = LineReader::new(source, self.options.limits.line);
        let mut changes = self
            .options
            .list_changed
            .as_ref()
            .map(|changed| changed.subscribe());
        loop {
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.finished(ended).await?,
                () = changed(&mut changes) => self.announce().await?,
                line = lines.next() => match line? {
                    None => return Ok(()),
                    Some(Line::TooLong) => {
                        let error = MessageError::TooLong { limit: self.options.limits.line };
                        self.malformed(&error, None).await?;
                    }
                    Some(Line::Text(text)) => match Message::parse(text, self.options.limits.json) {
                        Ok(message) => self.take(message).await?,
                        Err(error) => self.malformed(&error, salvage_id(text)).await?,
                    },
                },
            }
        }
    }

    /// Lets what runs come to its end; the agent may still be reading.
    async fn drain(&mut self) {
        let _ = tokio::time::timeout(self.options.drain, self.wait()).await;
        for cancel in self.running.values() {
            cancel.cancel();
        }
        let _ = tokio::time::timeout(CANCELLED_GRACE, self.wait()).await;
        self.tasks.shutdown().await;
    }

    async fn wait(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if self.finished(ended).await.is_err() {
                return;
            }
        }
    }

    async fn take(&mut self, message: Message) -> std::io::Result<()> {
        match message {
            Message::Request { id, method, params } => match self.asked(&id, &method, params) {
                Ok(None) => Ok(()),
                Ok(Some(line)) => self.outbox.send(line).await,
                Err(error) => {
                    self.outbox
                        .send(error_line(Some(id.to_value()), &error))
                        .await
                }
            },
            Message::Notification { method, params } => {
                self.notified(&method, &params);
                Ok(())
            }
            Message::Response { id, outcome } => {
                if !self.asked.answered(id.as_ref(), outcome) {
                    self.options.counters.add_response();
                }
                Ok(())
            }
        }
    }

    /// The line that answers a request, if it can be answered at once.
    fn asked(
        &mut self,
        id: &RequestId,
        method: &str,
        params: Members,
    ) -> Result<Option<Vec<u8>>, RpcError> {
        if self.running.contains_key(id) || self.subscriptions.iter().any(|open| open.id == *id) {
            return Err(RpcError::invalid_request(
                "a request of this id is still running",
            ));
        }
        let peer = match params.get("_meta") {
            Some(Value::Object(meta)) => Peer::from_meta(meta)?.map(Arc::new),
            None | Some(Value::Null) => None,
            Some(_) => return Err(RpcError::invalid_params("\"_meta\" must be an object")),
        };
        let revision = match (&peer, &self.greeted) {
            (Some(peer), _) | (None, Some(peer)) => peer.revision,
            (None, None) if method == "server/discover" => Revision::MODERN,
            (None, None) => Revision::LEGACY,
        };
        let Some(request) = AgentRequest::lookup(revision, method) else {
            self.options.counters.add_request();
            return Err(RpcError::method_not_found(method));
        };
        match request {
            AgentRequest::Ping => return Ok(Some(result_line(id, &Members::new()))),
            AgentRequest::Initialize => return self.initialize(id, params).map(Some),
            _ => {}
        }
        let Some(peer) = peer.or_else(|| self.greeted.clone()) else {
            return Err(RpcError::invalid_params(format!(
                "{method} needs either an initialize handshake before it or _meta[\"{}\"] and _meta[\"{}\"] with it",
                meta::VERSION,
                meta::CLIENT_CAPABILITIES
            )));
        };
        match request {
            AgentRequest::Discover => Ok(Some(result_line(id, &self.discovery()))),
            AgentRequest::Listen => self.listen(id, &params).map(Some),
            AgentRequest::ListTools
                if params.contains_key("cursor") && params.get("cursor") != Some(&Value::Null) =>
            {
                Err(RpcError::invalid_params(
                    "this list has one page and no cursor",
                ))
            }
            AgentRequest::ListTools => self.start(id, Work::List, peer),
            _ => self.start(
                id,
                Work::Call(Box::new(ToolCall::from_params(params)?)),
                peer,
            ),
        }
    }

    fn initialize(&mut self, id: &RequestId, mut params: Members) -> Result<Vec<u8>, RpcError> {
        if self.greeted.is_some() {
            return Err(RpcError::invalid_request(
                "initialize was answered before on this connection",
            ));
        }
        let Some(Value::String(version)) = params.shift_remove("protocolVersion") else {
            return Err(RpcError::invalid_params(
                "initialize needs a text \"protocolVersion\"",
            ));
        };
        let Some(Value::Object(capabilities)) = params.shift_remove("capabilities") else {
            return Err(RpcError::invalid_params(
                "initialize needs an object \"capabilities\"",
            ));
        };
        let Some(client) = params
            .shift_remove("clientInfo")
            .and_then(Implementation::from_value)
        else {
            return Err(RpcError::invalid_params(
                "\"clientInfo\" must hold the texts \"name\" and \"version\"",
            ));
        };
        // Another version is answered with one that we speak; the client then decides.
        let revision = Revision::parse(&version)
            .filter(|revision| !revision.is_modern())
            .unwrap_or(Revision::LEGACY);
        self.greeted = Some(Arc::new(Peer {
            revision,
            client: Some(client),
            capabilities,
        }));
        let mut result = Members::new();
        result.insert("protocolVersion".into(), revision.as_str().into());
        result.insert("capabilities".into(), self.capabilities());
        result.insert("serverInfo".into(), self.handler.server_info().to_value());
        if let Some(instructions) = self.handler.instructions() {
            result.insert("instructions".into(), instructions.into());
        }
        Ok(result_line(id, &result))
    }

    fn discovery(&self) -> Members {
        let mut result = Members::new();
        result.insert(
            "supportedVersions".into(),
            json!([Revision::MODERN.as_str()]),
        );
        result.insert("capabilities".into(), self.capabilities());
        if let Some(instructions) = self.handler.instructions() {
            result.insert("instructions".into(), instructions.into());
        }
        finish(
            &mut result,
            &*self.handler,
            Revision::MODERN,
            Cache::Private,
        );
        result
    }

    fn capabilities(&self) -> Value {
        match self.options.list_changed {
            Some(_) => json!({ "tools": { "listChanged": true } }),
            None => json!({ "tools": {} }),
        }
    }

    /// Opens a subscription; its acknowledgement comes first, its end is the agent's cancellation.
    fn listen(&mut self, id: &RequestId, params: &Members) -> Result<Vec<u8>, RpcError> {
        let Some(wanted) = params.get("notifications").and_then(Value::as_object) else {
            return Err(RpcError::invalid_params(
                "subscriptions/listen needs an object \"notifications\"",
            ));
        };
        let tools = wanted.get("toolsListChanged") == Some(&Value::Bool(true))
            && self.options.list_changed.is_some();
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(RpcError::new(
                BUSY,
                "too many subscriptions at once; cancel one",
            ));
        }
        self.subscriptions.push(Subscription {
            id: id.clone(),
            tools,
        });
        let honoured = if tools {
            json!({ "toolsListChanged": true })
        } else {
            json!({})
        };
        let mut params = subscription_meta(id);
        params.insert("notifications".into(), honoured);
        Ok(notification_line(
            "notifications/subscriptions/acknowledged",
            &params,
        ))
    }

    async fn announce(&mut self) -> std::io::Result<()> {
        const METHOD: &str = "notifications/tools/list_changed";
        if self.initialized {
            self.outbox
                .send(notification_line(METHOD, &Members::new()))
                .await?;
        }
        for open in self.subscriptions.iter().filter(|open| open.tools) {
            self.outbox
                .send(notification_line(METHOD, &subscription_meta(&open.id)))
                .await?;
        }
        Ok(())
    }

    fn notified(&mut self, method: &str, params: &Members) {
        match AgentNotification::lookup(method) {
            Some(AgentNotification::Initialized) if self.greeted.is_some() => {
                self.initialized = true
            }
            Some(AgentNotification::Cancelled) => {
                let Some(id) = params.get("requestId").and_then(RequestId::from_value) else {
                    return self.options.counters.add_notification();
                };
                self.subscriptions.retain(|open| open.id != id);
                if let Some(cancel) = self.running.get(&id) {
                    cancel.cancel();
                }
            }
            _ => self.options.counters.add_notification(),
        }
    }

    fn start(
        &mut self,
        id: &RequestId,
        work: Work,
        peer: Arc<Peer>,
    ) -> Result<Option<Vec<u8>>, RpcError> {
        if self.running.len() >= self.options.in_flight {
            return Err(RpcError::new(
                BUSY,
                format!(
                    "{} requests are running already; wait for one",
                    self.running.len()
                ),
            ));
        }
        let cancel = CancellationToken::new();
        self.running.insert(id.clone(), cancel.clone());
        let job = Job {
            id: id.clone(),
            peer,
            cancel,
            limit: self.options.limits.line,
            handler: Arc::clone(&self.handler),
            outbox: Arc::clone(&self.outbox),
            asked: Arc::clone(&self.asked),
        };
        let task = self.tasks.spawn(job.run(work));
        self.ids.insert(task.id(), id.clone());
        Ok(None)
    }

    /// A task has ended: its id is free again, and a panic is answered.
    async fn finished(
        &mut self,
        ended: Result<(Id, std::io::Result<()>), JoinError>,
    ) -> std::io::Result<()> {
        let task = match &ended {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let Some(id) = self.ids.remove(&task) else {
            return Ok(());
        };
        self.running.remove(&id);
        match ended {
            Ok((_, sent)) => sent,
            Err(_) => {
                let error = RpcError::new(
                    INTERNAL_ERROR,
                    "the request failed inside; nothing more is known",
                );
                self.outbox
                    .send(error_line(Some(id.to_value()), &error))
                    .await
            }
        }
    }

    async fn malformed(
        &mut self,
        error: &MessageError,
        id: Option<RequestId>,
    ) -> std::io::Result<()> {
        self.options.counters.add_malformed();
        let code = match error {
            MessageError::Json(_) => PARSE_ERROR,
            MessageError::TooLong { .. } | MessageError::Envelope(_) => INVALID_REQUEST,
        };
        let unknown = self.greeted.is_some().then_some(Value::Null);
        let id = id.map(|id| id.to_value()).or(unknown);
        self.outbox
            .send(error_line(id, &RpcError::new(code, error.to_string())))
            .await
    }
}

/// An open `subscriptions/listen`.
struct Subscription {
    id: RequestId,
    /// Whether changes of the list of tools were asked for and can be told.
    tools: bool,
}

/// Waits for a change of the list; for ever when there is nobody to announce one.
async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(receiver) = changes {
        if receiver.changed().await.is_ok() {
            return;
        }
        *changes = None;
    }
    std::future::pending().await
}

fn subscription_meta(id: &RequestId) -> Members {
    let mut meta = Members::new();
    meta.insert(meta::SUBSCRIPTION.into(), id.to_value());
    let mut params = Members::new();
    params.insert("_meta".into(), Value::Object(meta));
    params
}

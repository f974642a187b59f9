//! The receiving side of the connection to a plugin: one task that never waits for the plugin to read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Map, Value};
use tokio::io::AsyncRead;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::client::ClientOptions;
use crate::counters::Counters;
use crate::error::{McpError, RpcError};
use crate::events::PluginEvents;
use crate::json::JsonLimits;
use crate::link::Link;
use crate::message::{Message, MessageError, RequestId, error_line, result_line, salvage_id};
use crate::method::{PluginNotification, PluginRequest};
use crate::reader::{Line, LineReader};
use crate::revision::Revision;
use crate::text::excerpt;

/// Lines that are no messages before the plugin is given up. Some servers print a banner; none prints this much.
const MAX_MALFORMED: u64 = 10_000;
/// How many of them are noted one by one.
const NOTED: u64 = 20;
/// Requests of one plugin that are answered at the same time.
const ANSWERING: usize = 16;

/// What a request ends in: the plugin's result or error, or why there is none.
pub(crate) type Answer = Result<Result<Map<String, Value>, RpcError>, McpError>;

/// The requests that wait for an answer.
#[derive(Default)]
pub(crate) struct Open {
    pub(crate) requests: HashMap<i64, oneshot::Sender<Answer>>,
    /// Why there will be no more answers.
    pub(crate) gone: Option<String>,
}

pub(crate) struct Receiver<R> {
    lines: LineReader<R>,
    side: Side,
    stop: CancellationToken,
}

/// All of the receiver but the stream itself.
struct Side {
    limits: JsonLimits,
    line_limit: usize,
    revision: Arc<OnceLock<Revision>>,
    open: Arc<Mutex<Open>>,
    ended: CancellationToken,
    stop: CancellationToken,
    control: mpsc::Sender<Vec<u8>>,
    counters: Arc<Counters>,
    events: Arc<dyn PluginEvents>,
    answering: Arc<Semaphore>,
}

impl<R: AsyncRead + Send + Unpin> Receiver<R> {
    pub(crate) fn new(
        source: R,
        link: &Link,
        stop: CancellationToken,
        options: &ClientOptions,
    ) -> Self {
        let (open, ended, control) = link.shared();
        Self {
            lines: LineReader::new(source, options.limits.line),
            side: Side {
                limits: options.limits.json,
                line_limit: options.limits.line,
                revision: Arc::clone(&link.revision),
                open,
                ended,
                stop: stop.clone(),
                control,
                counters: Arc::clone(&link.counters),
                events: Arc::clone(&options.events),
                answering: Arc::new(Semaphore::new(ANSWERING)),
            },
            stop,
        }
    }

    /// Reads until the plugin's output ends or the client is dropped; then every open request fails.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let reason = stop
            .run_until_cancelled(self.read_all())
            .await
            .unwrap_or_else(|| "its connection was closed".into());
        self.side.end(&reason);
    }

    async fn read_all(&mut self) -> String {
        loop {
            let line = match self.lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => return "its output ended".into(),
                Err(error) => return format!("its output cannot be read: {error}"),
            };
            let parsed = match line {
                Line::TooLong => Err((
                    MessageError::TooLong {
                        limit: self.side.line_limit,
                    },
                    None,
                )),
                Line::Text(text) => Message::parse(text, self.side.limits)
                    .map_err(|error| (error, salvage_id(text))),
            };
            match parsed {
                Ok(message) => self.side.take(message),
                Err((error, id)) => {
                    if self.side.malformed(&error, id) >= MAX_MALFORMED {
                        return format!("it wrote {MAX_MALFORMED} lines that are not MCP messages");
                    }
                }
            }
        }
    }
}

/// However the receiving task ends, also by a panic of [`PluginEvents`], nobody is left waiting.
impl Drop for Side {
    fn drop(&mut self) {
        self.end("its output is no longer read");
    }
}

impl Side {
    /// Fails every open request and all later ones; only the first reason counts.
    fn end(&self, reason: &str) {
        let mut open = self.open();
        let reason = open.gone.get_or_insert_with(|| reason.to_owned()).clone();
        for (_, waiting) in open.requests.drain() {
            let _ = waiting.send(Err(McpError::PluginGone {
                reason: reason.clone(),
            }));
        }
        drop(open);
        self.ended.cancel();
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revision(&self) -> Revision {
        self.revision.get().copied().unwrap_or(Revision::LEGACY)
    }

    fn take(&self, message: Message) {
        match message {
            Message::Response { id, outcome } => self.respond(id.as_ref(), Ok(outcome)),
            Message::Notification { method, params } => self.notified(&method, params),
            Message::Request { id, method, params } => self.asked(id, &method, params),
        }
    }

    /// Hands an answer to the request of its id, once; any other is dropped.
    fn respond(&self, id: Option<&RequestId>, answer: Answer) {
        let waiting = match id {
            Some(RequestId::Number(id)) => self.open().requests.remove(id),
            _ => None,
        };
        match waiting {
            // Whoever waited may have given up in this moment.
            Some(waiting) => drop(waiting.send(answer)),
            None => self.counters.add_response(),
        }
    }

    /// Counts a line that is no message; a request that it seems to answer fails now and not on time-out. Returns how
    /// many there were.
    fn malformed(&self, error: &MessageError, id: Option<RequestId>) -> u64 {
        let count = self.counters.add_malformed();
        if count <= NOTED {
            self.events
                .note(&format!("dropped from the plugin's output: {error}"));
        }
        if let Some(RequestId::Number(id)) = id {
            if let Some(waiting) = self.open().requests.remove(&id) {
                let _ = waiting.send(Err(McpError::Unreadable(error.clone())));
            }
        } else if matches!(error, MessageError::TooLong { .. }) {
            // Which request it answers cannot be told; it is one of these, and waiting for it would be in vain.
            for (_, waiting) in self.open().requests.drain() {
                let _ = waiting.send(Err(McpError::Unreadable(error.clone())));
            }
        }
        count
    }

    fn notified(&self, method: &str, params: Map<String, Value>) {
        match PluginNotification::lookup(self.revision(), method) {
            Some(PluginNotification::ToolsListChanged) => self.events.tools_list_changed(),
            Some(PluginNotification::Progress) => self.events.progress(params),
            Some(PluginNotification::Log) => self.events.log(params),
            Some(PluginNotification::SubscriptionAcknowledged) => {}
            None => self.counters.add_notification(),
        }
    }

    fn asked(&self, id: RequestId, method: &str, params: Map<String, Value>) {
        match PluginRequest::lookup(self.revision(), method) {
            Some(PluginRequest::Ping) => self.reply(result_line(&id, &Map::new())),
            Some(request) if self.events.answers(request) => self.answer(id, request, params),
            _ => {
                self.counters.add_request();
                // A 2026-07-28 server may send no requests, and we no responses: there is nobody to tell.
                if !self.revision().is_modern() {
                    self.events
                        .note(&format!("refused the plugin's request {}", excerpt(method)));
                    self.reply(error_line(
                        Some(id.to_value()),
                        &RpcError::method_not_found(method),
                    ));
                }
            }
        }
    }

    fn answer(&self, id: RequestId, request: PluginRequest, params: Map<String, Value>) {
        let Ok(permit) = Arc::clone(&self.answering).try_acquire_owned() else {
            self.counters.add_request();
            self.reply(error_line(
                Some(id.to_value()),
                &RpcError::internal("too many requests at once"),
            ));
            return;
        };
        let (events, control) = (Arc::clone(&self.events), self.control.clone());
        let work = async move {
            let line = match events.request(request, params).await {
                Ok(result) => result_line(&id, &result),
                Err(error) => error_line(Some(id.to_value()), &error),
            };
            let _ = control.send(line).await;
            drop(permit);
        };
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(work));
    }

    /// A plugin that asks and does not read loses the answers, not our memory.
    fn reply(&self, line: Vec<u8>) {
        if self.control.try_send(line).is_err() {
            self.counters.add_request();
        }
    }
}

//! The connection to a plugin: requests keyed by id, whatever revision is spoken.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::client::ClientOptions;
use crate::counters::Counters;
use crate::error::McpError;
use crate::message::{notification_line, request_line};
use crate::meta;
use crate::outbox::Outbox;
use crate::receive::{Answer, Open, Receiver};
use crate::revision::Revision;

/// Short lines waiting for a plugin that does not read: answers to its pings, cancellations. More are dropped.
const CONTROL_QUEUE: usize = 64;

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
    pub(crate) ended: CancellationToken,
    next_id: AtomicI64,
    control: mpsc::Sender<Vec<u8>>,
    line_limit: usize,
    _stop: Stop,
}

impl Link {
    pub(crate) fn new<R, W>(
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
            line_limit: options.send_limit,
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

    pub(crate) fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a request: its id, and where its answer will arrive.
    pub(crate) fn enter(&self) -> Result<(i64, oneshot::Receiver<Answer>), McpError> {
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

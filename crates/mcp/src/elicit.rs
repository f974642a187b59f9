//! Questions of ours to the agent's user, while a call of the agent's runs: `elicitation/create`, until 2025-11-25.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::error::RpcError;
use crate::message::{RequestId, notification_line, request_line};
use crate::outbox::Outbox;

/// Questions that wait for one agent at the same time; more are refused.
const MAX_OPEN: usize = 16;

type Members = Map<String, Value>;
type Answer = Result<Members, RpcError>;

/// The questions that wait for one agent.
#[derive(Default)]
pub(crate) struct Asked {
    next: AtomicI64,
    open: Mutex<HashMap<i64, oneshot::Sender<Answer>>>,
}

impl Asked {
    fn open(&self) -> MutexGuard<'_, HashMap<i64, oneshot::Sender<Answer>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an answer to whoever asked; false where nobody did.
    pub(crate) fn answered(&self, id: Option<&RequestId>, answer: Answer) -> bool {
        let number = id.and_then(|id| id.to_value().as_i64());
        let asked = number.and_then(|number| self.open().remove(&number));
        // Whoever asked may have stopped waiting.
        asked.is_some_and(|asked| asked.send(answer).is_ok())
    }
}

/// Asks the user of an agent, while a call runs or later on the same connection.
#[derive(Clone)]
pub struct Elicitor {
    pub(crate) asked: Arc<Asked>,
    pub(crate) outbox: Arc<Outbox>,
}

/// Takes a question back where nobody waits for its answer any more.
struct Open<'a> {
    id: i64,
    elicitor: &'a Elicitor,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let unanswered = self.elicitor.asked.open().remove(&self.id).is_some();
        if let (true, Ok(runtime)) = (unanswered, tokio::runtime::Handle::try_current()) {
            let outbox = Arc::clone(&self.elicitor.outbox);
            let mut params = Members::new();
            params.insert("requestId".into(), self.id.into());
            // An agent that is gone needs no telling.
            runtime.spawn(async move {
                outbox
                    .send(notification_line("notifications/cancelled", &params))
                    .await
            });
        }
    }
}

impl Elicitor {
    /// Asks, and waits for the result of `elicitation/create`. Dropping the future takes the question back.
    ///
    /// # Errors
    /// What the agent answered instead, a broken connection, too many questions at once.
    pub async fn elicit(&self, params: &Members) -> Answer {
        let id = self.asked.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut open = self.asked.open();
            if open.len() >= MAX_OPEN {
                return Err(RpcError::internal("too many questions wait for this agent"));
            }
            open.insert(id, sender);
        }
        let _open = Open { id, elicitor: self };
        let gone = |_| RpcError::internal("the agent is gone");
        self.outbox
            .send(request_line(id, "elicitation/create", params))
            .await
            .map_err(gone)?;
        answer
            .await
            .map_err(|_| RpcError::internal("the agent is gone"))?
    }
}

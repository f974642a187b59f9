//! One request of the agent that runs beside others, and what a result carries in each revision.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::call::ToolCall;
use crate::elicit::{Asked, Elicitor};
use crate::error::RpcError;
use crate::message::{RequestId, error_line, result_line};
use crate::meta::{self, Peer};
use crate::outbox::Outbox;
use crate::revision::Revision;
use crate::server::Handler;

type Members = Map<String, Value>;

/// Whether a result says how long it may be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Not at all, and for nobody else.
    Private,
    /// Nothing said.
    Unsaid,
}

/// Adds what a 2026-07-28 result carries: its kind, who answers, and for how long.
pub(crate) fn finish(
    result: &mut Members,
    handler: &dyn Handler,
    revision: Revision,
    cache: Cache,
) {
    if !revision.is_modern() {
        return;
    }
    if !result.contains_key("resultType") {
        result.insert("resultType".into(), "complete".into());
    }
    if cache == Cache::Private {
        result.insert("ttlMs".into(), 0.into());
        result.insert("cacheScope".into(), "private".into());
    }
    let info = handler.server_info().to_value();
    match result.get_mut("_meta") {
        Some(Value::Object(meta)) => {
            meta.insert(meta::SERVER_INFO.into(), info);
        }
        _ => {
            result.insert("_meta".into(), json!({ meta::SERVER_INFO: info }));
        }
    }
}

pub(crate) enum Work {
    List,
    Call(Box<ToolCall>),
}

/// One request that runs beside others.
pub(crate) struct Job {
    pub(crate) id: RequestId,
    pub(crate) peer: Arc<Peer>,
    pub(crate) cancel: CancellationToken,
    pub(crate) limit: usize,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) asked: Arc<Asked>,
}

impl Job {
    pub(crate) async fn run(self, work: Work) -> std::io::Result<()> {
        if let Some(elicitor) = self.elicitor() {
            self.handler.may_be_asked(&self.peer, elicitor);
        }
        let result = match work {
            Work::List => self.list().await,
            Work::Call(call) => self.call(*call).await,
        };
        if self.cancel.is_cancelled() {
            return Ok(());
        }
        let refuse = |error| error_line(Some(self.id.to_value()), &error);
        let mut line = result.map_or_else(refuse, |members| result_line(&self.id, &members));
        if line.len() > self.limit {
            line = refuse(RpcError::internal(format!(
                "the answer is over the limit of {} bytes",
                self.limit
            )));
        }
        self.outbox.send(line).await
    }

    async fn list(&self) -> Result<Members, RpcError> {
        let revision = self.peer.revision;
        let tools = self.handler.list_tools(&self.peer).await?;
        let tools = tools
            .into_iter()
            .map(|tool| tool.into_value(revision))
            .collect();
        let mut result = Members::new();
        result.insert("tools".into(), Value::Array(tools));
        finish(&mut result, &*self.handler, revision, Cache::Private);
        Ok(result)
    }

    /// Asks the agent's user, where the revision has it and the agent can.
    fn elicitor(&self) -> Option<Elicitor> {
        let asks = (Revision::V2025_06_18..Revision::MODERN).contains(&self.peer.revision);
        (asks && self.peer.takes_forms()).then(|| Elicitor {
            asked: Arc::clone(&self.asked),
            outbox: Arc::clone(&self.outbox),
        })
    }

    async fn call(&self, call: ToolCall) -> Result<Members, RpcError> {
        let revision = self.peer.revision;
        let cancel = self.cancel.clone();
        let outcome = if let Some(elicitor) = self.elicitor() {
            let asking = self
                .handler
                .call_tool_asking(&self.peer, call, elicitor, cancel);
            asking.await?
        } else {
            self.handler.call_tool(&self.peer, call, cancel).await?
        };
        let Some(mut result) = outcome.into_members(revision) else {
            return Err(RpcError::internal(format!(
                "the tool asks for input, which MCP {revision} cannot express"
            )));
        };
        finish(&mut result, &*self.handler, revision, Cache::Unsaid);
        Ok(result)
    }
}

//! The gate as an agent meets it: one MCP endpoint over one session.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bailiwick_audit::Event;
use bailiwick_mcp::{CallOutcome, Handler, Implementation, Peer, RpcError, Tool, ToolCall};
use bailiwick_policy::Agent;
use serde_json::{Map, Value};
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

use crate::host::{GateError, Host};
use crate::session::{Note, Session};
use crate::world::Source;

/// Told what became of the plugins when the session opens.
pub type Notes = Arc<dyn Fn(&Session, &[Note]) + Send + Sync>;

/// One MCP endpoint in front of plugins. The session opens with the first request, because who the agent is
/// belongs to every decision.
pub struct Gate {
    host: Arc<Host>,
    sources: Mutex<Vec<Source>>,
    namespaced: bool,
    session: OnceCell<Session>,
    fatal: watch::Sender<Option<String>>,
    notes: Notes,
}

impl Gate {
    /// A gate in front of `sources`. With `namespaced`, tools are called `plugin__tool`.
    #[must_use]
    pub fn new(host: Arc<Host>, sources: Vec<Source>, namespaced: bool, notes: Notes) -> Self {
        Self {
            host,
            sources: Mutex::new(sources),
            namespaced,
            session: OnceCell::new(),
            fatal: watch::Sender::new(None),
            notes,
        }
    }

    /// Records that the gate serves.
    ///
    /// # Errors
    /// The log's own.
    pub async fn begin(&self) -> Result<(), GateError> {
        let event = Event::GateStart {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_sha256: self.host.config_digest.clone(),
            policy_sha256: self.host.policy_digest.clone(),
        };
        Ok(self
            .host
            .recorder
            .durable(&bailiwick_audit::Subject::default(), event)
            .await?)
    }

    /// Returns when something happened after which the gate must not go on, such as a log that fails.
    pub async fn fatal(&self) -> String {
        let mut fatal = self.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Ends the session, every plugin, and the gate's record.
    ///
    /// # Errors
    /// The log's own.
    pub async fn end(&self, reason: &str) -> Result<(), GateError> {
        if let Some(session) = self.session.get() {
            session.close(reason).await?;
        }
        let event = Event::GateStop {
            reason: reason.to_owned(),
        };
        Ok(self
            .host
            .recorder
            .durable(&bailiwick_audit::Subject::default(), event)
            .await?)
    }

    async fn session(&self, peer: &Peer) -> Result<&Session, RpcError> {
        let agent = agent(peer);
        let opened = self
            .session
            .get_or_try_init(|| async {
                let sources = {
                    let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::take(&mut *sources)
                };
                let protocol = peer.revision.as_str();
                let session = Session::open(
                    self.host.clone(),
                    sources,
                    agent.clone(),
                    protocol,
                    self.namespaced,
                )
                .await?;
                (self.notes)(&session, &session.notes);
                Ok(session)
            })
            .await
            .map_err(|error: GateError| self.stop(&error))?;
        if opened.agent == agent {
            return Ok(opened);
        }
        let (expected, found) = (opened.agent.name.clone(), agent.name);
        Err(RpcError::invalid_request(
            GateError::OtherAgent { expected, found }.to_string(),
        ))
    }

    /// What an agent hears of an error of ours; the operator's words go elsewhere.
    fn stop(&self, error: &GateError) -> RpcError {
        self.fatal.send_replace(Some(error.to_string()));
        RpcError::internal(
            "the gate stops: it can no longer do its work safely; its operator was told why",
        )
    }
}

fn agent(peer: &Peer) -> Agent {
    match &peer.client {
        Some(client) => Agent {
            name: client.name.clone(),
            version: client.version.clone(),
        },
        None => Agent {
            name: "unknown".to_owned(),
            version: String::new(),
        },
    }
}

/// The trace id of a W3C `traceparent`.
fn trace(meta: &Map<String, Value>) -> Option<String> {
    let id = meta.get("traceparent")?.as_str()?.split('-').nth(1)?;
    let well_formed = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    well_formed.then(|| id.to_owned())
}

#[async_trait]
impl Handler for Gate {
    fn server_info(&self) -> Implementation {
        Implementation::new("bailiwick", env!("CARGO_PKG_VERSION"))
    }

    async fn list_tools(&self, peer: &Peer) -> Result<Vec<Tool>, RpcError> {
        Ok(self.session(peer).await?.tools())
    }

    async fn call_tool(
        &self,
        peer: &Peer,
        call: ToolCall,
        cancel: CancellationToken,
    ) -> Result<CallOutcome, RpcError> {
        let session = self.session(peer).await?;
        let trace = trace(&call.meta);
        session
            .call(&call.name, call.arguments, trace, &cancel)
            .await
            .map(CallOutcome::Complete)
            .map_err(|error| self.stop(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_well_formed_trace_id_is_taken() {
        let of = |value: Value| trace(json!({ "traceparent": value }).as_object().unwrap());
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(
            of(json!(format!("00-{id}-b7ad6b7169203331-01"))),
            Some(id.to_owned())
        );
        assert_eq!(of(json!("00-\u{1b}[31m-x-01")), None);
        assert_eq!(of(json!(7)), None);
    }
}

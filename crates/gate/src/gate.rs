//! The gate as an agent meets it: one MCP endpoint over one session.

mod unasked;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick_audit::Event;
use bailiwick_mcp::{
    CallOutcome, CallToolResult, Elicitor, Handler, Implementation, ListChanged, Peer, RpcError,
    Tool, ToolCall,
};
use bailiwick_policy::Agent;
use serde_json::{Map, Value};
use tokio::sync::{OnceCell, OwnedRwLockReadGuard, RwLock, watch};
use tokio_util::sync::CancellationToken;

use crate::approve::AtClient;
use crate::ask::{AtAnyTime, ByResult, Meanwhile, Waiting, Work};
use crate::host::{GateError, Host};
use crate::narrowed;
use crate::reload::Reload;
use crate::session::{Beside, Note, Session};
use crate::wanting::Wanting;
use crate::world::Source;

/// How long the end of the gate waits for calls that were told to stop, and for plugins to end.
const GRACE: Duration = Duration::from_secs(5);
/// Told what became of the plugins when the session opens.
pub type Notes = Arc<dyn Fn(&Session, &[Note]) + Send + Sync>;

/// One MCP endpoint in front of plugins. The session opens with the first request, because who the agent is
/// belongs to every decision.
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    host: Arc<Host>,
    sources: Mutex<Vec<Source>>,
    namespaced: bool,
    session: OnceCell<Session>,
    fatal: watch::Sender<Option<String>>,
    list_changed: ListChanged,
    has_opened: watch::Sender<bool>,
    /// Held by whoever changes what is in force, or opens the session under it.
    changing: tokio::sync::Mutex<()>,
    notes: Notes,
    /// Read by every request that runs; whoever may write knows that none does.
    running: Arc<RwLock<()>>,
    ending: CancellationToken,
    /// Calls that asked their user, until they are repeated.
    waiting: Waiting,
    /// Where the agent's user can be asked about plugins.
    client: AtAnyTime,
}

impl Gate {
    /// A gate in front of `sources`. With `namespaced`, tools are called `plugin__tool`.
    #[must_use]
    pub fn new(host: Arc<Host>, sources: Vec<Source>, namespaced: bool, notes: Notes) -> Self {
        Self {
            inner: Arc::new(Inner {
                host,
                sources: Mutex::new(sources),
                namespaced,
                session: OnceCell::new(),
                fatal: watch::Sender::new(None),
                list_changed: ListChanged::default(),
                has_opened: watch::Sender::new(false),
                changing: tokio::sync::Mutex::default(),
                notes,
                running: Arc::default(),
                ending: CancellationToken::new(),
                waiting: Waiting::default(),
                client: AtAnyTime::default(),
            }),
        }
    }

    /// Announces that other tools are offered; for whoever serves it.
    #[must_use]
    pub fn list_changed(&self) -> ListChanged {
        self.inner.list_changed.clone()
    }

    /// Records that the gate serves.
    ///
    /// # Errors
    /// The log's own.
    pub async fn begin(&self) -> Result<(), GateError> {
        let host = &self.inner.host;
        self.inner
            .record(Event::GateStart {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                config_sha256: host.config_digest.clone(),
                policy_sha256: host.judge.in_force.now().digest.clone(),
            })
            .await
    }

    /// Puts something else in force, in the session that is open as well. It was validated whole before.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn reload(&self, reload: Reload) -> Result<(), GateError> {
        let inner = &self.inner;
        let Ok(_running) = inner.running().await else {
            return Ok(());
        };
        let _alone = inner.changing.lock().await;
        let Some(session) = inner.session.get() else {
            let told = ["no session is open: it holds from the next one on".to_owned()];
            inner
                .host
                .policies_changed(&reload.ruling.digest, &told)
                .await?;
            inner.host.judge.in_force.replace(reload.ruling);
            if let Some(sources) = reload.sources {
                *inner.sources() = sources;
            }
            return Ok(());
        };
        let notes = session.reload(reload).await?;
        (inner.notes)(session, &notes);
        inner.ask_for_more(session);
        inner.list_changed.notify();
        Ok(())
    }

    /// Returns when something happened after which the gate must not go on, such as a log that fails.
    pub async fn fatal(&self) -> String {
        let mut fatal = self.inner.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Ends what runs, the session, every plugin, and the gate's record. Nothing begins after it.
    ///
    /// # Errors
    /// The log's own.
    pub async fn end(&self, reason: &str) -> Result<(), GateError> {
        let inner = &self.inner;
        inner.ending.cancel();
        // Cancelled calls still record how they ended; a plugin that hangs must not keep the gate.
        let idle = tokio::time::timeout(GRACE, inner.running.write()).await;
        let closed = match inner.session.get() {
            Some(session) => tokio::time::timeout(GRACE, session.close(reason))
                .await
                .unwrap_or(Ok(())),
            None => Ok(()),
        };
        let reason = match idle {
            Ok(_) => reason.to_owned(),
            Err(_) => format!("{reason}; not everything that ran came to its end"),
        };
        inner.record(Event::GateStop { reason }).await?;
        closed
    }

    /// Runs `work` to its end even if nobody waits for it any more: what began is recorded to its end.
    async fn to_its_end<T, F>(&self, work: F) -> Result<T, RpcError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RpcError>> + Send + 'static,
    {
        let running = self.inner.running().await?;
        let task = tokio::spawn(async move {
            let _running = running;
            work.await
        });
        task.await
            .unwrap_or_else(|_| Err(RpcError::internal("the request failed inside the gate")))
    }
}

impl Gate {
    /// Begins a call, which runs to its end; `stop` tells it to end soon.
    fn begin_call(
        &self,
        peer: &Peer,
        call: ToolCall,
        stop: CancellationToken,
        client: Option<Box<dyn AtClient>>,
    ) -> Work {
        let (inner, peer) = (self.inner.clone(), peer.clone());
        tokio::spawn(async move {
            let _running = inner.running().await?;
            let session = inner.session(&peer).await?;
            let beside = Beside {
                trace: trace(&call.meta),
                token: narrowed::token(&call.meta).transpose(),
                client: client.as_deref(),
            };
            let work = session.call_with(&call.name, call.arguments, beside, &stop);
            work.await.map_err(|error| inner.stop(&error))
        })
    }
}

impl Inner {
    /// Held while something runs that is recorded to its end.
    async fn running(&self) -> Result<OwnedRwLockReadGuard<()>, RpcError> {
        let running = self.running.clone().read_owned().await;
        if self.ending.is_cancelled() {
            return Err(RpcError::internal("the gate is stopping"));
        }
        Ok(running)
    }

    async fn record(&self, event: Event) -> Result<(), GateError> {
        let nobody = bailiwick_audit::Subject::default();
        Ok(self.host.recorder.durable(&nobody, event).await?)
    }

    async fn session(self: &Arc<Self>, peer: &Peer) -> Result<&Session, RpcError> {
        let agent = agent(peer);
        let opened = self
            .session
            .get_or_try_init(|| async {
                // Policies do not change while a session opens.
                let _alone = self.changing.lock().await;
                self.open(agent.clone(), peer.revision.as_str()).await
            })
            .await
            .map_err(|error: GateError| self.stop(&error))?;
        self.has_opened.send_replace(true);
        if opened.agent == agent {
            return Ok(opened);
        }
        let (expected, found) = (opened.agent.name.clone(), agent.name);
        Err(RpcError::invalid_request(
            GateError::OtherAgent { expected, found }.to_string(),
        ))
    }

    /// The session, once it is open; none where the gate ends before.
    async fn opened(&self) -> Option<&Session> {
        let mut opened = self.has_opened.subscribe();
        tokio::select! {
            opened = opened.wait_for(|opened| *opened) => opened.ok().and_then(|_| self.session.get()),
            () = self.ending.cancelled() => None,
        }
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask_for_more(self: &Arc<Self>, session: &Session) {
        for wanting in session.take_wanting() {
            tokio::spawn(ask(Arc::downgrade(self), wanting));
        }
    }

    async fn open(self: &Arc<Self>, agent: Agent, protocol: &str) -> Result<Session, GateError> {
        let sources = std::mem::take(&mut *self.sources());
        let session =
            Session::open(self.host.clone(), sources, agent, protocol, self.namespaced).await?;
        (self.notes)(&session, &session.notes);
        self.ask_for_more(&session);
        unasked::all(self);
        Ok(session)
    }

    /// What an agent hears of an error of ours; the operator's words go elsewhere.
    fn stop(&self, error: &GateError) -> RpcError {
        self.fatal.send_replace(Some(error.to_string()));
        RpcError::internal(
            "the gate stops: it can no longer do its work safely; its operator was told why",
        )
    }
}

/// Asks people for what a plugin wants, while its session goes on.
async fn ask(gate: Weak<Inner>, wanting: Wanting) {
    let Some(inner) = gate.upgrade() else { return };
    let Ok(_running) = inner.running().await else {
        return;
    };
    let stop = inner.ending.child_token();
    // The session is there once its opening, which began this, has come to its end.
    let Some(session) = inner.opened().await else {
        return;
    };
    let id = wanting.source.manifest.id().to_string();
    let done = match wanting.approved(&inner.host, &inner.client, &stop).await {
        Ok(Ok(approved)) => {
            let _alone = inner.changing.lock().await;
            session.start_approved(approved).await
        }
        Ok(Err(refusal)) => Ok((vec![Note::new(&id, &refusal.message)], false)),
        Err(error) => Err(error),
    };
    match done {
        Ok((notes, changed)) => {
            (inner.notes)(session, &notes);
            if changed {
                inner.list_changed.notify();
            }
        }
        Err(error) => drop(inner.stop(&error)),
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

/// What the client says of its trace, as W3C Trace Context has it.
fn trace(meta: &Map<String, Value>) -> Option<String> {
    Some(meta.get("traceparent")?.as_str()?.to_owned())
}

#[async_trait]
impl Handler for Gate {
    fn server_info(&self) -> Implementation {
        Implementation::new("bailiwick", env!("CARGO_PKG_VERSION"))
    }

    fn may_be_asked(&self, peer: &Peer, elicitor: Elicitor) {
        let revision = peer.revision;
        self.inner.client.is_at(Meanwhile { elicitor, revision });
    }

    async fn list_tools(&self, peer: &Peer) -> Result<Vec<Tool>, RpcError> {
        let (inner, peer) = (self.inner.clone(), peer.clone());
        self.to_its_end(async move {
            let session = inner.session(&peer).await?;
            session.tools().await.map_err(|error| inner.stop(&error))
        })
        .await
    }

    async fn call_tool(
        &self,
        peer: &Peer,
        call: ToolCall,
        cancel: CancellationToken,
    ) -> Result<CallOutcome, RpcError> {
        if let Some((work, stop)) = self.inner.waiting.repeated(&call)? {
            return finished(work, stop, &cancel)
                .await
                .map(CallOutcome::Complete);
        }
        let stop = self.inner.ending.child_token();
        if !(peer.revision.is_modern() && peer.takes_forms()) {
            let work = self.begin_call(peer, call, stop.clone(), None);
            return finished(work, stop, &cancel)
                .await
                .map(CallOutcome::Complete);
        }
        let (client, raised) = ByResult::new();
        let same = (call.name.clone(), call.arguments.clone());
        let mut work = self.begin_call(peer, call, stop.clone(), Some(Box::new(client)));
        let guard = stop.clone().drop_guard();
        tokio::select! {
            result = finished_by(&mut work, &stop, &cancel) => result.map(CallOutcome::Complete),
            Ok(raised) = raised => {
                guard.disarm();
                let asks = self.inner.waiting.keep(raised, same, work, stop, peer);
                asks.map(CallOutcome::InputRequired)
            }
        }
    }

    async fn call_tool_asking(
        &self,
        peer: &Peer,
        call: ToolCall,
        elicitor: Elicitor,
        cancel: CancellationToken,
    ) -> Result<CallOutcome, RpcError> {
        let stop = self.inner.ending.child_token();
        let revision = peer.revision;
        let client = Box::new(Meanwhile { elicitor, revision });
        let work = self.begin_call(peer, call, stop.clone(), Some(client));
        finished(work, stop, &cancel)
            .await
            .map(CallOutcome::Complete)
    }
}

/// Waits for a call, which is told to stop when nobody waits for it any more.
async fn finished(
    mut work: Work,
    stop: CancellationToken,
    cancel: &CancellationToken,
) -> Result<CallToolResult, RpcError> {
    let _waiting = stop.clone().drop_guard();
    finished_by(&mut work, &stop, cancel).await
}

async fn finished_by(
    work: &mut Work,
    stop: &CancellationToken,
    cancel: &CancellationToken,
) -> Result<CallToolResult, RpcError> {
    let result = tokio::select! {
        result = &mut *work => result,
        () = cancel.cancelled() => {
            stop.cancel();
            work.await
        }
    };
    result.unwrap_or_else(|_| Err(RpcError::internal("the request failed inside the gate")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trace_is_told_as_text() {
        let of = |value: Value| trace(json!({ "traceparent": value }).as_object().unwrap());
        assert_eq!(of(json!("00-a-b-01")), Some("00-a-b-01".to_owned()));
        assert_eq!(of(json!(7)), None);
    }
}

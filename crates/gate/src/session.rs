//! One agent's session: the plugins that were admitted for it, and the one way a tool is called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use bailiwick_audit::{Event, Subject};
use bailiwick_mcp::{CallToolResult, Tool};
use bailiwick_policy::{Agent, CallVerdict};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::admit::{Admitted, admit};
use crate::approve::AtClient;
use crate::host::{GateError, Host, session_id};
use crate::matter::question;
use crate::narrowed::Narrowed;
pub use crate::note::Note;
use crate::order::order;
use crate::plugin::Plugin;
use crate::record::{answered, call_decision};
use crate::refusal::Refusal;
use crate::rules::{CallRules, Caller, denial};
use crate::shelf::Shelf;
use crate::trace::of_call;
use crate::wanting::{Wanted, Wanting};
use crate::world::Source;

/// Between a plugin's id and its tool's name. No plugin's id holds it.
pub const NAMESPACE: &str = "__";

/// What can come with a call besides its arguments.
#[derive(Default)]
pub struct Beside<'a> {
    /// The client's trace, as in W3C Trace Context.
    pub trace: Option<String>,
    /// A narrowed token, in base64, or why what was given is none.
    pub token: Option<Result<String, Refusal>>,
    /// Where its user can be asked.
    pub client: Option<&'a dyn AtClient>,
}

/// A session with its running plugins.
pub struct Session {
    /// Its name.
    pub id: String,
    /// Who opened it.
    pub agent: Agent,
    /// What a person may want to know about its plugins.
    pub notes: Vec<Note>,
    pub(crate) host: Arc<Host>,
    /// All that were asked for, in the order in which they load.
    sources: RwLock<Vec<Arc<Source>>>,
    wanting: Mutex<Vec<Wanting>>,
    /// What people were asked about plugins.
    pub(crate) asked: Mutex<BTreeSet<Wanted>>,
    pub(crate) narrowed: tokio::sync::Mutex<Narrowed>,
    pub(crate) rules: CallRules,
    subject: Subject,
    namespaced: bool,
    pub(crate) shelf: RwLock<Arc<Shelf>>,
    calls: AtomicU64,
}

impl Session {
    /// Opens a session: every plugin is asked about, decided on, and started if it may be.
    /// With `namespaced`, tools are called `plugin__tool`.
    ///
    /// # Errors
    /// What stops the gate. A refused plugin does not: see [`Session::notes`].
    pub async fn open(
        host: Arc<Host>,
        sources: Vec<Source>,
        agent: Agent,
        protocol: &str,
        namespaced: bool,
    ) -> Result<Self, GateError> {
        let id = session_id()?;
        let subject = host.subject(&id, &agent);
        let client = format!("{} {}", agent.name, agent.version);
        let event = Event::SessionStart {
            client: client.trim().to_owned(),
            protocol: protocol.to_owned(),
        };
        host.recorder.durable(&subject, event).await?;
        let mut session = Self {
            id,
            agent,
            notes: Vec::new(),
            sources: RwLock::default(),
            wanting: Mutex::default(),
            asked: Mutex::default(),
            narrowed: tokio::sync::Mutex::default(),
            subject,
            namespaced,
            shelf: RwLock::default(),
            calls: AtomicU64::new(0),
            rules: CallRules::new(host.judge.in_force.now().pdp.clone(), host.ledger.clone()),
            host: host.clone(),
        };
        let order = order(sources);
        session.come_from(order.load.clone());
        let mut notes = Vec::new();
        for (source, why) in order.refused {
            notes.push(session.refuse(&source, why).await?);
        }
        for source in order.load {
            notes.extend(session.load(source).await?);
        }
        session.notes = notes;
        Ok(session)
    }

    /// A dependency that does not run, as a reason.
    pub(crate) fn lacks(&self, source: &Source) -> Option<String> {
        let shelf = self.shelf();
        let missing = (source.manifest.dependencies().iter())
            .map(|needed| needed.id.as_str())
            .find(|id| shelf.place(id).is_none())?;
        Some(format!("it depends on `{missing}`, which was not loaded"))
    }

    pub(crate) async fn refuse(&self, source: &Source, reason: String) -> Result<Note, GateError> {
        let id = source.manifest.id().as_str();
        let note = Note::new(id, &format!("refused: {reason}"));
        let subject = self.subject.clone().with_plugin(id, source.digest_hex());
        self.host
            .recorder
            .durable(&subject, Event::PluginRefused { reason })
            .await?;
        Ok(note)
    }

    /// Decides on a plugin, and starts it if it may be.
    pub(crate) async fn load(&self, source: Arc<Source>) -> Result<Vec<Note>, GateError> {
        if let Some(why) = self.lacks(&source) {
            return Ok(vec![self.refuse(&source, why).await?]);
        }
        let id = source.manifest.id().to_string();
        let asks = self.want(&source)?;
        let mut notes = match admit(&self.host, &self.id, &self.agent, source).await? {
            Ok(admitted) => self.put(admitted).await?,
            Err(why) => vec![Note::new(&id, &format!("refused: {why}"))],
        };
        notes.extend(asks);
        Ok(notes)
    }

    pub(crate) fn wanting(&self) -> MutexGuard<'_, Vec<Wanting>> {
        self.wanting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an admitted plugin and offers its tools, in the place of the one of its id.
    pub(crate) async fn put(&self, admitted: Admitted) -> Result<Vec<Note>, GateError> {
        let id = admitted.source.manifest.id().to_string();
        let (mut plugin, mut withheld) = match Plugin::start(&self.host, admitted).await? {
            Ok(started) => started,
            Err(why) => return Ok(vec![Note::new(&id, &format!("did not start: {why}"))]),
        };
        withheld.extend(self.rules.tell(&id, &mut plugin.tools));
        let plugin = Arc::new(plugin);
        let grown = {
            let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
            let grown = shelf.with(plugin.clone(), self.namespaced, &mut withheld);
            *shelf = Arc::new(grown.shelf.clone());
            grown
        };
        let event = Event::ToolsListed {
            offered: grown.offered,
            withheld: withheld.iter().cloned().collect(),
        };
        let subject = &plugin.admitted.subject;
        self.host.recorder.written(subject, event).await?;
        if let Some(replaced) = grown.replaced {
            self.end_narrowed(&id, "another one took its place").await?;
            replaced
                .stop(&self.host, "another one took its place")
                .await?;
        }
        let not_offered =
            |(tool, why)| Note::new(&id, &format!("its tool `{tool}` is not offered: {why}"));
        Ok(withheld.into_iter().map(not_offered).collect())
    }

    /// The plugins that it is made of, whether or not they run, in the order in which they load.
    pub(crate) fn sources(&self) -> Vec<Arc<Source>> {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        sources.clone()
    }

    pub(crate) fn come_from(&self, sources: Vec<Arc<Source>>) {
        *self.sources.write().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// Takes a plugin off the shelf and ends it.
    pub(crate) async fn take_off(&self, id: &str, status: &str) -> Result<(), GateError> {
        let taken = {
            let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
            let (rest, taken) = shelf.without(id);
            *shelf = Arc::new(rest);
            taken
        };
        self.end_narrowed(id, status).await?;
        match taken {
            Some(plugin) => plugin.stop(&self.host, status).await,
            None => Ok(()),
        }
    }

    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.clone()
    }

    /// The plugins that run.
    #[must_use]
    pub fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.shelf().plugins().to_vec()
    }

    /// The tools that may be called, under their names at the gate: recorded, then shown.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn tools(&self) -> Result<Vec<Tool>, GateError> {
        let (mut shown, mut withheld) = (Vec::new(), BTreeMap::new());
        let askable = self.host.approvals.askable();
        let shelf = self.shelf();
        for name in shelf.names() {
            let Some((plugin, bound)) = shelf.find(name) else {
                continue;
            };
            match self
                .rules
                .hidden(&self.caller(plugin), &bound.tool.name, askable)
            {
                Some(refusal) => drop(withheld.insert(name.clone(), refusal.message)),
                None => shown.push(Tool {
                    name: name.clone(),
                    ..bound.tool.clone()
                }),
            }
        }
        let offered = shown.iter().map(|tool| tool.name.clone()).collect();
        let event = Event::ToolsListed { offered, withheld };
        self.host.recorder.written(&self.subject, event).await?;
        Ok(shown)
    }

    /// The only way to a plugin: found, checked, decided, recorded, run, recorded. `traceparent` is the client's, as in
    /// W3C Trace Context.
    ///
    /// # Errors
    /// What stops the gate. A refusal or a plugin's failure is a result with `isError`.
    pub async fn call(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        traceparent: Option<String>,
        cancel: &CancellationToken,
    ) -> Result<CallToolResult, GateError> {
        let beside = Beside {
            trace: traceparent,
            ..Beside::default()
        };
        self.call_with(name, arguments, beside, cancel).await
    }

    /// The same, with more that can come with a call.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn call_with(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        beside: Beside<'_>,
        cancel: &CancellationToken,
    ) -> Result<CallToolResult, GateError> {
        let call = format!("{}-{}", self.id, self.calls.fetch_add(1, Ordering::Relaxed));
        let mut subject = of_call(&self.subject, beside.trace.as_deref())?;
        let shelf = self.shelf();
        let Some((plugin, bound)) = shelf.find(name) else {
            let refusal = Refusal::new(
                "unknown_tool",
                "there is no such tool; list the tools to see which there are",
            );
            return self.refused(&subject, call, name, refusal).await;
        };
        subject.plugin = plugin.admitted.subject.plugin.clone();
        subject.plugin_digest = plugin.admitted.subject.plugin_digest.clone();
        let own = match self.own(plugin, beside.token).await? {
            Ok(own) => own,
            Err(refusal) => return self.refused(&subject, call, name, refusal).await,
        };
        let (plugin, Some(bound)) = (&own, own.tools.get(&bound.tool.name)) else {
            let why = "what it needs is not in the token of this call";
            let refusal = Refusal::new("capability_missing", why);
            return self.refused(&subject, call, name, refusal).await;
        };
        if let Err(refusal) = bound.check(&arguments, plugin.admitted.grant()) {
            return self.refused(&subject, call, name, refusal).await;
        }
        let recorder = &self.host.recorder;
        let caller = self.caller(plugin);
        let decision = self.rules.decide(&caller, &bound.tool.name, &arguments);
        recorder
            .written(&subject, call_decision(name, &decision, &caller.context))
            .await?;
        let permitted = match decision.verdict {
            CallVerdict::Allow => Ok(()),
            CallVerdict::Ask => {
                let asked = question(
                    &self.host,
                    &plugin.admitted,
                    &bound.tool.name,
                    &arguments,
                    &decision,
                )?;
                match self
                    .approved(&subject, plugin, asked, cancel, beside.client)
                    .await?
                {
                    Ok(()) => self.still(plugin, bound, &arguments, &decision).await?,
                    Err(refusal) => Err(refusal),
                }
            }
            CallVerdict::Deny => Err(denial(&decision, &bound.tool.name)),
        };
        if let Err(refusal) = permitted {
            return self.refused(&subject, call, name, refusal).await;
        }
        let event = Event::ToolCall {
            call: call.clone(),
            tool: name.to_owned(),
            arguments: recorder
                .redaction
                .apply(name, &Value::Object(arguments.clone())),
        };
        if bound.high_risk {
            recorder.durable(&subject, event).await?;
        } else {
            recorder.written(&subject, event).await?;
        }
        let mut made = bound.to_be_made(&arguments);
        let started = Instant::now();
        let outcome = plugin.call(&self.host, bound, arguments, cancel).await?;
        let result = outcome.unwrap_or_else(|error| self.told(name, Refusal::from(&error)));
        if !result.is_error {
            made.extend(bound.made(&result));
            self.rules.created.add(plugin.id(), made);
        }
        let event = answered(call, name, &result, started);
        recorder.written(&subject, event).await?;
        Ok(result)
    }

    /// Ends the plugins whose grants hold no more.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn end_lapsed(&self) -> Result<(), GateError> {
        for plugin in self.running().await {
            if let Err(lapse) = plugin.admitted.holds(&self.host) {
                plugin.lapse(&self.host, &lapse).await?;
            }
        }
        Ok(())
    }

    /// Records what the plugins' walls refused since the last time.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn tell_denied(&self) -> Result<(), GateError> {
        for plugin in self.running().await {
            plugin.tell_denied(&self.host).await?;
        }
        Ok(())
    }

    /// Who calls a plugin's tools, and under which circumstances, now.
    pub(crate) fn caller(&self, plugin: &Plugin) -> Caller {
        let (judge, admitted) = (&self.host.judge, &plugin.admitted);
        Caller {
            principal: judge.principal(&self.id, &self.agent, &admitted.source),
            context: judge.context(admitted.wall()),
        }
    }

    async fn refused(
        &self,
        subject: &Subject,
        call: String,
        tool: &str,
        refusal: Refusal,
    ) -> Result<CallToolResult, GateError> {
        let event = Event::CallRefused {
            call,
            tool: tool.to_owned(),
            reason: refusal.message.clone(),
            policies: refusal.policies.clone(),
        };
        self.host.recorder.written(subject, event).await?;
        Ok(self.told(tool, refusal))
    }

    /// A refusal as the agent gets it. Clients hold structured content against the schema that the tool declares, also
    /// in errors; for such a tool the refusal is in `_meta` alone.
    fn told(&self, tool: &str, refusal: Refusal) -> CallToolResult {
        let mut result = refusal.into_result();
        let shelf = self.shelf();
        if shelf
            .find(tool)
            .is_some_and(|(_, bound)| bound.tool.output_schema.is_some())
        {
            result.structured_content = None;
        }
        result
    }

    /// Ends every plugin, last started first, and the session.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn close(&self, reason: &str) -> Result<(), GateError> {
        let mut outcome = Ok(());
        for plugin in self.running().await.iter().rev() {
            // A log that fails keeps no plugin running.
            outcome = outcome.and(plugin.stop(&self.host, reason).await);
        }
        outcome?;
        let event = Event::SessionEnd {
            reason: reason.to_owned(),
        };
        self.host.recorder.durable(&self.subject, event).await?;
        Ok(())
    }
}

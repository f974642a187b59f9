//! One agent's session: the plugins that were admitted for it, and the one way a tool is called.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bailiwick_audit::{Event, Subject};
use bailiwick_mcp::{CallToolResult, Tool};
use bailiwick_policy::{Agent, CallDecision, CallVerdict, Context, Effect};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::admit::admit;
use crate::host::{GateError, Host, session_id};
use crate::plugin::Plugin;
use crate::record::{call_decision, policies};
use crate::refusal::Refusal;
use crate::tool::BoundTool;
use crate::world::Source;

/// Between a plugin's id and its tool's name. No plugin's id holds it.
pub const NAMESPACE: &str = "__";

/// What became of one plugin, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The plugin's id.
    pub plugin: String,
    /// A line for people.
    pub text: String,
}

/// A session with its running plugins.
pub struct Session {
    /// Its name.
    pub id: String,
    /// Who opened it.
    pub agent: Agent,
    /// What a person may want to know about its plugins.
    pub notes: Vec<Note>,
    host: Arc<Host>,
    subject: Subject,
    plugins: Vec<Plugin>,
    /// Name at the gate → plugin and the tool's own name.
    names: BTreeMap<String, (usize, String)>,
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
            subject,
            plugins: Vec::new(),
            names: BTreeMap::new(),
            calls: AtomicU64::new(0),
            host: host.clone(),
        };
        for source in host.ordered(sources)? {
            if let Some(missing) = session.missing_dependency(&source) {
                session.refuse_dependent(&source, &missing).await?;
                continue;
            }
            session.load(source, namespaced).await?;
        }
        Ok(session)
    }

    fn missing_dependency(&self, source: &Source) -> Option<String> {
        let loaded = |id: &str| {
            self.plugins
                .iter()
                .any(|p| p.admitted.source.manifest.id().as_str() == id)
        };
        source
            .manifest
            .dependencies()
            .iter()
            .map(|d| d.id.to_string())
            .find(|id| !loaded(id))
    }

    async fn refuse_dependent(&mut self, source: &Source, missing: &str) -> Result<(), GateError> {
        let id = source.manifest.id().as_str();
        let reason = format!("it depends on `{missing}`, which was not loaded");
        self.note(id, format!("refused: {reason}"));
        let subject = self.subject.clone().with_plugin(id, source.digest_hex());
        self.host
            .recorder
            .durable(&subject, Event::PluginRefused { reason })
            .await?;
        Ok(())
    }

    async fn load(&mut self, source: Arc<Source>, namespaced: bool) -> Result<(), GateError> {
        let id = source.manifest.id().to_string();
        let admitted = match admit(&self.host, &self.id, &self.agent, source).await? {
            Ok(admitted) => admitted,
            Err(why) => {
                self.note(&id, format!("refused: {why}"));
                return Ok(());
            }
        };
        let (plugin, withheld) = match Plugin::start(&self.host, admitted).await? {
            Ok(started) => started,
            Err(why) => {
                self.note(&id, format!("did not start: {why}"));
                return Ok(());
            }
        };
        for (tool, why) in withheld {
            self.note(&id, format!("its tool `{tool}` is not offered: {why}"));
        }
        let at = self.plugins.len();
        for own in plugin.tools.keys() {
            let shown = if namespaced {
                format!("{id}{NAMESPACE}{own}")
            } else {
                own.clone()
            };
            self.names.insert(shown, (at, own.clone()));
        }
        self.plugins.push(plugin);
        Ok(())
    }

    fn note(&mut self, plugin: &str, text: String) {
        self.notes.push(Note {
            plugin: plugin.to_owned(),
            text,
        });
    }

    fn find(&self, name: &str) -> Option<(&Plugin, &BoundTool)> {
        let (at, own) = self.names.get(name)?;
        let plugin = self.plugins.get(*at)?;
        Some((plugin, plugin.tools.get(own)?))
    }

    /// The plugins that run.
    #[must_use]
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// The tools that may be called, under their names at the gate.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        let callable = self.names.keys().filter_map(|name| {
            let (plugin, bound) = self.find(name)?;
            let (decision, _) = self.decide(plugin, bound, &Map::new());
            (decision.verdict == CallVerdict::Allow).then_some(())?;
            Some(Tool {
                name: name.clone(),
                ..bound.tool.clone()
            })
        });
        callable.collect()
    }

    /// The only way to a plugin: found, checked, decided, recorded, run, recorded.
    ///
    /// # Errors
    /// What stops the gate. A refusal or a plugin's failure is a result with `isError`.
    pub async fn call(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        trace: Option<String>,
        cancel: &CancellationToken,
    ) -> Result<CallToolResult, GateError> {
        let call = format!("{}-{}", self.id, self.calls.fetch_add(1, Ordering::Relaxed));
        let mut subject = self.subject.clone();
        subject.trace = trace;
        let Some((plugin, bound)) = self.find(name) else {
            let refusal = Refusal::new(
                "unknown_tool",
                "there is no such tool; list the tools to see which there are",
            );
            return self.refused(&subject, call, name, refusal).await;
        };
        subject.plugin = plugin.admitted.subject.plugin.clone();
        subject.plugin_digest = plugin.admitted.subject.plugin_digest.clone();
        let checked = self
            .sealed(plugin)
            .and_then(|()| bound.check(&arguments, &plugin.admitted.assessment.grant));
        if let Err(refusal) = checked {
            return self.refused(&subject, call, name, refusal).await;
        }
        let recorder = &self.host.recorder;
        let (decision, context) = self.decide(plugin, bound, &arguments);
        recorder
            .written(&subject, call_decision(name, &decision, &context))
            .await?;
        if let Some(refusal) = denial(&decision, &bound.tool.name) {
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
        let started = Instant::now();
        let outcome = plugin
            .call(&self.host, &bound.tool.name, arguments, cancel)
            .await?;
        let result = outcome.unwrap_or_else(|error| Refusal::from(&error).into_result());
        let event = answered(call, name, &result, started);
        recorder.written(&subject, event).await?;
        Ok(result)
    }

    /// The seal was verified when the plugin started; only its end can come in between.
    fn sealed(&self, plugin: &Plugin) -> Result<(), Refusal> {
        plugin
            .admitted
            .unexpired(self.host.judge.now())
            .map_err(|why| Refusal::new("grant_expired", why))
    }

    fn decide(
        &self,
        plugin: &Plugin,
        bound: &BoundTool,
        arguments: &Map<String, Value>,
    ) -> (CallDecision, Context) {
        let admitted = &plugin.admitted;
        let principal = self
            .host
            .judge
            .principal(&self.id, &self.agent, &admitted.source);
        let context = self.host.judge.context(admitted.wall());
        let decision =
            self.host
                .judge
                .pdp
                .decide_call(&principal, &context, &bound.tool.name, arguments);
        (decision, context)
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
        Ok(refusal.into_result())
    }

    /// Ends every plugin, last started first, and the session.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn close(&self, reason: &str) -> Result<(), GateError> {
        for plugin in self.plugins.iter().rev() {
            plugin.stop(&self.host, reason).await?;
        }
        let event = Event::SessionEnd {
            reason: reason.to_owned(),
        };
        self.host.recorder.durable(&self.subject, event).await?;
        Ok(())
    }
}

/// What the agent hears of a decision that does not allow the call.
fn denial(decision: &CallDecision, tool: &str) -> Option<Refusal> {
    let code = match decision.verdict {
        CallVerdict::Allow => return None,
        CallVerdict::Ask => "approval_needed",
        CallVerdict::Deny => "policy_denied",
    };
    let forbidden = decision
        .reasons
        .iter()
        .any(|reason| reason.effect == Effect::Forbid);
    let why = if forbidden {
        "policy forbids"
    } else {
        "no policy permits"
    };
    let mut refusal = Refusal::new(code, format!("{why} this call of `{tool}`"));
    refusal.policies = policies(&decision.reasons);
    Some(refusal)
}

fn answered(call: String, tool: &str, result: &CallToolResult, started: Instant) -> Event {
    let whole = (
        &result.content,
        &result.structured_content,
        result.is_error,
        &result.rest,
    );
    let bytes = serde_json::to_vec(&whole).unwrap_or_default();
    Event::ToolResult {
        call,
        tool: tool.to_owned(),
        bytes: bytes.len() as u64,
        sha256: bailiwick_audit::sha256_hex(&bytes),
        is_error: result.is_error,
        millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

//! A running plugin: its tools, its calls, its end, and its next start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bailiwick_audit::Event;
use bailiwick_mcp::{CallToolResult, Tool};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::admit::Admitted;
use crate::host::{GateError, Host};
use crate::seen::Pace;
use crate::tool::BoundTool;
use crate::withdrawn::Lapse;
use crate::world::{CallError, Instance};

/// How often a plugin that ended is started again within a session.
const MAX_RESTARTS: u32 = 5;
/// A plugin that let so many calls in a row run out of time is ended.
const MAX_TIMEOUTS: u32 = 2;

/// A plugin with its instance.
pub struct Plugin {
    /// What it was granted.
    pub admitted: Admitted,
    /// Its tools by their own names.
    pub tools: BTreeMap<String, BoundTool>,
    instance: tokio::sync::Mutex<Option<Arc<dyn Instance>>>,
    health: Mutex<Health>,
    /// Set when it is stopped for good: what runs in it is not waited for.
    over: CancellationToken,
    pace: Pace,
}

#[derive(Debug, Default)]
struct Health {
    restarts: u32,
    timeouts: u32,
    /// Whether the end of the present instance was recorded already.
    told: bool,
    /// Why it was stopped for good.
    stopped: Option<String>,
}

/// Tools that a plugin declared and that are not offered, with the reason.
pub type Withheld = Vec<(String, String)>;

impl Plugin {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.admitted.source.manifest.id().as_str()
    }

    /// Starts an admitted plugin and binds its tools.
    ///
    /// # Errors
    /// Only what stops the gate; a plugin that does not start is an `Ok(Err(why))`, and recorded.
    pub async fn start(
        host: &Host,
        admitted: Admitted,
    ) -> Result<Result<(Self, Withheld), String>, GateError> {
        let instance: Arc<dyn Instance> = match admitted.start(host).await? {
            Ok(instance) => Arc::from(instance),
            Err(why) => return Ok(Err(why)),
        };
        let declared = instance.tools().await;
        let pace = Pace::default();
        let denied = pace.hold(instance.denied());
        host.recorder.denied(&admitted.subject, denied).await?;
        host.used(&admitted, instance.used(), None).await?;
        let declared = match declared {
            Ok(declared) => declared,
            Err(error) => {
                crashed(host, &admitted, &error.to_string()).await?;
                instance.stop().await;
                return Ok(Err(format!("it did not tell its tools: {error}")));
            }
        };
        let (tools, withheld) = bind_all(declared, &admitted, host);
        let plugin = Self {
            admitted,
            tools,
            instance: tokio::sync::Mutex::new(Some(instance)),
            health: Mutex::default(),
            over: CancellationToken::new(),
            pace,
        };
        Ok(Ok((plugin, withheld)))
    }

    /// Calls a tool that was checked, starting the plugin again if it ended.
    ///
    /// # Errors
    /// Only what stops the gate; a call without a result is an `Ok(Err(why))`.
    pub async fn call(
        &self,
        host: &Host,
        tool: &BoundTool,
        arguments: Map<String, Value>,
        cancel: &CancellationToken,
    ) -> Result<Result<CallToolResult, CallError>, GateError> {
        let instance = match self.running(host).await? {
            Ok(instance) => instance,
            Err(error) => return Ok(Err(error)),
        };
        host.used(&self.admitted, instance.used(), None).await?;
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CallError::Cancelled),
            () = self.over.cancelled() => {
                // Whoever stopped it records its end.
                let why = self.health().stopped.clone().unwrap_or_default();
                return Ok(Err(CallError::Gone(why)));
            }
            outcome = instance.call(&tool.tool.name, arguments) => outcome,
        };
        let outcome = outcome.and_then(|result| tool.accept(result));
        self.record_denied(host, instance.as_ref()).await?;
        let used = instance.used();
        host.used(&self.admitted, used, Some(&tool.tool.name))
            .await?;
        self.judge(host, &instance, &outcome).await?;
        Ok(outcome)
    }

    /// Records a call that showed the plugin to be ill, and ends one that is past help.
    async fn judge(
        &self,
        host: &Host,
        instance: &Arc<dyn Instance>,
        outcome: &Result<CallToolResult, CallError>,
    ) -> Result<(), GateError> {
        let ill = match outcome {
            Err(CallError::Cancelled) => return Ok(()),
            Ok(_) | Err(CallError::Arguments(_) | CallError::Failed(_)) => {
                self.health().timeouts = 0;
                return Ok(());
            }
            Err(error) => error,
        };
        crashed(host, &self.admitted, &ill.to_string()).await?;
        let hopeless = {
            let mut health = self.health();
            health.told |= matches!(ill, CallError::Gone(_));
            health.timeouts += u32::from(matches!(ill, CallError::TimedOut(_)));
            health.timeouts >= MAX_TIMEOUTS
        };
        if hopeless {
            self.retire(host, instance).await?;
        }
        Ok(())
    }

    /// Ends an instance that answers no more; the next call starts another.
    async fn retire(&self, host: &Host, ill: &Arc<dyn Instance>) -> Result<(), GateError> {
        let mut current = self.instance.lock().await;
        let same = current.as_ref().is_some_and(|now| Arc::ptr_eq(now, ill));
        if let Some(instance) = current.take_if(|_| same) {
            self.health().timeouts = 0;
            let why = format!("it let {MAX_TIMEOUTS} calls in a row run out of time");
            self.end(host, instance.as_ref(), &why).await?;
        }
        Ok(())
    }

    async fn running(
        &self,
        host: &Host,
    ) -> Result<Result<Arc<dyn Instance>, CallError>, GateError> {
        let mut current = self.instance.lock().await;
        if let Some(why) = self.health().stopped.clone() {
            return Ok(Err(CallError::Gone(why)));
        }
        let mut why = "it was stopped".to_owned();
        if let Some(instance) = current.clone() {
            match instance.ended() {
                None => return Ok(Ok(instance)),
                Some(end) => why = end,
            }
            *current = None;
            if !self.health().told {
                crashed(host, &self.admitted, &why).await?;
            }
            instance.stop().await;
            self.record_denied(host, instance.as_ref()).await?;
            host.used(&self.admitted, instance.used(), None).await?;
        }
        if self.health().restarts >= MAX_RESTARTS {
            let why = format!(
                "{why}; it was started again {MAX_RESTARTS} times and is not in this session any more"
            );
            return Ok(Err(CallError::Gone(why)));
        }
        self.health().restarts += 1;
        self.health().told = false;
        let instance: Arc<dyn Instance> = match self.admitted.start(host).await? {
            Ok(instance) => Arc::from(instance),
            Err(error) => {
                return Ok(Err(CallError::Gone(format!(
                    "{why}; starting it again failed: {error}"
                ))));
            }
        };
        if let Err(error) = self.unchanged(host, instance.as_ref()).await? {
            self.end(host, instance.as_ref(), &error.to_string())
                .await?;
            return Ok(Err(error));
        }
        *current = Some(instance.clone());
        Ok(Ok(instance))
    }

    /// A plugin that comes back with other tools is not the one that was looked at.
    async fn unchanged(
        &self,
        host: &Host,
        instance: &dyn Instance,
    ) -> Result<Result<(), CallError>, GateError> {
        let declared = match instance.tools().await {
            Ok(declared) => declared,
            Err(error) => return Ok(Err(error)),
        };
        for bound in self.tools.values() {
            let found = declared
                .iter()
                .find(|tool| tool.name == bound.tool.name)
                .map(Tool::pin);
            if found != Some(bound.pin) {
                let event = Event::ToolChanged {
                    tool: bound.tool.name.clone(),
                    pinned: bound.pin.to_string(),
                    found: found.map_or_else(|| "gone".to_owned(), |pin| pin.to_string()),
                };
                host.recorder.durable(&self.admitted.subject, event).await?;
                let why = format!(
                    "its tool `{}` changed when it was started again",
                    bound.tool.name
                );
                return Ok(Err(CallError::Malformed(why)));
            }
        }
        Ok(Ok(()))
    }

    /// Ends a plugin whose grant holds no more, and records why; the second time, nothing.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn lapse(&self, host: &Host, lapse: &Lapse) -> Result<(), GateError> {
        if self.over.is_cancelled() {
            return Ok(());
        }
        // Stopped first: what must end does not wait for its record.
        let stopped = self.stop(host, &lapse.status()).await;
        if !matches!(lapse, Lapse::Expired(_)) {
            let event = Event::TokenRefused {
                id: self.admitted.token_id(),
                reason: lapse.status(),
            };
            host.recorder.durable(&self.admitted.subject, event).await?;
        }
        stopped
    }

    /// Ends the plugin for good and records it.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn stop(&self, host: &Host, status: &str) -> Result<(), GateError> {
        self.health()
            .stopped
            .get_or_insert_with(|| status.to_owned());
        self.over.cancel();
        match self.instance.lock().await.take() {
            Some(instance) => self.end(host, instance.as_ref(), status).await,
            None => Ok(()),
        }
    }

    async fn end(&self, host: &Host, instance: &dyn Instance, why: &str) -> Result<(), GateError> {
        instance.stop().await;
        self.record_denied(host, instance).await?;
        host.used(&self.admitted, instance.used(), None).await?;
        let event = Event::PluginEnd {
            status: why.to_owned(),
        };
        let subject = &self.admitted.subject;
        Ok(host.recorder.written(subject, event).await?)
    }

    /// Records what the wall refused since the last time, also while nobody calls. One that is just starting or
    /// ending is left to whoever does that.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn tell_denied(&self, host: &Host) -> Result<(), GateError> {
        let instance = match self.instance.try_lock() {
            Ok(instance) => instance.clone(),
            Err(_) => return Ok(()),
        };
        match instance {
            Some(instance) => self.record_denied(host, instance.as_ref()).await,
            None => Ok(()),
        }
    }

    async fn record_denied(&self, host: &Host, instance: &dyn Instance) -> Result<(), GateError> {
        let denied = self.pace.hold(instance.denied());
        let subject = &self.admitted.subject;
        Ok(host.recorder.denied(subject, denied).await?)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bind_all(
    declared: Vec<Tool>,
    admitted: &Admitted,
    host: &Host,
) -> (BTreeMap<String, BoundTool>, Withheld) {
    let (mut tools, mut withheld) = (BTreeMap::new(), Vec::new());
    let manifest = &admitted.source.manifest;
    let names: Vec<String> = declared.iter().map(|tool| tool.name.clone()).collect();
    for tool in declared {
        let name = tool.name.clone();
        if names.iter().filter(|other| **other == name).count() > 1 {
            withheld.push((name, "the plugin declares it more than once".to_owned()));
            continue;
        }
        match BoundTool::new(tool, manifest, admitted.grant(), &host.judge.search) {
            Ok(bound) => drop(tools.insert(name, bound)),
            Err(why) => withheld.push((name, why)),
        }
    }
    (tools, withheld)
}

async fn crashed(host: &Host, admitted: &Admitted, reason: &str) -> Result<(), GateError> {
    let event = Event::PluginCrash {
        reason: reason.to_owned(),
    };
    host.recorder
        .written(&admitted.subject, event)
        .await
        .map_err(GateError::from)
}

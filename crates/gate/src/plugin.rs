//! A running plugin: its tools, its calls, its end, and its next start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bailiwick_audit::Event;
use bailiwick_mcp::{CallToolResult, Tool};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::admit::Admitted;
use crate::host::{GateError, Host};
use crate::tool::BoundTool;
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
}

#[derive(Debug, Default)]
struct Health {
    restarts: u32,
    timeouts: u32,
}

/// Tools that a plugin declared and that are not offered, with the reason.
pub type Withheld = Vec<(String, String)>;

impl Plugin {
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
        host.recorder
            .denied(&admitted.subject, instance.denied())
            .await?;
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
        tool: &str,
        arguments: Map<String, Value>,
        cancel: &CancellationToken,
    ) -> Result<Result<CallToolResult, CallError>, GateError> {
        let instance = match self.running(host).await? {
            Ok(instance) => instance,
            Err(error) => return Ok(Err(error)),
        };
        let outcome = tokio::select! {
            outcome = instance.call(tool, arguments) => outcome,
            () = cancel.cancelled() => Err(CallError::Cancelled),
        };
        host.recorder
            .denied(&self.admitted.subject, instance.denied())
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
            Ok(_) | Err(CallError::Arguments(_) | CallError::Failed(_) | CallError::Cancelled) => {
                self.health().timeouts = 0;
                return Ok(());
            }
            Err(error) => error,
        };
        crashed(host, &self.admitted, &ill.to_string()).await?;
        let hopeless = {
            let mut health = self.health();
            if matches!(ill, CallError::TimedOut(_)) {
                health.timeouts += 1;
            }
            health.timeouts >= MAX_TIMEOUTS
        };
        if hopeless {
            self.health().timeouts = 0;
            instance.stop().await;
        }
        Ok(())
    }

    async fn running(
        &self,
        host: &Host,
    ) -> Result<Result<Arc<dyn Instance>, CallError>, GateError> {
        let mut current = self.instance.lock().await;
        let why = match current
            .as_ref()
            .map(|instance| (instance, instance.ended()))
        {
            Some((instance, None)) => return Ok(Ok(instance.clone())),
            Some((_, Some(why))) => why,
            None => "it was stopped".to_owned(),
        };
        *current = None;
        if self.health().restarts >= MAX_RESTARTS {
            let why = format!(
                "{why}; it ended {MAX_RESTARTS} times and is not started again in this session"
            );
            return Ok(Err(CallError::Gone(why)));
        }
        self.health().restarts += 1;
        let instance: Arc<dyn Instance> = match self.admitted.start(host).await? {
            Ok(instance) => Arc::from(instance),
            Err(error) => {
                return Ok(Err(CallError::Gone(format!(
                    "{why}; starting it again failed: {error}"
                ))));
            }
        };
        if let Err(error) = self.unchanged(host, instance.as_ref()).await? {
            instance.stop().await;
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

    /// Ends the plugin and records it.
    ///
    /// # Errors
    /// What stops the gate.
    pub async fn stop(&self, host: &Host, status: &str) -> Result<(), GateError> {
        if let Some(instance) = self.instance.lock().await.take() {
            instance.stop().await;
            host.recorder
                .denied(&self.admitted.subject, instance.denied())
                .await?;
            let event = Event::PluginEnd {
                status: status.to_owned(),
            };
            host.recorder.written(&self.admitted.subject, event).await?;
        }
        Ok(())
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
    for tool in declared {
        let name = tool.name.clone();
        match BoundTool::new(
            tool,
            manifest,
            &admitted.assessment.grant,
            &host.judge.search,
        ) {
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

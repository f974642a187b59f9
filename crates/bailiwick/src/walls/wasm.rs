//! Components behind the Wasm wall.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bailiwick_gate::record::Record;
use bailiwick_gate::world::{Builder, CallError, Instance, Launch, Preparation, Progress, Source};
use bailiwick_mcp::{CallToolResult, Tool};
use bailiwick_wall::{Denied, Wall, WallError};
use bailiwick_wasm::{Aside, CallError as WasmError, Plugin, ToolSpec, Wasm};
use serde_json::{Map, Value};

/// Loads components.
pub(crate) struct WasmBuilder(pub(crate) Arc<Wasm>);

#[async_trait]
impl Builder for WasmBuilder {
    fn wall(&self) -> &dyn Wall {
        self.0.as_ref()
    }

    async fn prepare(
        &self,
        _source: &Source,
        _progress: Progress,
        _record: Record,
    ) -> Result<Preparation, WallError> {
        Ok(Preparation::default())
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Instance>, WallError> {
        let wasm = self.0.clone();
        let load = move || {
            let bytes = launch
                .source
                .component
                .as_ref()
                .ok_or_else(|| WallError::Plugin("there is no component".to_owned()))?;
            wasm.load(bytes, launch.grant(), launch.env.clone(), &launch.limits)
        };
        // Compiling takes a core for up to seconds.
        let plugin = tokio::task::spawn_blocking(load)
            .await
            .map_err(|error| WallError::Plugin(error.to_string()))??;
        Ok(Box::new(WasmInstance {
            plugin,
            denied: Mutex::default(),
        }))
    }
}

struct WasmInstance {
    plugin: Plugin,
    denied: Mutex<Vec<Denied>>,
}

#[async_trait]
impl Instance for WasmInstance {
    async fn tools(&self) -> Result<Vec<Tool>, CallError> {
        self.plugin.tools().iter().map(tool).collect()
    }

    async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, CallError> {
        let mut aside = Aside::default();
        let outcome = self.plugin.call(tool, &arguments, &mut aside).await;
        self.denied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(&mut aside.denied);
        match outcome {
            Ok(Value::Null) => Ok(CallToolResult::text("done")),
            Ok(value) => Ok(CallToolResult {
                structured_content: Some(value.clone()),
                ..CallToolResult::text(plain(&value))
            }),
            Err(WasmError::Tool(value)) => Ok(CallToolResult::error(plain(&value), None)),
            Err(error) => Err(call_error(&error)),
        }
    }

    fn denied(&self) -> Vec<Denied> {
        std::mem::take(&mut *self.denied.lock().unwrap_or_else(PoisonError::into_inner))
    }

    // Every call has an instance of its own, so there is nothing that could have ended.
    fn ended(&self) -> Option<String> {
        None
    }

    async fn stop(&self) {}
}

fn tool(spec: &ToolSpec) -> Result<Tool, CallError> {
    let object = |value: &Value| match value {
        Value::Object(members) => Ok(members.clone()),
        _ => Err(CallError::Malformed(format!(
            "the schema of `{}` is no object",
            spec.name
        ))),
    };
    let mut tool = Tool::new(&spec.name, object(&spec.input_schema)?);
    tool.description = Some(spec.description.clone());
    tool.output_schema = spec.output_schema.as_ref().map(object).transpose()?;
    Ok(tool)
}

/// A lone text as itself, everything else as JSON.
fn plain(value: &Value) -> String {
    let inner = value
        .get("result")
        .filter(|_| value.as_object().is_some_and(|o| o.len() == 1));
    match inner.unwrap_or(value) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn call_error(error: &WasmError) -> CallError {
    let why = error.to_string();
    match error {
        WasmError::Arguments(_) | WasmError::UnknownTool(_) => CallError::Arguments(why),
        WasmError::TimedOut(_) => CallError::TimedOut(why),
        WasmError::TooLarge(_) => CallError::TooLarge(why),
        WasmError::Tool(_) => CallError::Failed(why),
        WasmError::Trap(_) | WasmError::Memory(_) | WasmError::Exited(_) => CallError::Gone(why),
    }
}

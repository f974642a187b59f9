//! A loaded component, and one call of one of its tools.

use std::sync::Arc;
use std::time::Instant;

use bailiwick_capability::{Grant, Kind};
use bailiwick_wall::Limits;
use serde_json::{Map, Value};
use wasmtime::component::{InstancePre, ResourceTable, Val};
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::{I32Exit, WasiCtx};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::aside::{Aside, Notes};
use crate::bounds::{Bounds, Ticker};
use crate::convert::{arguments, payload_json};
use crate::files::FileWorld;
use crate::http::{Http, Outside};
use crate::link::State;
use crate::tools::{Export, Returns, ToolSpec};

/// Host memory that one value crossing the border may take, for each byte of allowed output: the guest
/// chooses the value, and a list of small numbers takes 40 bytes an item while it is converted.
const BORDER_FACTOR: usize = 32;

/// What a plugin's calls share.
pub(crate) struct World {
    pub(crate) grant: Arc<Grant>,
    pub(crate) files: Arc<FileWorld>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) limits: Limits,
    pub(crate) outside: Outside,
}

/// Why a call gave no result. Text from inside is data: readers escape it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// There is no such tool.
    #[error("no tool `{0}`")]
    UnknownTool(String),
    /// The arguments do not fit the tool's types; nothing ran.
    #[error("the arguments do not fit: {0}")]
    Arguments(String),
    /// The tool ran and answered with the error side of its `result`.
    #[error("the tool failed: {0}")]
    Tool(Value),
    /// The component trapped.
    #[error("the component crashed: {0}")]
    Trap(String),
    /// The component asked for more memory than it may have, and then trapped.
    #[error("the component ran out of its {0} bytes of memory")]
    Memory(u64),
    /// The call took longer than it may.
    #[error("the call took longer than {} ms", .0.as_millis())]
    TimedOut(std::time::Duration),
    /// The result is larger than it may be.
    #[error("the result is larger than {0} bytes")]
    TooLarge(usize),
    /// The component ended itself by `wasi:cli/exit`.
    #[error("the component exited with status {0}")]
    Exited(i32),
}

/// A component, compiled and linked with exactly what was granted.
pub struct Plugin {
    pre: InstancePre<State>,
    specs: Vec<ToolSpec>,
    exports: Vec<Export>,
    world: World,
    ticker: Ticker,
}

#[derive(Debug, thiserror::Error)]
#[error("out of time")]
struct OutOfTime;

impl Plugin {
    pub(crate) fn new(
        pre: InstancePre<State>,
        tools: Vec<(ToolSpec, Export)>,
        world: World,
        ticker: Ticker,
    ) -> Self {
        let (specs, exports) = tools.into_iter().unzip();
        Self {
            pre,
            specs,
            exports,
            world,
            ticker,
        }
    }

    /// The tools, by name.
    #[must_use]
    pub fn tools(&self) -> &[ToolSpec] {
        &self.specs
    }

    /// Calls a tool in a fresh instance. The result is null where the function returns nothing, and otherwise
    /// an object that fits the tool's output schema. `aside` takes refused operations and what was printed,
    /// also when the call fails. Needs a tokio runtime with time and I/O.
    /// # Errors
    /// See [`CallError`].
    pub async fn call(
        &self,
        tool: &str,
        given: &Map<String, Value>,
        aside: &mut Aside,
    ) -> Result<Value, CallError> {
        let found = self
            .specs
            .iter()
            .zip(&self.exports)
            .find(|(spec, _)| spec.name == tool);
        let Some((_, export)) = found else {
            return Err(CallError::UnknownTool(tool.to_owned()));
        };
        let given = arguments(&export.params, given).map_err(CallError::Arguments)?;
        let notes = Notes::new(self.world.grant.of_kind(Kind::WriteToLogs).next().is_some());
        let mut store = self.store(&notes);
        let ticking = self.ticker.during();
        let limit = self.world.limits.call;
        let outcome = tokio::time::timeout(limit, self.run(&mut store, export, &given)).await;
        drop(ticking);
        let refused_memory = store.data().bounds.refused;
        drop(store);
        *aside = notes.take();
        match outcome {
            Err(_) => Err(CallError::TimedOut(limit)),
            Ok(Err(error)) => Err(self.explain(&error, refused_memory)),
            Ok(Ok(value)) => self.result(&export.result, value),
        }
    }

    async fn run(
        &self,
        store: &mut Store<State>,
        export: &Export,
        given: &[Val],
    ) -> wasmtime::Result<Option<Val>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let function = instance
            .get_func(&mut *store, export.index)
            .ok_or_else(|| wasmtime::format_err!("the exported function is gone"))?;
        let mut results = match export.result {
            Returns::Nothing => Vec::new(),
            Returns::Value(_) | Returns::Fallible(..) => vec![Val::Bool(false)],
        };
        function
            .call_async(&mut *store, given, &mut results)
            .await?;
        Ok(results.pop())
    }

    fn store(&self, notes: &Notes) -> Store<State> {
        let World {
            grant,
            files,
            env,
            limits,
            outside,
        } = &self.world;
        let mut wasi = WasiCtx::builder();
        wasi.stdout(notes.clone()).stderr(notes.clone()).envs(env);
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(limits.open_files).unwrap_or(usize::MAX));
        let state = State {
            table,
            wasi: wasi.build(),
            http_ctx: WasiHttpCtx::new(),
            http: Http {
                grant: Arc::clone(grant),
                notes: notes.clone(),
                outside: outside.clone(),
                body_bytes: limits.output_bytes,
                patience: limits.call,
            },
            files: Arc::clone(files),
            notes: notes.clone(),
            bounds: Bounds::new(limits.memory_bytes),
        };
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.bounds);
        store.set_hostcall_fuel(limits.output_bytes.saturating_mul(BORDER_FACTOR));
        let deadline = Instant::now() + limits.call;
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            if Instant::now() >= deadline {
                return Err(OutOfTime.into());
            }
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }

    fn result(&self, returns: &Returns, value: Option<Val>) -> Result<Value, CallError> {
        let strange = || CallError::Trap("a result does not fit its type".into());
        let value = match (returns, value) {
            (Returns::Nothing, _) => Value::Null,
            (Returns::Value(shape), Some(value)) => {
                payload_json(Some(shape), Some(&value)).ok_or_else(strange)?
            }
            (Returns::Fallible(ok, _), Some(Val::Result(Ok(value)))) => {
                payload_json(ok.as_ref(), value.as_deref()).ok_or_else(strange)?
            }
            (Returns::Fallible(_, error), Some(Val::Result(Err(value)))) => {
                let value = payload_json(error.as_ref(), value.as_deref()).ok_or_else(strange)?;
                return Err(CallError::Tool(self.bounded(value)?));
            }
            _ => return Err(strange()),
        };
        Ok(returns.structured(self.bounded(value)?))
    }

    fn bounded(&self, value: Value) -> Result<Value, CallError> {
        let limit = self.world.limits.output_bytes;
        let mut count = Count { left: limit };
        match serde_json::to_writer(&mut count, &value) {
            Ok(()) => Ok(value),
            Err(_) => Err(CallError::TooLarge(limit)),
        }
    }

    fn explain(&self, error: &wasmtime::Error, refused_memory: bool) -> CallError {
        let limits = &self.world.limits;
        if error.is::<OutOfTime>() || error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            return CallError::TimedOut(limits.call);
        }
        if let Some(I32Exit(status)) = error.downcast_ref() {
            return CallError::Exited(*status);
        }
        if refused_memory {
            return CallError::Memory(limits.memory_bytes);
        }
        let text = error.root_cause().to_string();
        if text.contains("fuel allocated for hostcalls has been exhausted") {
            return CallError::TooLarge(limits.output_bytes);
        }
        CallError::Trap(text)
    }
}

/// Counts bytes and fails past the limit, so that nothing large is ever built.
struct Count {
    left: usize,
}

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::FileTooLarge))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

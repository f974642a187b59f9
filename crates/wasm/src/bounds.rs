//! Bounds on memory and tables, and the clock tick that ends a call.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak, ResourceLimiter};

/// How often a running guest yields and looks at its deadline.
const TICK: Duration = Duration::from_millis(10);
/// Core instances, memories and tables of one component; toolchains make about ten of each.
const MAX_INSTANCES: usize = 256;
/// Table elements over all tables: each takes a pointer of the host's memory.
const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// Counts memory and table elements over the whole store, since one component has many memories.
pub(crate) struct Bounds {
    memory_left: usize,
    table_left: usize,
    /// Whether growth was refused: what then traps, traps for want of memory.
    pub(crate) refused: bool,
}

impl Bounds {
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self {
            memory_left: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
            table_left: MAX_TABLE_ELEMENTS,
            refused: false,
        }
    }
}

fn take(left: &mut usize, current: usize, desired: usize) -> bool {
    let more = left.checked_sub(desired.saturating_sub(current));
    if let Some(rest) = more {
        *left = rest;
    }
    more.is_some()
}

impl ResourceLimiter for Bounds {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = take(&mut self.memory_left, current, desired);
        self.refused |= !fits;
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = take(&mut self.table_left, current, desired);
        self.refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_INSTANCES
    }
}

/// A thread that advances the engine's epoch while calls run, and sleeps otherwise.
#[derive(Clone)]
pub(crate) struct Ticker {
    running: Arc<(Mutex<usize>, Condvar)>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let running = Arc::new((Mutex::new(0), Condvar::new()));
        let (shared, engine) = (Arc::downgrade(&running), engine.weak());
        std::thread::Builder::new()
            .name("wasm-epoch".into())
            .spawn(move || tick(&shared, &engine))?;
        Ok(Self { running })
    }

    /// Keeps the epoch advancing until the guard is dropped.
    pub(crate) fn during(&self) -> Ticking {
        let (count, wake) = &*self.running;
        *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        wake.notify_one();
        Ticking {
            running: Arc::clone(&self.running),
        }
    }
}

/// While this lives, the epoch advances.
pub(crate) struct Ticking {
    running: Arc<(Mutex<usize>, Condvar)>,
}

impl Drop for Ticking {
    fn drop(&mut self) {
        *self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

/// Ends when every handle is gone: an idle wait lasts at most a second, so that the end is seen.
fn tick(running: &std::sync::Weak<(Mutex<usize>, Condvar)>, engine: &EngineWeak) {
    while let (Some(running), Some(engine)) = (running.upgrade(), engine.upgrade()) {
        let (count, wake) = &*running;
        let count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = *count == 0;
        if idle {
            drop(wake.wait_timeout(count, Duration::from_secs(1)));
        } else {
            drop(count);
            drop(running);
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}

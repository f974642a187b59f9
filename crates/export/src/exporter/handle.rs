//! The thread of an exporter, and how it is told to end.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Says that it is time to end.
#[derive(Debug, Default)]
pub(super) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits this long, or until it is set; says whether it is.
    pub(super) fn wait(&self, how_long: Duration) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(set, how_long, |set| !*set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

/// A running exporter. Dropping it lets the exporter end when it has sent what there is, or fails to.
#[derive(Debug)]
pub struct Handle {
    stop: Arc<Stop>,
    ended: Receiver<()>,
}

impl Handle {
    pub(super) fn spawn(work: impl FnOnce(&Stop) + Send + 'static) -> Self {
        let stop = Arc::new(Stop::default());
        let (ending, ended) = channel();
        let seen = stop.clone();
        std::thread::spawn(move || {
            work(&seen);
            // Nobody listens where the handle was dropped.
            let _ = ending.send(());
        });
        Self { stop, ended }
    }

    /// Lets the exporter send what there is, and waits for it until `deadline` at most. What is left then is sent by
    /// the next exporter. Says whether it was done in time.
    #[must_use]
    pub fn finish(self, deadline: Instant) -> bool {
        self.stop.set();
        let left = deadline.saturating_duration_since(Instant::now());
        self.ended.recv_timeout(left).is_ok()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.set();
    }
}

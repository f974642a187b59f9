//! Tasks that end with what they serve.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::JoinSet;

/// A set of tasks; dropping it ends them.
#[derive(Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

/// Adds tasks to a set, as long as the set is there.
#[derive(Debug, Clone)]
pub(super) struct Spawner(Weak<Mutex<JoinSet<()>>>);

fn lock(set: &Mutex<JoinSet<()>>) -> MutexGuard<'_, JoinSet<()>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tasks {
    /// What adds to this set without keeping it.
    pub(super) fn spawner(&self) -> Spawner {
        Spawner(Arc::downgrade(&self.0))
    }

    /// Waits until every task is over.
    pub(super) async fn finish(&self) {
        loop {
            let mut set = std::mem::take(&mut *lock(&self.0));
            if set.is_empty() {
                return;
            }
            while set.join_next().await.is_some() {}
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, task: F) {
        if let Some(set) = self.0.upgrade() {
            let mut set = lock(&set);
            while set.try_join_next().is_some() {}
            set.spawn(task);
        }
    }
}

//! Where calls are counted that quotas limit: outside the decision point, which keeps no count.

use std::sync::{Mutex, PoisonError};

use bailiwick_policy::Tally;

/// Counts of calls, shared by all gates that count together.
pub trait Ledger: Send + Sync {
    /// Hands the counts to `step`, alone among all that share them, and keeps them if it says that it changed them.
    /// What is kept survives the gate.
    ///
    /// # Errors
    /// Counts that cannot be read (`step` does not run then) or kept: the call that was to be counted must not be made.
    fn settle(&self, step: &mut dyn FnMut(&mut Tally) -> bool) -> Result<(), String>;
}

/// Counts of one process, gone with it.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<Tally>);

impl Ledger for InMemory {
    fn settle(&self, step: &mut dyn FnMut(&mut Tally) -> bool) -> Result<(), String> {
        step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

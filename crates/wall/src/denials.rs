//! What a wall refused, gathered until the host records it; where somebody wants to know, also what it let through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Denied;
use crate::uses::{Used, Uses};

/// Different denials kept between two looks; a plugin that invents more only raises a count.
pub const MAX_PENDING: usize = 256;

/// Longest target kept, in bytes: it is the plugin's own text.
pub const MAX_TARGET: usize = 4096;

/// Gathers refused operations of one plugin from every part of its wall; copies share one list.
///
/// The same operation on the same target is kept once and counted. Beyond [`MAX_PENDING`] different ones,
/// the rest are counted by operation, without targets: a flood is told, never lost, and takes bounded memory.
#[derive(Debug, Clone, Default)]
pub struct Denials {
    pending: Arc<Mutex<Pending>>,
    uses: Option<Uses>,
}

#[derive(Debug, Default)]
struct Pending {
    kept: BTreeMap<(String, String), (u64, Denied)>,
    next: u64,
    beyond: BTreeMap<String, u64>,
}

impl Denials {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A list that takes what a wall lets through as well.
    #[must_use]
    pub fn with_uses() -> Self {
        Self {
            uses: Some(Uses::default()),
            ..Self::default()
        }
    }

    /// Whether anybody wants to know what is let through.
    #[must_use]
    pub fn wants_uses(&self) -> bool {
        self.uses.is_some()
    }

    /// Adds what was let through, where anybody wants to know. See [`Used`] for the target.
    pub fn used(&self, operation: &str, target: &str) {
        if let Some(uses) = &self.uses {
            uses.add(operation, target);
        }
    }

    /// Takes what was let through since the last time.
    #[must_use]
    pub fn take_uses(&self) -> Vec<Used> {
        self.uses.as_ref().map(Uses::take).unwrap_or_default()
    }

    /// Adds one refusal. Text from inside is data; a long target is cut.
    pub fn add(&self, operation: &str, target: &str, reason: &str) {
        let mut pending = self.lock();
        let key = (operation.to_owned(), cut(target));
        if let Some((_, known)) = pending.kept.get_mut(&key) {
            known.times = known.times.saturating_add(1);
            return;
        }
        if pending.kept.len() >= MAX_PENDING {
            let count = pending.beyond.entry(operation.to_owned()).or_default();
            *count = count.saturating_add(1);
            return;
        }
        let denied = Denied {
            operation: key.0.clone(),
            target: key.1.clone(),
            reason: reason.to_owned(),
            times: 1,
        };
        let order = pending.next;
        pending.next += 1;
        pending.kept.insert(key, (order, denied));
    }

    /// Takes everything that was added since the last time, in the order of first appearance; what did
    /// not fit comes last, one line for each operation.
    #[must_use]
    pub fn take(&self) -> Vec<Denied> {
        let pending = std::mem::take(&mut *self.lock());
        let mut kept: Vec<(u64, Denied)> = pending.kept.into_values().collect();
        kept.sort_by_key(|(order, _)| *order);
        let beyond = pending.beyond.into_iter().map(|(operation, times)| Denied {
            operation,
            target: String::new(),
            reason: format!("more than {MAX_PENDING} different targets; these were only counted"),
            times,
        });
        kept.into_iter()
            .map(|(_, denied)| denied)
            .chain(beyond)
            .collect()
    }

    /// Whether nothing was added since the last time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().kept.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn cut(target: &str) -> String {
    let mut end = target.len().min(MAX_TARGET);
    while !target.is_char_boundary(end) {
        end -= 1;
    }
    target.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_in_order_of_appearance() {
        let denials = Denials::new();
        for target in ["/b", "/a", "/b"] {
            denials.clone().add("read_files", target, "not granted");
        }
        let taken = denials.take();
        let told: Vec<_> = taken.iter().map(|d| (d.target.as_str(), d.times)).collect();
        assert_eq!(told, [("/b", 2), ("/a", 1)]);
        assert!(denials.is_empty() && denials.take().is_empty());
    }

    #[test]
    fn a_flood_is_counted_and_takes_bounded_memory() {
        let denials = Denials::new();
        for number in 0..10_000 {
            denials.add("connect", &number.to_string(), "no");
        }
        let taken = denials.take();
        assert_eq!(taken.len(), MAX_PENDING + 1);
        assert_eq!(taken.iter().map(|d| d.times).sum::<u64>(), 10_000);
        denials.add("open", &"ä".repeat(MAX_TARGET), "no");
        assert!(denials.take()[0].target.len() <= MAX_TARGET);
    }
}

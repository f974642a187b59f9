//! What a wall let through, gathered for whoever wants to know what a plugin needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::denials::cut;

/// Different uses kept between two looks; the rest are counted by operation.
pub const MAX_USES: usize = 4096;

/// An operation that a wall let through. Text from inside is data: readers escape it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The capability kind, such as `read_files`.
    pub operation: String,
    /// On what, as a scope of the kind is written; a folder whose entries were listed or changed ends in `/`, one that
    /// was only looked at in `/.`. Empty where it was only counted.
    pub target: String,
    /// How often.
    pub times: u64,
}

/// Gathers uses; copies share one list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    uses: BTreeMap<(String, String), u64>,
    beyond: BTreeMap<String, u64>,
}

impl Uses {
    pub(crate) fn add(&self, operation: &str, target: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (operation.to_owned(), cut(target));
        let full = kept.uses.len() >= MAX_USES && !kept.uses.contains_key(&key);
        let times = match full {
            true => kept.beyond.entry(key.0).or_default(),
            false => kept.uses.entry(key).or_default(),
        };
        *times = times.saturating_add(1);
    }

    pub(crate) fn take(&self) -> Vec<Used> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = std::mem::take(&mut *kept);
        let used = |((operation, target), times)| Used {
            operation,
            target,
            times,
        };
        let beyond = kept.beyond.into_iter();
        let beyond = beyond.map(|(operation, times)| ((operation, String::new()), times));
        kept.uses.into_iter().chain(beyond).map(used).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_is_kept_once_and_a_flood_is_only_counted() {
        let uses = Uses::default();
        uses.add("read_files", "/a");
        uses.clone().add("read_files", "/a");
        for number in 0..2 * MAX_USES {
            uses.add("write_files", &format!("/{number:05}"));
        }
        uses.add("read_files", "/a");
        let taken = uses.take();
        assert_eq!(taken.len(), MAX_USES + 1);
        let of = |target: &str| taken.iter().find(|used| used.target == target);
        assert_eq!(of("/a").unwrap().times, 3);
        let counted = of("").unwrap();
        assert_eq!(counted.times, MAX_USES as u64 + 1, "nothing is lost");
        assert!(uses.take().is_empty());
    }
}

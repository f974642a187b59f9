//! What a plugin's wall refused, on its way into the log: at a pace that no plugin can raise.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bailiwick_wall::Denied;

/// How many different refusals a plugin may have written at once; as many seconds later it has them again.
const BURST: u32 = 64;
/// The reason that stands on what was only counted.
const COUNTED: &str = "too many different ones in a short time; these were only counted";

/// The pace of one plugin. A log that a plugin could fill would stop the gate.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<Room>);

#[derive(Debug)]
struct Room {
    left: u32,
    since: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(Room {
            left: BURST,
            since: Instant::now(),
        }))
    }
}

impl Pace {
    /// What of `denied` is written now: as many as there is room for, the rest counted by operation.
    pub(crate) fn hold(&self, denied: Vec<Denied>) -> Vec<Denied> {
        self.hold_at(denied, Instant::now())
    }

    fn hold_at(&self, denied: Vec<Denied>, now: Instant) -> Vec<Denied> {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.saturating_duration_since(room.since).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds).unwrap_or(BURST);
            room.left = room.left.saturating_add(more).min(BURST);
            room.since = now;
        }
        let held = counted(denied, room.left as usize);
        let written = u32::try_from(held.len()).unwrap_or(u32::MAX);
        room.left = room.left.saturating_sub(written);
        held
    }
}

/// The first `most`, and the others counted, one line for each operation.
pub(crate) fn counted(mut denied: Vec<Denied>, most: usize) -> Vec<Denied> {
    let rest = denied.split_off(most.min(denied.len()));
    let mut by_operation: BTreeMap<String, u64> = BTreeMap::new();
    for left_out in rest {
        let times = by_operation.entry(left_out.operation).or_default();
        *times = times.saturating_add(left_out.times);
    }
    denied.extend(by_operation.into_iter().map(|(operation, times)| Denied {
        operation,
        target: String::new(),
        reason: COUNTED.to_owned(),
        times,
    }));
    denied
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn flood(count: usize) -> Vec<Denied> {
        (0..count)
            .map(|number| Denied {
                operation: ["read_files", "write_files"][number % 2].to_owned(),
                target: number.to_string(),
                reason: "no".to_owned(),
                times: 2,
            })
            .collect()
    }

    fn times(denied: &[Denied]) -> u64 {
        denied.iter().map(|denied| denied.times).sum()
    }

    #[test]
    fn a_flood_is_written_at_a_pace_and_counted_whole() {
        let (pace, start) = (Pace::default(), Instant::now());
        let first = pace.hold_at(flood(100), start);
        assert_eq!((first.len(), times(&first)), (66, 200));
        assert!(first[63].target == "63" && first[64].target.is_empty());
        let second = pace.hold_at(flood(100), start + Duration::from_millis(10));
        assert_eq!(
            (second.len(), times(&second)),
            (2, 200),
            "no room, all counted"
        );
        let later = pace.hold_at(flood(100), start + Duration::from_secs(10));
        assert_eq!((later.len(), times(&later)), (12, 200));
        assert_eq!(
            pace.hold_at(flood(64), start + Duration::from_secs(500))
                .len(),
            64
        );
    }
}

//! Several logs in the order of time, without holding more than one entry of each.

use super::scan::{Hits, Sight};

/// What searches of several logs find, in the order of the entries' times. Entries of one log keep their order, also
/// where its clock stepped back.
#[derive(Debug)]
pub struct Merged {
    logs: Vec<(Option<Sight>, Hits)>,
    newest_first: bool,
    left: usize,
}

/// Merges the hits of several logs. `limit` counts entries of all of them.
#[must_use]
pub fn merge(logs: Vec<Hits>, newest_first: bool, limit: Option<usize>) -> Merged {
    let logs = logs.into_iter().map(|mut hits| (hits.next(), hits));
    Merged {
        logs: logs.collect(),
        newest_first,
        left: limit.unwrap_or(usize::MAX),
    }
}

impl Iterator for Merged {
    /// Which log, by its place among those that were merged, and what was found in it.
    type Item = (usize, Sight);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let heads = self.logs.iter().enumerate();
        let heads = heads.filter_map(|(log, (head, _))| Some((log, head.as_ref()?)));
        // What has no time comes at once, in either order.
        let key = |(log, found): &(usize, &Sight)| (found.time().to_owned(), *log);
        let (log, _) = if self.newest_first {
            heads.max_by_key(|head| (head.1.time().is_empty(), key(head)))
        } else {
            heads.min_by_key(key)
        }?;
        let (head, hits) = self.logs.get_mut(log)?;
        let found = std::mem::replace(head, hits.next())?;
        if matches!(found, Sight::Entry { .. }) {
            self.left -= 1;
        }
        Some((log, found))
    }
}

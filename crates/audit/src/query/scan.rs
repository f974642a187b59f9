//! Searching a log: bundle by bundle in order, on a few threads, without parsing what its bytes rule out.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use bailiwick_tlog::TILE_WIDTH;

use super::bundle::{Bundle, Present, present};
use super::filter::Filter;
use super::needle::Needles;
use super::{Stored, shown};
use crate::error::AuditError;
use crate::event::Entry;

/// Threads that read ahead.
const MAX_THREADS: usize = 4;
/// Bundles that each may be ahead: bounds memory, since a bundle can hold 16 MB.
const AHEAD: usize = 2;
/// With fewer bundles to look at, threads are not worth starting.
const FEW: usize = 8;

/// What to search for, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Which entries.
    pub filter: Filter,
    /// The newest first, and of those as many as the filter's limit.
    pub newest_first: bool,
}

/// Says which bundles cannot hold what is searched for. It must say so only where the log says so too.
pub trait Narrow: Send + Sync {
    /// Whether the bundle of this index may hold an entry that matches, or one that cannot be read.
    fn may_hold(&self, bundle: u64) -> bool;
}

/// One thing that a search comes upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// An entry that matches.
    Entry {
        /// As it is stored.
        stored: Stored,
        /// As it is read, with the sealed values that can be opened.
        entry: Box<Entry>,
    },
    /// What is stored there is no entry that we can read: written by a newer version, or altered. It is shown whatever
    /// the filter.
    Unreadable {
        /// As it is stored.
        stored: Stored,
        /// Why it cannot be read.
        why: String,
    },
    /// Entries that could not be looked at. They are told of whatever the filter.
    Gap {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
        /// Why.
        why: String,
    },
}

impl Sight {
    /// The index of the entry, or of the first.
    #[must_use]
    pub fn index(&self) -> u64 {
        match self {
            Self::Entry { stored, .. } | Self::Unreadable { stored, .. } => stored.index,
            Self::Gap { from, .. } => *from,
        }
    }

    /// The time of the entry; empty where it has none that can be read.
    #[must_use]
    pub fn time(&self) -> &str {
        match self {
            Self::Entry { entry, .. } => &entry.time,
            Self::Unreadable { stored, .. } => super::needle::time(&stored.json)
                .and_then(|time| std::str::from_utf8(time).ok())
                .unwrap_or_default(),
            Self::Gap { .. } => "",
        }
    }
}

/// Searches the log in `dir`, as far as it reaches now.
///
/// # Errors
/// When its folders cannot be listed. What is wrong with single files is told as [`Sight::Gap`].
pub fn search(
    dir: &Path,
    search: &Search,
    narrow: Option<Arc<dyn Narrow>>,
) -> Result<Hits, AuditError> {
    let present = present(dir)?;
    let mut steps = steps(&present);
    if let Some(narrow) = narrow {
        steps.retain(|step| match step {
            Step::Look(bundle) => narrow.may_hold(*bundle),
            Step::Gap(..) => true,
        });
    }
    if search.newest_first {
        steps.reverse();
    }
    let looker = Looker {
        dir: dir.to_owned(),
        needles: Needles::of(&search.filter),
        filter: search.filter.clone(),
        newest_first: search.newest_first,
        last: present.bundles.last().copied().unwrap_or_default(),
    };
    Ok(Hits {
        left: search.filter.limit.unwrap_or(usize::MAX),
        waiting: VecDeque::new(),
        source: Source::start(looker, steps),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Look(u64),
    /// From this bundle to before that one.
    Gap(u64, u64),
}

/// The bundles there are, and the gaps before, between and after them.
fn steps(present: &Present) -> Vec<Step> {
    let mut steps = Vec::with_capacity(present.bundles.len() + 1);
    let mut next = 0;
    for bundle in &present.bundles {
        if *bundle > next {
            steps.push(Step::Gap(next, *bundle));
        }
        steps.push(Step::Look(*bundle));
        next = bundle.saturating_add(1);
    }
    if present.published > next {
        steps.push(Step::Gap(next, present.published));
    }
    steps
}

/// What a [`search`] finds, in order.
#[derive(Debug)]
pub struct Hits {
    left: usize,
    waiting: VecDeque<Sight>,
    source: Source,
}

impl Iterator for Hits {
    type Item = Sight;

    fn next(&mut self) -> Option<Sight> {
        while self.left > 0 {
            match self.waiting.pop_front() {
                Some(found) => {
                    if matches!(found, Sight::Entry { .. }) {
                        self.left -= 1;
                    }
                    return Some(found);
                }
                None => self.waiting.extend(self.source.next()?),
            }
        }
        None
    }
}

/// Where the hits of each bundle come from, in order: here and now, or threads that take turns.
#[derive(Debug)]
enum Source {
    Here {
        looker: Box<Looker>,
        desk: Box<Desk>,
        steps: std::vec::IntoIter<Step>,
    },
    Threads {
        turns: Vec<Receiver<Vec<Sight>>>,
        steps: Arc<Vec<Step>>,
        next: usize,
    },
}

impl Source {
    fn start(looker: Looker, steps: Vec<Step>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(MAX_THREADS);
        if threads < 2 || steps.len() < FEW || looker.filter.limit.is_some_and(|limit| limit < FEW)
        {
            return Self::Here {
                looker: Box::new(looker),
                desk: Box::default(),
                steps: steps.into_iter(),
            };
        }
        let (looker, steps) = (Arc::new(looker), Arc::new(steps));
        let all = Arc::clone(&steps);
        let turns = (0..threads).map(|turn| {
            let (looker, steps) = (Arc::clone(&looker), Arc::clone(&steps));
            let (send, receive) = sync_channel(AHEAD);
            std::thread::spawn(move || {
                let mut desk = Desk::default();
                let mine = steps.iter().skip(turn).step_by(threads);
                // An error says that nobody waits for more.
                let _ = mine
                    .map(|step| looker.look(*step, &mut desk))
                    .try_for_each(|found| send.send(found));
            });
            receive
        });
        Self::Threads {
            turns: turns.collect(),
            steps: all,
            next: 0,
        }
    }

    /// The hits of the next bundle; `None` after the last.
    fn next(&mut self) -> Option<Vec<Sight>> {
        match self {
            Self::Here {
                looker,
                desk,
                steps,
            } => Some(looker.look(steps.next()?, desk)),
            Self::Threads { turns, steps, next } => {
                let step = steps.get(*next)?;
                let turn = turns.get(*next % turns.len().max(1));
                *next += 1;
                let found = turn.and_then(|turn| turn.recv().ok());
                // A thread that is gone must not look like a bundle without hits.
                Some(found.unwrap_or_else(|| {
                    let why = "the thread that read them stopped".to_owned();
                    vec![match *step {
                        Step::Look(bundle) => gap(bundle, bundle.saturating_add(1), why),
                        Step::Gap(from, to) => gap(from, to, why),
                    }]
                }))
            }
        }
    }
}

/// Buffers of one thread, used again.
#[derive(Debug, Default)]
struct Desk {
    bundle: Bundle,
    lower: Vec<u8>,
}

#[derive(Debug)]
struct Looker {
    dir: PathBuf,
    needles: Needles,
    filter: Filter,
    newest_first: bool,
    /// The last bundle; those before it are full.
    last: u64,
}

impl Looker {
    fn look(&self, step: Step, desk: &mut Desk) -> Vec<Sight> {
        let mut found = match step {
            Step::Look(bundle) => match desk.bundle.read(&self.dir, bundle) {
                Ok(true) => self.hits(bundle, desk),
                Ok(false) => vec![gap(
                    bundle,
                    bundle.saturating_add(1),
                    "their bundle is missing".to_owned(),
                )],
                Err(error) => vec![gap(bundle, bundle.saturating_add(1), error.to_string())],
            },
            Step::Gap(from, to) => vec![gap(
                from,
                to,
                "their bundles are not there: archived and pruned, or removed".to_owned(),
            )],
        };
        if self.newest_first {
            found.reverse();
        }
        found
    }

    fn hits(&self, bundle: u64, desk: &mut Desk) -> Vec<Sight> {
        let contents = desk.bundle.contents();
        let first = bundle.saturating_mul(TILE_WIDTH);
        let view = self.needles.view(&contents.sealed);
        let mut openings = None;
        let mut found = Vec::new();
        for (index, leaf) in (first..).zip(&contents.leaves) {
            if self.needles.rule_out(leaf, &view, &mut desk.lower) {
                continue;
            }
            let all = openings.get_or_insert_with(|| contents.sealed.decode());
            let place = usize::try_from(index - first).unwrap_or(usize::MAX);
            let own = all.as_ref().ok().and_then(|all| all.get(place));
            let own = own.map(Vec::as_slice).unwrap_or_default();
            if !self.needles.rule_out_opened(leaf, own, &mut desk.lower) {
                found.extend(self.hit(Stored {
                    index,
                    json: leaf.to_vec(),
                    openings: own.to_vec(),
                }));
            }
        }
        let count = contents.leaves.len() as u64;
        let short = bundle < self.last && count < TILE_WIDTH;
        let wrong = contents.wrong.or_else(|| {
            short.then(|| format!("their bundle holds {count} entries instead of {TILE_WIDTH}"))
        });
        let end = first.saturating_add(TILE_WIDTH - 1);
        found.extend(wrong.map(|why| Sight::Gap {
            from: first.saturating_add(count).min(end),
            to: end,
            why,
        }));
        if let Some(Err(error)) = openings {
            let why = format!("what opens their sealed values cannot be read: {error}");
            let (from, to) = (first, end);
            found.push(Sight::Gap { from, to, why });
        }
        found
    }

    fn hit(&self, stored: Stored) -> Option<Sight> {
        match stored.entry() {
            Ok(entry) => self
                .filter
                .matches(&entry, &shown(&stored, &entry))
                .then(|| Sight::Entry {
                    stored,
                    entry: Box::new(entry),
                }),
            Err(error) => Some(Sight::Unreadable {
                stored,
                why: error.to_string(),
            }),
        }
    }
}

fn gap(from: u64, to: u64, why: String) -> Sight {
    Sight::Gap {
        from: from.saturating_mul(TILE_WIDTH),
        to: to.saturating_mul(TILE_WIDTH).saturating_sub(1),
        why,
    }
}

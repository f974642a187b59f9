//! One life of a log on a simulated disk, and what has to be there afterwards.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_audit::{
    Clock, Event, Filter, Log, Options, Subject, Verified, query, read_verifier_key, verify,
};
use bailiwick_tlog::{Hash, leaf_hash};

use crate::disk::{End, Sim};

pub(crate) const DIR: &str = "/state/audit";

/// What happens in a life, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Append,
    Durable,
    Flush,
    /// Publishes, and begins anew.
    Reopen,
}

/// What was acknowledged: by index, the leaf's hash, and whether it was promised to be on the disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promised {
    pub(crate) leaves: Vec<(u64, Hash, bool)>,
}

impl Promised {
    /// What is there was all promised to stay.
    pub(crate) fn all(leaves: &[Hash]) -> Self {
        let leaves = (0..).zip(leaves).map(|(index, leaf)| (index, *leaf, true));
        Self {
            leaves: leaves.collect(),
        }
    }
}

struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Duration {
        Duration::from_millis(1_795_446_245_678 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub(crate) fn options(disk: &Sim) -> Options {
    Options {
        publish_within: Duration::from_secs(3600),
        disk: Arc::new(disk.clone()),
        clock: Arc::new(Ticks(AtomicU64::new(0))),
        ..Options::default()
    }
}

pub(crate) fn event(number: usize) -> Event {
    Event::GateStop {
        reason: format!("{number} {}", "x".repeat(number * 37 % 900)),
    }
}

/// Lives until the acts are done or the disk fails. What an error was returned for was promised nothing.
pub(crate) fn live(disk: &Sim, options: &Options, acts: &[Act], promised: &mut Promised) -> bool {
    live_in(&mut None, disk, options, acts, promised)
}

/// The same; `last` is the log as it was when it ended.
pub(crate) fn live_in(
    last: &mut Option<Log>,
    disk: &Sim,
    options: &Options,
    acts: &[Act],
    promised: &mut Promised,
) -> bool {
    let open = || Log::open(Path::new(DIR), options.clone());
    let Ok(mut log) = open() else {
        return false;
    };
    *last = Some(log.clone());
    let subject = Subject::default().with_user("ann");
    for (number, act) in acts.iter().enumerate() {
        let done = match act {
            Act::Append | Act::Durable => {
                let durable = *act == Act::Durable;
                let append = if durable {
                    Log::append_durable
                } else {
                    Log::append
                };
                append(&log, &subject, &event(number)).map(|leaf| {
                    promised.leaves.push((leaf.index, leaf.hash, false));
                    if durable {
                        keep_all(promised);
                    }
                })
            }
            Act::Flush => log.flush().map(|()| keep_all(promised)),
            Act::Reopen => log.close().map(|()| keep_all(promised)),
        };
        if done.is_err() {
            return false;
        }
        if *act == Act::Reopen {
            drop(log);
            *last = None;
            match open() {
                Ok(next) => {
                    *last = Some(next.clone());
                    log = next;
                }
                Err(_) => return false,
            }
        }
    }
    let closed = log.close().is_ok();
    if closed {
        keep_all(promised);
    }
    closed && !disk.is_down()
}

/// A flush covers everything before it.
fn keep_all(promised: &mut Promised) {
    for leaf in &mut promised.leaves {
        leaf.2 = true;
    }
}

/// Every leaf of the log in `folder`, and what verification says.
pub(crate) fn read(folder: &Path) -> (Vec<Hash>, Verified) {
    let key = read_verifier_key(folder).expect("key");
    let verified = match verify(folder, &key, None) {
        Ok(verified) => verified,
        Err(report) => unreachable!("{report}"),
    };
    let leaves = query(folder, Filter::default()).map(|stored| {
        let stored = stored.expect("an entry");
        let entry = stored.entry().expect("an entry");
        let ours = matches!(&entry.event, Event::GateStop { .. });
        assert!(
            !ours || entry.subject.user.as_deref() == Some("ann"),
            "entry {} lost what opens it: {entry:?}",
            stored.index
        );
        leaf_hash(&stored.json)
    });
    (leaves.collect(), verified)
}

/// The leaves alone, whatever opens them.
pub(crate) fn leaves(folder: &Path) -> Vec<Hash> {
    let all = query(folder, Filter::default());
    all.map(|stored| leaf_hash(&stored.expect("an entry").json))
        .collect()
}

/// Opens the log on what is left, and sees that all promises were kept and that the log holds and goes on.
pub(crate) fn recover(left: &Sim, end: End, promised: &Promised, what: &str) -> Vec<Hash> {
    let log = match Log::open(Path::new(DIR), options(left)) {
        Ok(log) => log,
        Err(error) => unreachable!("{what}: {error}"),
    };
    log.append_durable(&Subject::default().with_user("ann"), &event(1))
        .expect(what);
    log.close().expect(what);
    drop(log);
    check(left, end, promised, what)
}

/// A folder in memory where there is such a place: thousands of rounds need not touch a disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    folder.expect("folder")
}

/// Sees that the log on this disk verifies, is signed to its end, and holds what was promised.
pub(crate) fn check(left: &Sim, end: End, promised: &Promised, what: &str) -> Vec<Hash> {
    let folder = scratch();
    left.copy_out(Path::new(DIR), folder.path());
    let (leaves, verified) = read(folder.path());
    assert_eq!(verified.sealed, leaves.len() as u64, "{what}");
    for (index, leaf, durable) in &promised.leaves {
        let there = leaves.get(usize::try_from(*index).expect("small"));
        let must = *durable || end == End::Kill;
        assert!(
            !must || there == Some(leaf),
            "{what}: entry {index} is lost"
        );
    }
    leaves
}

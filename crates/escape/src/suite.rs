//! Runs many attacks, some at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::probe::Probe;
use crate::run::{Place, Verdict};
use crate::tools::Tools;
use crate::world::{User, is_root};

/// More than there are cores: most of an attack is waiting.
const WORKERS: usize = 4;

/// One attack everywhere.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) probe: Probe,
    pub(crate) bare: Vec<(User, Verdict)>,
    pub(crate) inside: Vec<(User, Verdict)>,
    pub(crate) took: Duration,
}

/// All attacks.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

impl Row {
    /// Does it work without the wall, for anybody?
    pub(crate) fn works_bare(&self) -> bool {
        self.bare
            .iter()
            .any(|(_, verdict)| matches!(verdict, Verdict::Worked(_)))
    }

    pub(crate) fn works_inside(&self) -> bool {
        self.inside
            .iter()
            .any(|(_, verdict)| matches!(verdict, Verdict::Worked(_)))
    }

    pub(crate) fn is_broken(&self) -> bool {
        let all = self.bare.iter().chain(&self.inside);
        all.into_iter()
            .any(|(_, verdict)| matches!(verdict, Verdict::Broken(_)))
    }

    /// Neither an escape nor an attack that was not tried.
    pub(crate) fn holds(&self) -> bool {
        if self.probe.granted {
            return self
                .inside
                .iter()
                .all(|(_, verdict)| matches!(verdict, Verdict::Worked(_)));
        }
        !self.is_broken() && !self.works_inside()
    }
}

impl Report {
    pub(crate) fn holds(&self) -> bool {
        self.rows.iter().all(Row::holds)
    }
}

/// Everybody who can be had: root only where the runner is.
fn users() -> Vec<User> {
    if is_root() {
        vec![User::Root, User::Ordinary]
    } else {
        vec![User::Ordinary]
    }
}

/// Tries every attack.
///
/// # Errors
/// When the attacks cannot be compiled, or the gate is not built.
pub(crate) fn run_all(probes: &[Probe], tools: &Tools) -> Report {
    let (next, alone) = (AtomicUsize::new(0), RwLock::new(()));
    let rows = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(probe) = probes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = row(probe, tools, &alone);
                    let name = (probe.class, probe.name);
                    rows.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(name, row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    let in_order = probes
        .iter()
        .filter_map(|probe| rows.remove(&(probe.class, probe.name)));
    Report {
        rows: in_order.collect(),
    }
}

pub(crate) fn run(probes: &[Probe]) -> Outcome<Report> {
    let tools = Tools::make()?;
    Ok(run_all(probes, &tools))
}

fn row(probe: &Probe, tools: &Tools, alone: &RwLock<()>) -> Row {
    let mut took = Duration::ZERO;
    let mut once = |place, user| {
        let (_all, _some);
        if probe.alone {
            _all = alone.write().unwrap_or_else(PoisonError::into_inner);
        } else {
            _some = alone.read().unwrap_or_else(PoisonError::into_inner);
        }
        let begun = Instant::now();
        let verdict = run_once(probe, tools, place, user);
        took += begun.elapsed();
        (user, verdict)
    };
    let users = users();
    // What anybody can do, root can do as well.
    let mut bare = Vec::new();
    for user in users.iter().rev() {
        bare.push(once(Place::Bare, *user));
        if matches!(bare.last(), Some((_, Verdict::Worked(_)))) {
            break;
        }
    }
    let inside = users
        .iter()
        .map(|user| once(Place::Inside, *user))
        .collect();
    Row {
        probe: *probe,
        bare,
        inside,
        took,
    }
}

fn run_once(probe: &Probe, tools: &Tools, place: Place, user: User) -> Verdict {
    match (place, probe.not_bare) {
        (Place::Bare, Some(why)) => Verdict::NotRun(why.to_owned()),
        _ => crate::run::run(probe, tools, place, user),
    }
}

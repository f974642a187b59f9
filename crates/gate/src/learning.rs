//! What plugins use while somebody wants to know: recorded, and kept for a proposal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_audit::{AuditError, Event};
use bailiwick_capability::{Grant, Granted};
use bailiwick_learn::{Lessons, Proposal, Seen, propose};
use bailiwick_wall::{Closure, Used};

use crate::admit::Admitted;
use crate::host::Host;
use crate::world::Source;

/// What is learnt of every plugin.
#[derive(Debug, Default)]
pub struct Learning(Mutex<BTreeMap<String, Learnt>>);

/// What is learnt of one plugin.
#[derive(Debug, Clone)]
pub struct Learnt {
    /// The plugin.
    pub source: Arc<Source>,
    /// All that it was granted while it was watched: the bound.
    pub grant: Grant,
    /// What it asked for besides and was not granted, with the reason: nothing could be learnt of that.
    pub refused: BTreeSet<String>,
    /// What it used of the grant.
    pub lessons: Lessons,
}

impl Learnt {
    /// The least that covers what it used.
    #[must_use]
    pub fn proposal(&self) -> Proposal {
        propose(&self.grant, &self.lessons)
    }
}

impl Learning {
    /// What was learnt so far, by plugin.
    #[must_use]
    pub fn learnt(&self) -> Vec<Learnt> {
        let learnt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.values().cloned().collect()
    }

    /// One more start of a plugin that is watched.
    pub(crate) fn begin(&self, admitted: &Admitted) {
        self.of(admitted, |learnt| {
            let both = learnt.grant.atoms().iter().chain(admitted.grant().atoms());
            learnt.grant = Grant::new(both.cloned());
            for row in &admitted.assessment.rows {
                let short = row.shortfall().join("; ");
                let refused = (!short.is_empty()).then(|| format!("{}: {short}", row.asked));
                learnt.refused.extend(refused);
            }
        });
    }

    fn of(&self, admitted: &Admitted, change: impl FnOnce(&mut Learnt)) {
        let id = admitted.source.manifest.id().to_string();
        let mut learnt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(learnt.entry(id).or_insert_with(|| Learnt {
            source: admitted.source.clone(),
            grant: Grant::default(),
            refused: BTreeSet::new(),
            lessons: Lessons::default(),
        }));
    }
}

impl Host {
    /// Records what a plugin used, while which tool ran, and learns from it. What its grant did not let through is its
    /// runtime's own.
    ///
    /// # Errors
    /// The log's own.
    pub(crate) async fn used(
        &self,
        admitted: &Admitted,
        used: Vec<Used>,
        tool: Option<&str>,
    ) -> Result<(), AuditError> {
        let Some(learning) = &self.learning else {
            return Ok(());
        };
        for one in used {
            if one.target.is_empty() {
                learning.of(admitted, |learnt| learnt.lessons.add_untold(one.times));
                continue;
            }
            let Some(seen) = Seen::read(&one.operation, &one.target) else {
                continue;
            };
            let Some(atom) = granted(admitted, &seen) else {
                continue;
            };
            let event = Event::OperationAllowed {
                operation: one.operation,
                target: one.target,
                granted: atom.to_string(),
            };
            self.recorder.written(&admitted.subject, event).await?;
            learning.of(admitted, |learnt| learnt.lessons.add(seen, one.times, tool));
        }
        Ok(())
    }
}

fn granted<'a>(admitted: &'a Admitted, seen: &Seen) -> Option<&'a Granted> {
    let closure = admitted.preparation().program.as_ref();
    let closure = closure.map(|program| &program.closure);
    let is_own = seen
        .path()
        .zip(closure)
        .is_some_and(|(path, closure)| holds(closure, Path::new(path.as_str())));
    match is_own {
        true => None,
        false => seen.covered_by(admitted.grant()),
    }
}

/// Whether a path belongs to what the program needs to run at all, such as its package.
fn holds(closure: &Closure, path: &Path) -> bool {
    let mut own = closure.read.iter().chain(&closure.run);
    own.any(|own| path.starts_with(own))
}

//! What was granted and, as far as a log tells, never used.

use std::path::Path;

use bailiwick_audit::{Entry, Event, Filter, query};
use bailiwick_capability::{Grant, Granted};
use bailiwick_gate::assess::Assessment;
use bailiwick_gate::world::Source;
use bailiwick_learn::{Seen, Standing, is_told};
use serde_json::{Value, json};

use crate::report::{say, table};

/// One granted atom of one plugin.
struct Use {
    atom: Granted,
    times: u64,
    last: Option<String>,
    /// Starts of the plugin with this atom in which its uses were told.
    watched: u64,
}

/// The grant of one plugin as it is today, with what a log tells of its use.
pub(super) struct Uses {
    plugin: String,
    atoms: Vec<Use>,
}

impl Uses {
    /// Nothing is known yet.
    pub(super) fn of(source: &Source, assessment: &Assessment) -> Self {
        let atoms = assessment.grant.atoms().iter();
        Self {
            plugin: source.manifest.id().to_string(),
            atoms: atoms.cloned().map(Use::new).collect(),
        }
    }

    fn add(&mut self, entry: &Entry) {
        match &entry.event {
            Event::PluginStart { grant, watched, .. } => {
                let atoms = grant.iter().filter_map(|atom| atom.parse::<Granted>().ok());
                let then = Grant::new(atoms);
                let told = |one: &&mut Use| {
                    is_told(one.atom.capability().kind(), *watched) && then.holds(&one.atom)
                };
                self.atoms
                    .iter_mut()
                    .filter(told)
                    .for_each(|one| one.watched += 1);
            }
            Event::OperationAllowed {
                operation, target, ..
            } => self.used(operation, target, &entry.time),
            Event::SecretUse { secret, .. } => self.used("use_secret", secret, &entry.time),
            _ => {}
        }
    }

    fn used(&mut self, operation: &str, target: &str, time: &str) {
        let Some(seen) = Seen::read(operation, target) else {
            return;
        };
        for one in &mut self.atoms {
            if seen.lies_in(&one.atom) {
                one.times += 1;
                one.last = Some(time.to_owned());
            }
        }
    }

    /// Whether something was granted that was never used while it was watched.
    pub(super) fn any_unused(&self) -> bool {
        self.atoms
            .iter()
            .any(|one| one.standing() == Standing::Unused)
    }

    pub(super) fn show(&self) {
        if self.atoms.is_empty() {
            return say!("{}: nothing is granted.\n", self.plugin);
        }
        say!("{}", self.plugin);
        let mut table = table(["granted", "used", "last"]);
        for one in &self.atoms {
            let last = one.last.clone().unwrap_or_default();
            table.add_row([one.atom.to_string(), one.told(), last]);
        }
        say!("{table}\n");
    }

    pub(super) fn json(&self) -> Value {
        let atom = |one: &Use| {
            json!({
                "granted": one.atom.to_string(),
                "use": name(one.standing()),
                "times": one.times,
                "last": one.last,
                "watched_starts": one.watched,
            })
        };
        json!({ "id": self.plugin, "atoms": self.atoms.iter().map(atom).collect::<Vec<_>>() })
    }
}

impl Use {
    fn new(atom: Granted) -> Self {
        Self {
            atom,
            times: 0,
            last: None,
            watched: 0,
        }
    }

    fn standing(&self) -> Standing {
        Standing::of(self.atom.capability().kind(), self.times, self.watched)
    }

    fn told(&self) -> String {
        match self.standing() {
            Standing::Used => format!("✔ in {} entries", self.times),
            Standing::Unused => format!("✘ never, in {} watched starts", self.watched),
            Standing::NotWatched => "? not watched: `bailiwick serve --learn FOLDER`".to_owned(),
            Standing::NoTrace => "? its use leaves no trace".to_owned(),
        }
    }
}

fn name(standing: Standing) -> &'static str {
    match standing {
        Standing::Used => "used",
        Standing::Unused => "unused",
        Standing::NotWatched => "not_watched",
        Standing::NoTrace => "no_trace",
    }
}

/// Reads a log once for all plugins.
pub(super) fn read(log: &Path, all: &mut [Uses]) -> anyhow::Result<()> {
    // A log that is not there reads as an empty one; never used would be no answer.
    anyhow::ensure!(log.is_dir(), "there is no log at `{}`", log.display());
    for stored in query(log, Filter::default()) {
        let entry = stored?.entry()?;
        let plugin = entry.subject.plugin.as_deref();
        let of = all.iter_mut().filter(|uses| Some(&*uses.plugin) == plugin);
        of.for_each(|uses| uses.add(&entry));
    }
    Ok(())
}

//! Which grants left a trace of use.

use std::collections::BTreeMap;

use bailiwick_audit::{Entry, Event};
use bailiwick_capability::Kind;
use bailiwick_learn::{Standing, is_told};

/// The most plugins and atoms that are told apart; a hostile log must not grow us without bound.
const MAX_ATOMS: usize = 10_000;

/// What became of a granted atom, as far as the log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantUse {
    /// An entry shows its use.
    Used,
    /// Its tools were offered and none was called. What the plugin did unasked left no entry.
    NeverCalled,
    /// Whenever it was granted, its uses were recorded, and there is none.
    Unused,
    /// In some starts its uses were recorded, and there is none; in others they were not.
    UnusedWhileWatched,
    /// Its uses were not recorded, so nothing can be said.
    NotObservable,
}

impl GrantUse {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::NeverCalled => {
                "no tool of the plugin was called; what it did unasked was not recorded"
            }
            Self::Unused => "unused",
            Self::UnusedWhileWatched => {
                "unused while the plugin was watched, which it was not always"
            }
            Self::NotObservable => "not observable: its use was not recorded",
        }
    }
}

/// An atom of a plugin's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Held {
    uses: u64,
    /// Starts with it in which its uses were told.
    told: u64,
    /// All starts with it.
    starts: u64,
}

/// How a plugin was used through the gate. A program of `exec` offers nothing, so nobody can call it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Served {
    offered: bool,
    called: bool,
}

/// Collects grants and uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Granted atoms, by plugin and atom.
    granted: BTreeMap<(String, String), Held>,
    served: BTreeMap<String, Served>,
    /// Atoms that were left out because there are too many.
    pub left_out: u64,
}

impl Grants {
    pub(crate) fn add(&mut self, entry: &Entry) {
        let Some(plugin) = &entry.subject.plugin else {
            return;
        };
        match &entry.event {
            Event::PluginStart { grant, watched, .. } => {
                for atom in grant {
                    self.grant(plugin, atom, *watched);
                }
            }
            Event::ToolsListed { .. } => {
                if let Some(served) = self.served(plugin) {
                    served.offered = true;
                }
            }
            Event::ToolCall { .. } => {
                if let Some(served) = self.served(plugin) {
                    served.called = true;
                }
            }
            Event::SecretUse { secret, .. } => self.used(plugin, format!("use_secret:{secret}")),
            Event::OperationAllowed { granted, .. } => self.used(plugin, granted.clone()),
            _ => {}
        }
    }

    fn grant(&mut self, plugin: &str, atom: &str, watched: bool) {
        let key = (plugin.to_owned(), atom.to_owned());
        if self.granted.len() >= MAX_ATOMS && !self.granted.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let held = self.granted.entry(key).or_default();
        held.starts += 1;
        held.told += u64::from(kind(atom).is_some_and(|kind| is_told(kind, watched)));
    }

    /// None where there are too many plugins: of those nothing is said to be unused.
    fn served(&mut self, plugin: &str) -> Option<&mut Served> {
        if self.served.len() >= MAX_ATOMS && !self.served.contains_key(plugin) {
            return None;
        }
        Some(self.served.entry(plugin.to_owned()).or_default())
    }

    /// What is used was granted before.
    fn used(&mut self, plugin: &str, atom: String) {
        if let Some(held) = self.granted.get_mut(&(plugin.to_owned(), atom)) {
            held.uses += 1;
        }
    }

    /// Every granted atom: plugin, atom, use; in the order of plugin and atom.
    #[must_use]
    pub fn uses(&self) -> Vec<(&str, &str, GrantUse)> {
        let of = |((plugin, atom), held): (&(String, String), &Held)| {
            let standing = kind(atom).map(|kind| Standing::of(kind, held.uses, held.told));
            let served = self.served.get(plugin);
            match standing {
                Some(Standing::Used) => GrantUse::Used,
                Some(Standing::Unused) if held.told < held.starts => GrantUse::UnusedWhileWatched,
                Some(Standing::Unused) => GrantUse::Unused,
                _ if served.is_some_and(|served| served.offered && !served.called) => {
                    GrantUse::NeverCalled
                }
                _ => GrantUse::NotObservable,
            }
        };
        self.granted
            .iter()
            .map(|grant| (grant.0.0.as_str(), grant.0.1.as_str(), of(grant)))
            .collect()
    }

    /// Those that nothing shows the use of: plugin, atom, why.
    #[must_use]
    pub fn unused(&self) -> Vec<(&str, &str, GrantUse)> {
        let mut uses = self.uses();
        uses.retain(|(_, _, used)| *used != GrantUse::Used);
        uses
    }
}

fn kind(atom: &str) -> Option<Kind> {
    atom.split(':').next()?.parse().ok()
}

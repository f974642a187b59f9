//! Which grants left a trace of use.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_audit::{Entry, Event};
use bailiwick_learn::leaves_a_trace;

/// The most plugins and atoms that are told apart; a hostile log must not grow us without bound.
const MAX_ATOMS: usize = 10_000;

/// What became of a granted atom, as far as the log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantUse {
    /// An entry shows its use.
    Used,
    /// Nothing was called and nothing of the plugin's is recorded at all: certainly not used by a call.
    NeverCalled,
    /// Uses of this kind are recorded, and there is none of this atom.
    Unused,
    /// Uses of this kind leave no entry behind this wall, so nothing can be said.
    NotObservable,
}

impl GrantUse {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::NeverCalled => "unused: the plugin was never called",
            Self::Unused => "unused",
            Self::NotObservable => "not observable: its use leaves no entry",
        }
    }
}

/// Collects grants and uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Granted atoms, by plugin and atom, with the wall.
    granted: BTreeMap<(String, String), String>,
    used: BTreeSet<(String, String)>,
    called: BTreeSet<String>,
    /// Kinds of operation that a wall is known to record when it lets them through.
    observed: BTreeSet<(String, String)>,
    walls: BTreeMap<String, String>,
    /// Plugins that ran while all that leaves a trace was told.
    watched: BTreeSet<String>,
    /// Atoms that were left out because there are too many.
    pub left_out: u64,
}

impl Grants {
    pub(crate) fn add(&mut self, entry: &Entry) {
        let Some(plugin) = entry.subject.plugin.clone() else {
            return;
        };
        match &entry.event {
            Event::PluginStart {
                wall,
                grant,
                watched,
                ..
            } => {
                if *watched {
                    self.watched.insert(plugin.clone());
                }
                self.walls.insert(plugin.clone(), wall.clone());
                for atom in grant {
                    if self.granted.len() >= MAX_ATOMS {
                        self.left_out += 1;
                    } else {
                        self.granted
                            .insert((plugin.clone(), atom.clone()), wall.clone());
                    }
                }
            }
            Event::ToolCall { .. } => {
                self.called.insert(plugin);
            }
            Event::SecretUse { secret, .. } => {
                self.mark(plugin, format!("use_secret:{secret}"));
            }
            Event::OperationAllowed {
                operation, granted, ..
            } => {
                if let Some(wall) = self.walls.get(&plugin) {
                    self.observed.insert((wall.clone(), operation.clone()));
                }
                self.mark(plugin, granted.clone());
            }
            _ => {}
        }
    }

    fn mark(&mut self, plugin: String, atom: String) {
        if self.used.len() < MAX_ATOMS {
            self.used.insert((plugin, atom));
        }
    }

    /// Every granted atom: plugin, atom, use; in the order of plugin and atom.
    #[must_use]
    pub fn uses(&self) -> Vec<(&str, &str, GrantUse)> {
        let of = |((plugin, atom), wall): (&(String, String), &String)| {
            let kind = atom.split_once(':').map_or(atom.as_str(), |(kind, _)| kind);
            if self.used.contains(&(plugin.clone(), atom.clone())) {
                GrantUse::Used
            } else if kind == "use_secret"
                || (self.watched.contains(plugin) && kind.parse().is_ok_and(leaves_a_trace))
                || self.observed.contains(&(wall.clone(), kind.to_owned()))
            {
                GrantUse::Unused
            } else if self.called.contains(plugin) {
                GrantUse::NotObservable
            } else {
                GrantUse::NeverCalled
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

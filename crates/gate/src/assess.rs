//! Manifest → request → decision → grant, before any plugin code is loaded.

use bailiwick_capability::{Capability, Grant, Granted};
use bailiwick_manifest::{Atom, Necessity, Span};
use bailiwick_policy::{Context, Decision, Outcome, Pdp, Principal};
use bailiwick_wall::{HeldAtom, Hold, Wall};

use crate::resolve::{ResolveError, SearchPath, resolve};
use crate::world::Source;

/// What became of one asked atom, in the order in which it was found out.
#[derive(Debug, Clone)]
pub struct Row {
    /// As the manifest wrote it.
    pub asked: Capability,
    /// Whether the plugin can do without.
    pub necessity: Necessity,
    /// Where the manifest says so.
    pub span: Span,
    /// What it means on this machine.
    pub resolved: Result<Capability, ResolveError>,
    /// What policy says; none for what could not be resolved.
    pub decision: Option<Decision>,
    /// What the wall says of each atom that policy granted.
    pub held: Vec<HeldAtom>,
}

/// What became of an atom in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Standing {
    /// All of it is granted and held.
    Granted,
    /// A part of it is granted and held.
    Partial,
    /// Nothing of it is, unless a person approves.
    Asks,
    /// Nothing of it is.
    Refused,
}

impl Standing {
    /// Its name in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Partial => "partial",
            Self::Asks => "asks",
            Self::Refused => "refused",
        }
    }
}

impl Row {
    /// What is granted and held of it.
    pub fn granted(&self) -> impl Iterator<Item = &Granted> {
        self.held
            .iter()
            .filter(|held| matches!(held.hold, Hold::Fully { .. }))
            .map(|held| &held.atom)
    }

    /// What became of it.
    pub fn standing(&self) -> Standing {
        let Some(decision) = &self.decision else {
            return Standing::Refused;
        };
        let held = self.granted().count();
        match &decision.outcome {
            _ if held == 0 && !decision.pending().is_empty() => Standing::Asks,
            _ if held == 0 => Standing::Refused,
            Outcome::Grant(_) if held == self.held.len() => Standing::Granted,
            _ => Standing::Partial,
        }
    }

    /// Why it is not wholly granted, a line each, for people.
    #[must_use]
    pub fn shortfall(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Err(error) = &self.resolved {
            lines.push(format!("{}; {}", error.message, error.help));
        }
        if let Some(decision) = self
            .decision
            .as_ref()
            .filter(|decision| !decision.is_full())
        {
            lines.extend(decision.reasons.iter().map(ToString::to_string));
        }
        lines.extend(self.held.iter().filter_map(|held| match &held.hold {
            Hold::Not { why } => Some(format!("the wall cannot hold `{}`: {why}", held.atom)),
            Hold::Fully { .. } => None,
        }));
        lines
    }
}

/// What became of a whole manifest.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// A row an atom, required ones first, in the manifest's order.
    pub rows: Vec<Row>,
    /// All that is granted and held.
    pub grant: Grant,
    /// Why the plugin cannot be loaded, a line each; empty where it can.
    pub missing: Vec<String>,
}

impl Assessment {
    /// Whether the plugin can be loaded, perhaps reduced.
    #[must_use]
    pub fn loadable(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Asks policy for every atom, and the wall for what policy grants, and for what people approved of what policy asks
/// them about.
#[must_use]
pub fn assess(
    source: &Source,
    wall: &dyn Wall,
    pdp: &Pdp,
    principal: &Principal,
    context: &Context,
    search: &SearchPath,
    approved: &Grant,
) -> Assessment {
    let manifest = &source.manifest;
    let atoms = manifest.required().chain(manifest.optional());
    let mut rows: Vec<Row> = atoms
        .map(|atom| row(atom, pdp, principal, context, search))
        .collect();
    for row in &mut rows {
        row.decision = row
            .decision
            .take()
            .map(|decision| decision.approved(approved));
    }
    hold(&mut rows, wall);
    let grant = Grant::new(rows.iter().flat_map(Row::granted).cloned());
    let missing = rows
        .iter()
        .filter(|row| row.necessity == Necessity::Required)
        .filter(|row| matches!(row.standing(), Standing::Refused | Standing::Asks))
        .map(|row| {
            format!(
                "`{}` is required: {}",
                row.asked,
                row.shortfall().join("; ")
            )
        })
        .collect();
    Assessment {
        rows,
        grant,
        missing,
    }
}

fn row(
    atom: &Atom,
    pdp: &Pdp,
    principal: &Principal,
    context: &Context,
    search: &SearchPath,
) -> Row {
    let resolved = resolve(&atom.capability, search);
    let decision = resolved
        .as_ref()
        .ok()
        .map(|asked| pdp.decide(principal, context, asked));
    Row {
        asked: atom.capability.clone(),
        necessity: atom.necessity,
        span: atom.span,
        resolved,
        decision,
        held: Vec::new(),
    }
}

/// Asks the wall for all that policy grants together: an atom may hold only beside another (writing where
/// reading is granted too), or not beside another. What it refuses is left out and the rest asked again.
fn hold(rows: &mut [Row], wall: &dyn Wall) {
    let decided: Vec<Vec<Granted>> = rows
        .iter()
        .map(|row| {
            row.decision
                .as_ref()
                .map(Decision::granted)
                .unwrap_or_default()
                .to_vec()
        })
        .collect();
    let mut refused: Vec<HeldAtom> = Vec::new();
    let held = loop {
        let left = decided
            .iter()
            .flatten()
            .filter(|atom| refused.iter().all(|held: &HeldAtom| held.atom != **atom));
        let report = wall.report(&Grant::new(left.cloned()));
        let before = refused.len();
        refused.extend(report.refused().cloned());
        if refused.len() == before {
            break report.atoms;
        }
    };
    let held = reconsider(&decided, held, &mut refused, wall);
    for (row, atoms) in rows.iter_mut().zip(decided) {
        row.held = atoms
            .into_iter()
            .map(|atom| held_as(atom, &refused, &held))
            .collect();
    }
}

/// What was refused only because of another atom that was refused as well is held after all: each, required ones
/// first, is asked about once more beside what is held.
fn reconsider(
    decided: &[Vec<Granted>],
    mut held: Vec<HeldAtom>,
    refused: &mut Vec<HeldAtom>,
    wall: &dyn Wall,
) -> Vec<HeldAtom> {
    for atom in decided.iter().flatten() {
        let Some(at) = refused.iter().position(|other| other.atom == *atom) else {
            continue;
        };
        let beside = held.iter().map(|held| held.atom.clone());
        let report = wall.report(&Grant::new(beside.chain([atom.clone()])));
        if report.refused().next().is_none() {
            refused.remove(at);
            held = report.atoms;
        }
    }
    held
}

fn held_as(atom: Granted, refused: &[HeldAtom], held: &[HeldAtom]) -> HeldAtom {
    let exactly = refused.iter().find(|other| other.atom == atom);
    // A grant leaves atoms inside others out.
    let within = || held.iter().find(|other| other.atom.contains(&atom));
    let hold = exactly
        .or_else(within)
        .map_or_else(silence, |found| found.hold.clone());
    HeldAtom { atom, hold }
}

fn silence() -> Hold {
    Hold::Not {
        why: "the wall says nothing of it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_capability::Kind;
    use bailiwick_manifest::Manifest;
    use bailiwick_policy::{Agent, Classification, PluginFacts, PolicySource, User};
    use bailiwick_wall::Report;

    /// Holds writing only beside reading, and never a random number beside the clock.
    struct Picky;

    impl Wall for Picky {
        fn name(&self) -> &'static str {
            "picky"
        }

        fn report(&self, grant: &Grant) -> Report {
            let has = |kind| grant.of_kind(kind).next().is_some();
            let hold = |atom: &Granted| {
                let fits = match atom.capability().kind() {
                    Kind::WriteFiles => has(Kind::ReadFiles),
                    Kind::Random => !has(Kind::Clock),
                    _ => true,
                };
                let how = "somehow".to_owned();
                if fits {
                    Hold::Fully { how }
                } else {
                    Hold::Not { why: how }
                }
            };
            let atoms = grant.atoms().iter().map(|atom| HeldAtom {
                atom: atom.clone(),
                hold: hold(atom),
            });
            Report {
                wall: "picky",
                atoms: atoms.collect(),
            }
        }
    }

    fn assessed(policy: &str, required: &str) -> (Vec<&'static str>, Assessment) {
        let policies = [PolicySource {
            name: "test".to_owned(),
            text: policy.to_owned(),
        }];
        let pdp = Pdp::load(&policies, &Classification::default()).unwrap();
        let text = format!(
            "id: a\nversion: 1.0.0\nrequired_capabilities: [{required}]\nruntime: {{command: [a]}}\n"
        );
        let manifest = Manifest::parse("a.yaml", text.as_bytes()).unwrap();
        let source = crate::discover::source(manifest, None, None);
        let principal = Principal {
            session: "s".to_owned(),
            user: User::default(),
            agent: Agent::default(),
            plugin: PluginFacts {
                id: "a".to_owned(),
                ..PluginFacts::default()
            },
        };
        let search = SearchPath::new("/usr/bin");
        let done = assess(
            &source,
            &Picky,
            &pdp,
            &principal,
            &Context::default(),
            &search,
            &Grant::default(),
        );
        let standings = done.rows.iter().map(|row| row.standing().as_str());
        (standings.collect(), done)
    }

    const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

    #[test]
    fn atoms_are_held_beside_each_other() {
        let files = "read_files:/etc/, write_files:/etc/";
        let (standings, done) = assessed(ALL, files);
        assert_eq!(standings, ["granted", "granted"]);
        assert_eq!(done.grant.atoms().len(), 2);
        assert!(done.loadable());
        assert_eq!(assessed(ALL, "write_files:/etc/").0, ["refused"]);
        // Where policy keeps the one back, the other is not held.
        let writes = r#"@id("w") permit (principal, action == Action::"write_files", resource);"#;
        let (standings, done) = assessed(writes, files);
        assert_eq!(standings, ["refused", "refused"]);
        assert!(done.grant.is_empty() && done.missing.len() == 2);
    }

    #[test]
    fn what_does_not_go_together_is_not_granted_together() {
        let (standings, done) = assessed(ALL, "clock, random, read_files:/etc/");
        assert_eq!(standings, ["granted", "refused", "granted"]);
        assert!(done.grant.of_kind(Kind::Random).next().is_none());
        assert!(
            done.missing
                .iter()
                .any(|line| line.contains("`random` is required")),
            "{:?}",
            done.missing
        );
    }

    #[test]
    fn an_atom_inside_another_is_held_with_it() {
        let (standings, done) = assessed(ALL, "read_files:/etc/, read_files:/etc/hosts");
        assert_eq!(standings, ["granted", "granted"]);
        assert_eq!(done.grant.atoms().len(), 1);
    }
}

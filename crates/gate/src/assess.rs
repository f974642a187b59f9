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

/// Asks policy for every atom, and the wall for what policy grants.
#[must_use]
pub fn assess(
    source: &Source,
    wall: &dyn Wall,
    pdp: &Pdp,
    principal: &Principal,
    context: &Context,
    search: &SearchPath,
) -> Assessment {
    let manifest = &source.manifest;
    let atoms = manifest.required().chain(manifest.optional());
    let rows: Vec<Row> = atoms
        .map(|atom| row(atom, wall, pdp, principal, context, search))
        .collect();
    let grant = Grant::new(rows.iter().flat_map(Row::granted).cloned());
    let mut missing: Vec<String> = rows
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
    // Atoms that a wall holds one by one may still not go together.
    for held in wall.report(&grant).refused() {
        if let Hold::Not { why } = &held.hold {
            missing.push(format!(
                "the wall cannot hold `{}` beside the rest: {why}",
                held.atom
            ));
        }
    }
    Assessment {
        rows,
        grant,
        missing,
    }
}

fn row(
    atom: &Atom,
    wall: &dyn Wall,
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
    let granted = decision.as_ref().map(Decision::granted).unwrap_or_default();
    let held = granted
        .iter()
        .flat_map(|atom| wall.report(&Grant::new([atom.clone()])).atoms)
        .collect();
    Row {
        asked: atom.capability.clone(),
        necessity: atom.necessity,
        span: atom.span,
        resolved,
        decision,
        held,
    }
}

//! The wall trait, and what a wall says of a grant before anything starts.

use bailiwick_capability::{Grant, Granted};

/// What becomes of one atom behind a wall.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Hold {
    /// Held exactly; `how` names the mechanism, for people.
    Fully {
        /// The mechanism.
        how: String,
    },
    /// Cannot be held exactly, so it is refused.
    Not {
        /// Why not, and what would help.
        why: String,
    },
}

/// One atom and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAtom {
    /// The atom, with its holes.
    pub atom: Granted,
    /// What becomes of it.
    pub hold: Hold,
}

/// What a wall says of a whole grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The wall's name, as policy sees it in `isolation`.
    pub wall: &'static str,
    /// Every atom of the grant, in its order.
    pub atoms: Vec<HeldAtom>,
}

impl Report {
    /// The atoms that this wall cannot hold.
    pub fn refused(&self) -> impl Iterator<Item = &HeldAtom> {
        self.atoms
            .iter()
            .filter(|held| matches!(held.hold, Hold::Not { .. }))
    }

    /// The grant without what this wall cannot hold.
    #[must_use]
    pub fn held(&self) -> Grant {
        Grant::new(
            self.atoms
                .iter()
                .filter(|held| matches!(held.hold, Hold::Fully { .. }))
                .map(|held| held.atom.clone()),
        )
    }
}

/// An enforcement point.
pub trait Wall: Send + Sync {
    /// Its name, such as `native` or `wasm`.
    fn name(&self) -> &'static str;

    /// What would become of each atom of `grant`. Touches no plugin.
    fn report(&self, grant: &Grant) -> Report;
}

/// Why a plugin was not started.
#[derive(Debug, thiserror::Error)]
pub enum WallError {
    /// The machine lacks something that the wall is made of.
    #[error("this machine cannot build the {wall} wall: {lacks}")]
    Unsupported {
        /// Which wall.
        wall: &'static str,
        /// What is missing, and how to mend it.
        lacks: String,
    },
    /// The grant holds atoms that this wall cannot hold exactly.
    #[error("the wall cannot hold {}", list(.0))]
    Refused(Vec<HeldAtom>),
    /// A step of building the wall failed; nothing of the plugin ran.
    #[error("building the wall failed at {what}: {why}")]
    Build {
        /// The step.
        what: String,
        /// The cause.
        why: String,
    },
    /// The plugin itself is not what was expected.
    #[error("{0}")]
    Plugin(String),
}

fn list(atoms: &[HeldAtom]) -> String {
    let line = |held: &HeldAtom| match &held.hold {
        Hold::Fully { .. } => held.atom.to_string(),
        Hold::Not { why } => format!("`{}` ({why})", held.atom),
    };
    atoms.iter().map(line).collect::<Vec<_>>().join(", ")
}

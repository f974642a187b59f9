//! A grant: everything that exists in one plugin's world.

use serde::{Deserialize, Serialize};

use crate::granted::maximal;
use crate::{Capability, Granted, Kind};

/// A set of granted atoms, none inside another, sorted. Immutable; empty grants nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Grant {
    atoms: Vec<Granted>,
}

impl Grant {
    /// Makes a grant; atoms inside others are left out.
    #[must_use]
    pub fn new(atoms: impl IntoIterator<Item = Granted>) -> Self {
        Self {
            atoms: maximal(atoms.into_iter().collect(), Granted::contains),
        }
    }

    /// The atoms.
    #[must_use]
    pub fn atoms(&self) -> &[Granted] {
        &self.atoms
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// Whether one atom permits the whole of `operation`.
    #[must_use]
    pub fn permits(&self, operation: &Capability) -> bool {
        self.atoms.iter().any(|atom| atom.permits(operation))
    }

    /// Whether the atom lies inside an atom of this.
    #[must_use]
    pub fn holds(&self, atom: &Granted) -> bool {
        self.atoms.iter().any(|has| has.contains(atom))
    }

    /// The atoms of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Granted> {
        self.atoms
            .iter()
            .filter(move |atom| atom.capability().kind() == kind)
    }

    /// What both permit.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        Self::new(
            self.atoms
                .iter()
                .flat_map(|a| other.atoms.iter().filter_map(|b| a.meet(b))),
        )
    }

    /// Whether every atom of `other` lies inside an atom of `self`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.atoms.iter().all(|atom| self.holds(atom))
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Granted>::deserialize(deserializer).map(Self::new)
    }
}

//! One granted capability, with the holes that policy cut out of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Capability, CapabilityError};

const EXCEPT: &str = " except ";

/// A capability less its holes. Holes lie inside it, none inside another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Granted {
    capability: Capability,
    holes: Vec<Capability>,
}

impl Granted {
    /// A capability without holes.
    #[must_use]
    pub fn whole(capability: Capability) -> Self {
        Self {
            capability,
            holes: Vec::new(),
        }
    }

    /// A capability less `holes`; none where nothing is left of it.
    #[must_use]
    pub fn with_holes(
        capability: Capability,
        holes: impl IntoIterator<Item = Capability>,
    ) -> Option<Self> {
        let inside: Vec<_> = holes
            .into_iter()
            .filter_map(|hole| capability.meet(&hole))
            .collect();
        if inside.contains(&capability) {
            return None;
        }
        Some(Self {
            holes: maximal(inside, Capability::contains),
            capability,
        })
    }

    /// The capability, as if it had no holes.
    #[must_use]
    pub fn capability(&self) -> &Capability {
        &self.capability
    }

    /// What is cut out of it.
    #[must_use]
    pub fn holes(&self) -> &[Capability] {
        &self.holes
    }

    /// Whether `operation`, a point or a narrower scope, lies inside and touches no hole.
    #[must_use]
    pub fn permits(&self, operation: &Capability) -> bool {
        self.capability.contains(operation)
            && !self.holes.iter().any(|hole| hole.overlaps(operation))
    }

    /// Whether all that `other` permits is permitted by `self`. Sound; answers no where several holes
    /// only together cover one of ours.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.capability.contains(&other.capability)
            && self
                .holes
                .iter()
                .filter_map(|hole| hole.meet(&other.capability))
                .all(|hole| other.holes.iter().any(|cut| cut.contains(&hole)))
    }

    /// What both permit; none where that is nothing.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let capability = self.capability.meet(&other.capability)?;
        Self::with_holes(capability, self.holes.iter().chain(&other.holes).cloned())
    }
}

/// The maximal elements, sorted: one form for one meaning.
pub(crate) fn maximal<T: Ord>(items: Vec<T>, contains: fn(&T, &T) -> bool) -> Vec<T> {
    let mut items = items;
    items.sort_unstable();
    items.dedup();
    let mut kept: Vec<T> = Vec::with_capacity(items.len());
    for item in items {
        if kept.iter().any(|other| contains(other, &item)) {
            continue;
        }
        kept.retain(|other| !contains(&item, other));
        kept.push(item);
    }
    kept.sort_unstable();
    kept
}

impl From<Capability> for Granted {
    fn from(capability: Capability) -> Self {
        Self::whole(capability)
    }
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.capability)?;
        self.holes.iter().try_for_each(|hole| match hole.scope() {
            crate::Scope::Whole => Err(fmt::Error),
            scope => write!(f, "{EXCEPT}{scope}"),
        })
    }
}

impl FromStr for Granted {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(EXCEPT);
        let capability: Capability = parts.next().unwrap_or_default().parse()?;
        let kind = capability.kind();
        let holes = parts
            .map(|scope| Capability::parse_scope(kind, scope))
            .collect::<Result<Vec<_>, _>>()?;
        let outside = holes
            .iter()
            .find(|hole| !capability.contains(hole))
            .cloned();
        if let Some(hole) = outside {
            return Err(CapabilityError::new(
                format!("the exception `{hole}` is not inside `{capability}`"),
                "leave it out",
            ));
        }
        Self::with_holes(capability, holes).ok_or_else(|| {
            CapabilityError::new(format!("`{text}` leaves nothing"), "leave the atom out")
        })
    }
}

impl Serialize for Granted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Granted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

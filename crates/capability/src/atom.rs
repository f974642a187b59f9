//! One capability: a kind and a scope that suits it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{CapabilityError, Kind, Scope};

/// A kind and a scope. At run time an operation is a capability whose scope is a single point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    kind: Kind,
    scope: Scope,
}

impl Capability {
    /// Puts a capability together.
    ///
    /// # Errors
    /// A scope that does not suit the kind.
    pub fn new(kind: Kind, scope: Scope) -> Result<Self, CapabilityError> {
        if scope.suits(kind) {
            Ok(Self { kind, scope })
        } else {
            Err(CapabilityError::unsuitable(kind, &scope.to_string()))
        }
    }

    /// The whole of a kind: the widest scope there is.
    #[must_use]
    pub fn whole(kind: Kind) -> Self {
        Self {
            kind,
            scope: Scope::Whole,
        }
    }

    /// Reads the part after the colon, `/var/log/` of `read_files:/var/log/`.
    ///
    /// # Errors
    /// What is no scope of `kind`.
    pub fn parse_scope(kind: Kind, text: &str) -> Result<Self, CapabilityError> {
        Self::new(kind, Scope::parse(kind, text)?)
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether every operation that `other` covers is covered by `self`. A partial order.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.kind == other.kind && self.scope.contains(&other.scope)
    }

    /// Whether there is an operation that both cover: whether [`Capability::meet`] gives one, without making it.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.kind == other.kind && self.scope.overlaps(&other.scope)
    }

    /// The operations that both cover; none where there are none. Commutative, associative, idempotent.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let scope = (self.kind == other.kind).then(|| self.scope.meet(&other.scope))??;
        Some(Self {
            kind: self.kind,
            scope,
        })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Whole => write!(f, "{}", self.kind),
            scope => write!(f, "{}:{scope}", self.kind),
        }
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((kind, scope)) => {
                Self::parse_scope(kind.parse()?, scope.strip_prefix(' ').unwrap_or(scope))
            }
            None => Ok(Self::whole(text.parse()?)),
        }
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

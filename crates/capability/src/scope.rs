//! A scope of any kind.

use std::fmt;

use crate::net::{comparable, narrower};
use crate::{CapabilityError, Kind, ListenScope, NameScope, NetScope, PathScope, ProgramScope};

/// What part of a kind a capability covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole kind.
    Whole,
    /// Files.
    Path(PathScope),
    /// Connections.
    Net(NetScope),
    /// A port to listen on.
    Listen(ListenScope),
    /// A program.
    Program(ProgramScope),
    /// A variable, secret, log stream, tool or model.
    Name(NameScope),
}

impl Scope {
    pub(crate) fn parse(kind: Kind, text: &str) -> Result<Self, CapabilityError> {
        if text.trim() != text || text.is_empty() {
            return Err(CapabilityError::unsuitable(
                kind,
                &text.escape_debug().to_string(),
            ));
        }
        match kind {
            Kind::ReadFiles | Kind::WriteFiles => PathScope::parse(text).map(Self::Path),
            Kind::NetworkAccess => NetScope::parse(text).map(Self::Net),
            Kind::NetworkListen => ListenScope::parse(text).map(Self::Listen),
            Kind::ExecuteCode | Kind::ExecuteShell => ProgramScope::parse(text).map(Self::Program),
            Kind::ReadEnvironment
            | Kind::UseSecret
            | Kind::WriteToLogs
            | Kind::CallTool
            | Kind::UseModel => NameScope::parse(kind, text).map(Self::Name),
            Kind::AskUser | Kind::Clock | Kind::Random => {
                Err(CapabilityError::unsuitable(kind, text))
            }
        }
    }

    pub(crate) fn suits(&self, kind: Kind) -> bool {
        match self {
            Self::Whole => true,
            Self::Path(_) => matches!(kind, Kind::ReadFiles | Kind::WriteFiles),
            Self::Net(_) => kind == Kind::NetworkAccess,
            Self::Listen(_) => kind == Kind::NetworkListen,
            Self::Program(program) => {
                kind == Kind::ExecuteCode
                    || (kind == Kind::ExecuteShell && program.args().is_empty())
            }
            // A name may be valid for one kind and not for another, so it is read again.
            Self::Name(name) => {
                !matches!(kind, Kind::ReadFiles | Kind::WriteFiles)
                    && Self::parse(kind, &name.to_string()).is_ok_and(|again| again == *self)
            }
        }
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole, _) => true,
            (Self::Path(a), Self::Path(b)) => a.contains(b),
            (Self::Net(a), Self::Net(b)) => a.contains(b),
            (Self::Listen(a), Self::Listen(b)) => a == b,
            (Self::Program(a), Self::Program(b)) => a.contains(b),
            (Self::Name(a), Self::Name(b)) => a.contains(b),
            _ => false,
        }
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Net(a), Self::Net(b)) => a.overlaps(b),
            _ => comparable(self, other, Self::contains),
        }
    }

    pub(crate) fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Net(a), Self::Net(b)) => a.meet(b).map(Self::Net),
            _ => narrower(self, other, Self::contains),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Path(scope) => scope.fmt(f),
            Self::Net(scope) => scope.fmt(f),
            Self::Listen(scope) => scope.fmt(f),
            Self::Program(scope) => scope.fmt(f),
            Self::Name(scope) => scope.fmt(f),
        }
    }
}

//! Which entries concern a capability: those that name an atom with which it overlaps.

use std::fmt;
use std::str::FromStr;

use bailiwick_capability::{
    AbsPath, Capability, CapabilityError, Granted, HostPattern, Kind, NetScope, PathScope,
    ProgramRef, Scope,
};

use crate::event::{Entry, Event};

/// What is asked about: a kind, an atom, or a path or host whatever the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// `read_files`: whatever names this kind.
    Kind(Kind),
    /// `read_files:/data/`: whatever overlaps with this atom.
    Atom(Capability),
    /// `/data/hr/x`, `/data/`: reading, writing or running what lies there.
    Path(PathScope),
    /// `network_access:api.example.com`: whatever the scheme, port and path.
    Host(HostPattern),
}

/// One atom that an entry names. What is no atom of a kind, because it was shortened, erased or is no scope, stands for
/// the whole of the kind: it may concern anything, and nothing is to be overlooked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The atom, without its holes: an entry that says what is left out of a grant concerns that as well.
    pub atom: Capability,
}

impl Claim {
    fn read(text: &str) -> Option<Self> {
        let kind: Kind = text.split(':').next()?.parse().ok()?;
        let atom = text
            .parse::<Granted>()
            .map(|granted| granted.capability().clone())
            .or_else(|_| text.parse());
        Some(Self {
            atom: atom.unwrap_or_else(|_| Capability::whole(kind)),
        })
    }

    fn of(kind: Kind, scope: &str) -> Self {
        let atom = match kind {
            Kind::ReadFiles | Kind::WriteFiles => AbsPath::exactly(scope).and_then(|path| {
                let whole = scope.ends_with('/');
                let scope = if whole {
                    PathScope::Tree(path)
                } else {
                    PathScope::File(path)
                };
                Capability::new(kind, Scope::Path(scope))
            }),
            Kind::ExecuteCode | Kind::ExecuteShell => AbsPath::exactly(scope).and_then(|path| {
                let program =
                    bailiwick_capability::ProgramScope::new(ProgramRef::Path(path), Vec::new())?;
                Capability::new(kind, Scope::Program(program))
            }),
            Kind::NetworkAccess => connection(scope),
            _ => Capability::parse_scope(kind, scope),
        };
        Self {
            atom: atom.unwrap_or_else(|_| Capability::whole(kind)),
        }
    }
}

/// A connection as walls name it: a scope, or `host:port`.
fn connection(target: &str) -> Result<Capability, CapabilityError> {
    let kind = Kind::NetworkAccess;
    Capability::parse_scope(kind, target)
        .or_else(|_| Capability::parse_scope(kind, &format!("tcp://{target}")))
}

/// The atoms that an entry names: asked for, decided on, granted, refused, used.
#[must_use]
pub fn claims(entry: &Entry) -> Vec<Claim> {
    let mut found = Vec::new();
    let mut all =
        |atoms: &[String]| found.extend(atoms.iter().filter_map(|atom| Claim::read(atom)));
    match &entry.event {
        Event::Request {
            required, optional, ..
        } => {
            all(required);
            all(optional);
        }
        Event::Decision { atoms, .. } => {
            for atom in atoms {
                all(std::slice::from_ref(&atom.asked));
                all(&atom.granted);
            }
        }
        Event::TokenMinted { grant, .. }
        | Event::PluginStart { grant, .. }
        | Event::PreparationStart { grant, .. } => all(grant),
        Event::Approval { asked, .. } | Event::Question { asked, .. } => all(asked),
        Event::OperationDenied {
            operation, target, ..
        } => {
            found.extend(operation.parse().map(|kind| Claim::of(kind, target)));
        }
        Event::OperationAllowed {
            operation,
            target,
            granted,
        } => {
            all(std::slice::from_ref(granted));
            found.extend(operation.parse().map(|kind| Claim::of(kind, target)));
        }
        Event::SecretStored { secret, .. } | Event::SecretRemoved { secret } => {
            found.push(Claim::of(Kind::UseSecret, secret));
        }
        Event::SecretUse {
            secret,
            destination,
        } => {
            found.push(Claim::of(Kind::UseSecret, secret));
            found.push(Claim::of(Kind::NetworkAccess, destination));
        }
        _ => {}
    }
    found
}

impl Concern {
    /// Whether one of the entry's atoms overlaps with what is asked about.
    #[must_use]
    pub fn is_met_by(&self, entry: &Entry) -> bool {
        claims(entry).iter().any(|claim| self.overlaps(&claim.atom))
    }

    /// The kinds that an entry must name one of.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        match self {
            Self::Kind(kind) => vec![*kind],
            Self::Atom(atom) => vec![atom.kind()],
            Self::Path(_) => vec![
                Kind::ReadFiles,
                Kind::WriteFiles,
                Kind::ExecuteCode,
                Kind::ExecuteShell,
            ],
            Self::Host(_) => vec![Kind::NetworkAccess],
        }
    }

    fn overlaps(&self, atom: &Capability) -> bool {
        match (self, atom.scope()) {
            (Self::Kind(kind), _) => atom.kind() == *kind,
            (Self::Atom(asked), _) => asked.meet(atom).is_some(),
            (Self::Path(_), Scope::Whole) => self.kinds().contains(&atom.kind()),
            (Self::Path(asked), Scope::Path(_)) => {
                Capability::new(atom.kind(), Scope::Path(asked.clone()))
                    .is_ok_and(|asked| asked.meet(atom).is_some())
            }
            (Self::Path(asked), Scope::Program(program)) => match program.program() {
                ProgramRef::Path(path) => within(path, asked),
                ProgramRef::Named(_) => false,
            },
            (Self::Host(_), Scope::Whole) => atom.kind() == Kind::NetworkAccess,
            (Self::Host(asked), Scope::Net(net)) => {
                NetScope::new(net.scheme(), asked.clone(), net.port(), None, None)
                    .and_then(|asked| Capability::new(Kind::NetworkAccess, Scope::Net(asked)))
                    .is_ok_and(|asked| asked.meet(atom).is_some())
            }
            (Self::Path(_) | Self::Host(_), _) => false,
        }
    }
}

fn within(path: &AbsPath, asked: &PathScope) -> bool {
    match asked {
        PathScope::File(file) => path == file,
        PathScope::Tree(tree) => path.is_within(tree),
    }
}

impl FromStr for Concern {
    type Err = CapabilityError;

    /// Reads `KIND`, `KIND:SCOPE`, a path, or `network_access:HOST`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return PathScope::parse(text).map(Self::Path);
        }
        let Some((kind, scope)) = text.split_once(':') else {
            return text.parse().map(Self::Kind);
        };
        let kind: Kind = kind.parse()?;
        let host = (kind == Kind::NetworkAccess && !scope.contains("://"))
            .then(|| HostPattern::parse(scope).ok())
            .flatten();
        match host {
            Some(host) => Ok(Self::Host(host)),
            None => Capability::parse_scope(kind, scope).map(Self::Atom),
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "{kind}"),
            Self::Atom(atom) => write!(f, "{atom}"),
            Self::Path(path) => write!(f, "{path}"),
            Self::Host(host) => write!(f, "{}:{host}", Kind::NetworkAccess),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Subject;

    fn entry(event: Event) -> Entry {
        Entry {
            v: crate::ENTRY_VERSION,
            time: "2026-11-23T00:00:00.000Z".into(),
            subject: Subject::default(),
            event,
        }
    }

    fn granted(atom: &str) -> Entry {
        entry(Event::PluginStart {
            wall: "native".into(),
            grant: vec![atom.into()],
            tools: vec![],
            watched: false,
            program: None,
            arguments: vec![],
        })
    }

    fn denied(operation: &str, target: &str) -> Entry {
        entry(Event::OperationDenied {
            operation: operation.into(),
            target: target.into(),
            reason: "not granted".into(),
            dropped: 0,
        })
    }

    fn meets(asked: &str, entry: &Entry) -> bool {
        asked
            .parse::<Concern>()
            .expect("a concern")
            .is_met_by(entry)
    }

    #[test]
    fn what_contains_a_path_and_what_lies_below_it_concern_it() {
        for atom in [
            "read_files:/",
            "read_files:/data/",
            "read_files:/data/hr/x",
            "write_files:/data/hr/",
            "read_files:/data/ except /data/hr/",
            "read_files",
            "execute_code:/data/hr/x --quick",
        ] {
            assert!(meets("/data/hr/x", &granted(atom)), "{atom}");
        }
        for atom in [
            "read_files:/data/hr/y",
            "read_files:/data/h",
            "read_files:/data/hr",
            "read_files:/dat/",
            "network_access",
            "execute_code:git",
        ] {
            assert!(!meets("/data/hr/x", &granted(atom)), "{atom}");
        }
        assert!(meets("/data/", &granted("read_files:/data/hr/x")));
        assert!(meets(
            "read_files:/data/**",
            &granted("read_files:/data/hr/x")
        ));
        assert!(!meets(
            "write_files:/data/",
            &granted("read_files:/data/hr/x")
        ));
        assert!(meets("read_files", &granted("read_files:/x")));
    }

    #[test]
    fn what_was_refused_and_used_concerns_its_target() {
        assert!(meets("/etc/shadow", &denied("read_files", "/etc/shadow")));
        assert!(meets("/etc/", &denied("read_files", "/etc/sha*dow")));
        assert!(!meets("/etc/shadow", &denied("read_files", "/etc/passwd")));
        assert!(!meets("/etc/shadow", &denied("system_call", "ptrace")));
        let host = "network_access:evil.example.com";
        assert!(meets(
            host,
            &denied("network_access", "evil.example.com:443")
        ));
        assert!(meets(
            host,
            &denied("network_access", "https://evil.example.com/x GET")
        ));
        assert!(!meets(
            host,
            &denied("network_access", "https://good.example.com")
        ));
        let used = entry(Event::SecretUse {
            secret: "github_token".into(),
            destination: "https://api.github.com:443".into(),
        });
        assert!(meets("use_secret:github_token", &used));
        assert!(meets("network_access:api.github.com", &used));
        assert!(meets("network_access:*.github.com", &used));
        assert!(!meets("use_secret:other", &used));
    }

    #[test]
    fn what_cannot_be_read_may_concern_everything_of_its_kind() {
        let shortened = "/aaaa… [70000 bytes, sha256:00]";
        assert!(meets("/etc/shadow", &denied("read_files", "relative")));
        assert!(meets(
            "/etc/shadow",
            &granted(&format!("read_files:{shortened}\u{1}"))
        ));
        assert!(!meets("network_access", &granted("read_files:\u{1}")));
    }

    #[test]
    fn a_concern_reads_as_it_was_written_and_nonsense_is_refused() {
        for text in [
            "read_files",
            "read_files:/data/",
            "/data/hr/x",
            "/data/",
            "network_access:api.example.com",
            "network_access:*.example.com",
            "network_access:https://api.example.com/v1/",
            "use_secret:github_token",
        ] {
            assert_eq!(text.parse::<Concern>().expect("reads").to_string(), text);
        }
        for text in [
            "",
            "read_file",
            "read_files:",
            "read_files:x",
            "data/hr",
            "/data/*/x",
        ] {
            assert!(text.parse::<Concern>().is_err(), "{text}");
        }
    }
}

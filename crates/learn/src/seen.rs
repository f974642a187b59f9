//! One thing that was used, read from what a wall tells.

use bailiwick_capability::{AbsPath, Capability, Grant, Granted, Kind, PathScope, Scope};

/// One use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// A file was read or written, or its attributes were.
    File(Kind, AbsPath),
    /// A folder's entries were listed, or changed.
    Entries(Kind, AbsPath),
    /// A folder was looked at, not into.
    Folder(Kind, AbsPath),
    /// Anything else, by the operation itself.
    Operation(Capability),
}

impl Seen {
    /// Reads an operation and its target: a path, a folder with a trailing `/` for its entries or `/.` for itself, or a
    /// scope of the kind. None for what no capability is about.
    #[must_use]
    pub fn read(operation: &str, target: &str) -> Option<Self> {
        let kind: Kind = operation.parse().ok()?;
        if !matches!(kind, Kind::ReadFiles | Kind::WriteFiles) {
            let capability = Capability::parse_scope(kind, target).ok();
            // Arguments may hold what no scope can say: then it is the program.
            let program = || Capability::parse_scope(kind, target.split_whitespace().next()?).ok();
            return capability.or_else(program).map(Self::Operation);
        }
        let path = |text: &str| AbsPath::exactly(if text.is_empty() { "/" } else { text }).ok();
        if let Some(folder) = target.strip_suffix("/.") {
            return Some(Self::Folder(kind, path(folder)?));
        }
        match target.strip_suffix('/') {
            Some(folder) => Some(Self::Entries(kind, path(folder)?)),
            None => Some(Self::File(kind, path(target)?)),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::File(kind, _) | Self::Entries(kind, _) | Self::Folder(kind, _) => *kind,
            Self::Operation(capability) => capability.kind(),
        }
    }

    /// Where it was, for files.
    #[must_use]
    pub fn path(&self) -> Option<&AbsPath> {
        match self {
            Self::File(_, path) | Self::Entries(_, path) | Self::Folder(_, path) => Some(path),
            Self::Operation(_) => None,
        }
    }

    /// The atom that lets it through.
    #[must_use]
    pub fn covered_by<'a>(&self, grant: &'a Grant) -> Option<&'a Granted> {
        grant.atoms().iter().find(|atom| self.lies_in(atom))
    }

    /// Whether this atom lets it through.
    #[must_use]
    pub fn lies_in(&self, atom: &Granted) -> bool {
        self.operations().iter().any(|one| atom.permits(one))
    }

    /// The operations any of which lets it through: a shell is a program, too.
    fn operations(&self) -> Vec<Capability> {
        match self {
            Self::File(kind, path) | Self::Entries(kind, path) | Self::Folder(kind, path) => {
                let scope = Scope::Path(PathScope::File(path.clone()));
                Capability::new(*kind, scope).into_iter().collect()
            }
            Self::Operation(capability) => {
                let other = match capability.kind() {
                    Kind::ExecuteCode => Some(Kind::ExecuteShell),
                    _ => None,
                };
                let other =
                    other.and_then(|kind| Capability::new(kind, capability.scope().clone()).ok());
                std::iter::once(capability.clone()).chain(other).collect()
            }
        }
    }

    /// The target, as [`Seen::read`] takes it.
    #[must_use]
    pub fn target(&self) -> String {
        let bare = |path: &AbsPath| path.as_str().trim_end_matches('/').to_owned();
        match self {
            Self::File(_, path) => path.to_string(),
            Self::Entries(_, path) => format!("{}/", bare(path)),
            Self::Folder(_, path) => format!("{}/.", bare(path)),
            Self::Operation(capability) => {
                let text = capability.to_string();
                let scope = text.split_once(':').map(|(_, scope)| scope.to_owned());
                scope.unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written_alike() {
        for (operation, target) in [
            ("read_files", "/data/a*.txt"),
            ("read_files", "/data/"),
            ("write_files", "/data/."),
            ("read_files", "/"),
            ("execute_code", "/usr/bin/git status -s"),
            ("network_access", "https://api.example.com"),
            ("use_secret", "api-key"),
        ] {
            let seen = Seen::read(operation, target).unwrap();
            assert_eq!(seen.target(), target, "{operation}");
            assert_eq!(seen.kind().as_str(), operation);
        }
        assert_eq!(Seen::read("system_call", "ptrace"), None);
        assert_eq!(Seen::read("read_files", "relative"), None);
        let strange = Seen::read("execute_code", "/usr/bin/git 'un\nbalanced").unwrap();
        assert_eq!(strange.target(), "/usr/bin/git");
    }

    #[test]
    fn a_hole_lets_nothing_through_and_a_shell_is_a_program() {
        let grant = Grant::new(
            ["read_files:/ws/ except /ws/.git/", "execute_shell:/bin/sh"]
                .map(|atom| atom.parse().unwrap()),
        );
        let covered = |operation, target| {
            Seen::read(operation, target)
                .unwrap()
                .covered_by(&grant)
                .map(ToString::to_string)
        };
        assert!(
            covered("read_files", "/ws/").is_some(),
            "its entries can be listed"
        );
        assert!(covered("read_files", "/ws/a").is_some());
        assert_eq!(covered("read_files", "/ws/.git/config"), None);
        assert_eq!(
            covered("execute_code", "/bin/sh").as_deref(),
            Some("execute_shell:/bin/sh")
        );
    }
}

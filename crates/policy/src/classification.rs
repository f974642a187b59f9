//! Which paths are how sensitive.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_capability::{AbsPath, Capability, Kind, PathScope, Scope};

use crate::error::{PolicyError, Problem};

/// The sensitivity of a path that no entry covers.
pub const UNCLASSIFIED: &str = "unclassified";

/// Labels that policies may name whether or not a path bears them.
const KNOWN: [&str; 7] = [
    UNCLASSIFIED,
    "public",
    "internal",
    "confidential",
    "restricted",
    "secret",
    "control",
];

/// Where programs keep credentials, below a home directory. A trailing `/` is a directory.
const SECRETS: &[&str] = &[
    ".ssh/",
    ".gnupg/",
    ".aws/",
    ".azure/",
    ".kube/",
    ".docker/",
    ".config/gcloud/",
    ".config/gh/",
    ".config/op/",
    ".config/sops/",
    ".config/bailiwick/",
    ".local/share/bailiwick/",
    ".local/state/bailiwick/",
    ".local/share/keyrings/",
    ".password-store/",
    ".mozilla/",
    ".config/google-chrome/",
    ".config/chromium/",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".cargo/credentials.toml",
    ".terraform.d/",
    ".vault-token",
];

/// What other programs run or obey, below a home directory: who writes there, runs later without a wall.
const CONTROL: &[&str] = &[
    ".profile",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".config/fish/",
    ".config/autostart/",
    ".config/systemd/",
    ".config/git/",
    ".gitconfig",
    ".local/bin/",
    ".cargo/bin/",
    ".claude/",
    ".claude.json",
    ".cursor/",
    ".vscode/",
];

/// Path patterns and their labels. The narrowest pattern that holds a path gives its sensitivity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Classification {
    entries: BTreeMap<PathScope, String>,
}

impl Classification {
    /// Takes patterns and labels.
    ///
    /// # Errors
    /// A pattern with two labels; a label that is not 1 to 64 of `a-z 0-9 - _`.
    pub fn new(
        entries: impl IntoIterator<Item = (PathScope, String)>,
    ) -> Result<Self, PolicyError> {
        Self::default().and(entries)
    }

    /// Reads patterns as in scopes (`/data/hr/**`, `/data/hr/`, `/etc/passwd`) with their labels.
    ///
    /// # Errors
    /// As [`Classification::new`], and patterns that are no path scopes.
    pub fn parse<'a>(
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, PolicyError> {
        let mut typed = Vec::new();
        for (pattern, label) in entries {
            let scope = PathScope::parse(pattern)
                .map_err(|e| Problem::of("classification", e.message(), e.help()))?;
            typed.push((scope, label.to_owned()));
        }
        Self::new(typed)
    }

    /// The well-known places below a home directory where credentials lie (`secret`), and files that other
    /// programs run or obey (`control`).
    ///
    /// # Errors
    /// A home that is no absolute path, or is the root.
    pub fn for_home(home: &AbsPath) -> Result<Self, PolicyError> {
        if home.parent().is_none() {
            return Err(Problem::of(
                "classification",
                "`/` is no home directory",
                "name the user's home, such as /home/alice",
            )
            .into());
        }
        let mut entries = Vec::new();
        for (places, label) in [(SECRETS, "secret"), (CONTROL, "control")] {
            for place in places {
                let path = AbsPath::exactly(&format!("{home}/{place}"))
                    .map_err(|e| Problem::of("classification", e.message(), e.help()))?;
                let scope = if place.ends_with('/') {
                    PathScope::Tree(path)
                } else {
                    PathScope::File(path)
                };
                entries.push((scope, label.to_owned()));
            }
        }
        Self::new(entries)
    }

    /// This classification with more entries.
    ///
    /// # Errors
    /// As [`Classification::new`]; the same entry twice is none.
    pub fn and(
        mut self,
        entries: impl IntoIterator<Item = (PathScope, String)>,
    ) -> Result<Self, PolicyError> {
        for (scope, label) in entries {
            let fits = (1..=64).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b));
            if !fits {
                return Err(Problem::of(
                    "classification",
                    format!("`{}` is not a label", label.escape_debug()),
                    "write 1 to 64 lower-case letters, digits, `-` and `_`, such as `confidential`",
                )
                .into());
            }
            if let Some(other) = self.entries.insert(scope.clone(), label.clone())
                && other != label
            {
                return Err(Problem::of(
                    "classification",
                    format!("`{scope}` is both `{other}` and `{label}`"),
                    "keep one of the two",
                )
                .into());
            }
        }
        Ok(self)
    }

    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = (&PathScope, &str)> {
        self.entries
            .iter()
            .map(|(scope, label)| (scope, label.as_str()))
    }

    /// The labels that policies may name.
    pub(crate) fn labels(&self) -> BTreeSet<&str> {
        KNOWN
            .into_iter()
            .chain(self.entries.values().map(String::as_str))
            .collect()
    }

    /// The entries' scopes as capabilities of `kind`; nothing for kinds that are not about files.
    pub(crate) fn capabilities(&self, kind: Kind) -> Vec<(Capability, &str)> {
        self.entries
            .iter()
            .filter_map(|(scope, label)| {
                let capability = Capability::new(kind, Scope::Path(scope.clone())).ok()?;
                Some((capability, label.as_str()))
            })
            .collect()
    }
}

/// The label of the narrowest entry that holds all of `region`.
pub(crate) fn sensitivity_of<'a>(
    entries: &[(Capability, &'a str)],
    region: &Capability,
) -> &'a str {
    let mut best: Option<&(Capability, &str)> = None;
    for entry in entries.iter().filter(|(scope, _)| scope.contains(region)) {
        if best.is_none_or(|(scope, _)| scope.contains(&entry.0)) {
            best = Some(entry);
        }
    }
    best.map_or(UNCLASSIFIED, |(_, label)| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_entry_gives_the_label() {
        let c = Classification::parse([
            ("/data/", "internal"),
            ("/data/hr/**", "confidential"),
            ("/data/hr/handbook.md", "public"),
        ])
        .unwrap();
        let entries = c.capabilities(Kind::ReadFiles);
        let of = |text: &str| {
            let region = Capability::parse_scope(Kind::ReadFiles, text).unwrap();
            sensitivity_of(&entries, &region).to_owned()
        };
        assert_eq!(of("/data/x"), "internal");
        assert_eq!(of("/data/hr/"), "confidential");
        assert_eq!(of("/data/hr/pay/2026"), "confidential");
        assert_eq!(of("/data/hr/handbook.md"), "public");
        assert_eq!(of("/"), UNCLASSIFIED);
    }

    #[test]
    fn two_labels_for_one_path_and_odd_labels_are_refused() {
        assert!(Classification::parse([("/a/", "x"), ("/a/**", "y")]).is_err());
        assert!(Classification::parse([("/a/", "x"), ("/a/**", "x")]).is_ok());
        for label in ["", "Secret", "a b", "\u{e9}"] {
            assert!(Classification::parse([("/a/", label)]).is_err(), "{label}");
        }
        assert!(Classification::parse([("a/*.key", "secret")]).is_err());
    }

    #[test]
    fn a_home_has_secret_and_control_places() {
        let home = AbsPath::parse("/home/a").unwrap();
        let c = Classification::for_home(&home).unwrap();
        let of = |path: &str| {
            let region = Capability::parse_scope(Kind::ReadFiles, path).unwrap();
            sensitivity_of(&c.capabilities(Kind::ReadFiles), &region).to_owned()
        };
        assert_eq!(of("/home/a/.ssh/id_ed25519"), "secret");
        assert_eq!(of("/home/a/.netrc"), "secret");
        assert_eq!(of("/home/a/.bashrc"), "control");
        assert_eq!(of("/home/a/notes"), UNCLASSIFIED);
        assert_eq!(of("/home/b/.ssh/id"), UNCLASSIFIED);
        assert!(Classification::for_home(&AbsPath::parse("/").unwrap()).is_err());
    }
}

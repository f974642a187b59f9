//! Resolves what a manifest wrote into what is on this machine: links, program names, files and trees.
//!
//! Nothing is compared with policy before it went through here, so that a link cannot lie about its target.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bailiwick_capability::{
    AbsPath, Capability, CapabilityError, Kind, PathScope, ProgramRef, ProgramScope, Scope,
};

/// Why an atom means nothing on this machine, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ResolveError {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl ResolveError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

impl From<CapabilityError> for ResolveError {
    fn from(error: CapabilityError) -> Self {
        Self::new(error.message(), error.help())
    }
}

/// Where programs that are named without a path are looked for.
#[derive(Debug, Clone)]
pub struct SearchPath(Vec<PathBuf>);

impl SearchPath {
    /// The absolute folders of a `PATH`-like text; relative ones are left out.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(
            path.split(':')
                .filter(|dir| dir.starts_with('/'))
                .map(PathBuf::from)
                .collect(),
        )
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        self.0
            .iter()
            .map(|dir| dir.join(name))
            .find(|path| is_executable(path))
    }
}

/// Where a whole program is found under the name that was asked for, links and all: `/bin/sh` is a link to `dash`
/// on many machines, and what calls it calls it by its name.
#[must_use]
pub fn program_as_named(asked: &Capability, search: &SearchPath) -> Option<PathBuf> {
    let Scope::Program(scope) = asked.scope() else {
        return None;
    };
    if !scope.args().is_empty() {
        return None;
    }
    match scope.program() {
        ProgramRef::Path(path) => Some(PathBuf::from(path.as_str())),
        ProgramRef::Named(name) => search.find(name),
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The same capability in terms of this machine: paths without links, programs by path.
///
/// # Errors
/// A path that does not exist, a file where a tree was named or the reverse, a program that is not there.
pub fn resolve(asked: &Capability, search: &SearchPath) -> Result<Capability, ResolveError> {
    let scope = match asked.scope() {
        Scope::Path(scope) => Scope::Path(resolve_path(scope)?),
        Scope::Program(scope) => Scope::Program(resolve_program(scope, search)?),
        other => other.clone(),
    };
    Ok(Capability::new(asked.kind(), scope)?)
}

fn resolve_path(scope: &PathScope) -> Result<PathScope, ResolveError> {
    let written = scope.path().as_str();
    let real = canonical(Path::new(written))?;
    let is_dir = Path::new(real.as_str()).is_dir();
    match (scope, is_dir) {
        (PathScope::Tree(_), true) => Ok(PathScope::Tree(real)),
        (PathScope::File(_), false) => Ok(PathScope::File(real)),
        (PathScope::File(_), true) => Err(ResolveError::new(
            format!("`{written}` is a directory"),
            format!("write `{written}/` for the directory and all below it"),
        )),
        (PathScope::Tree(_), false) => Err(ResolveError::new(
            format!("`{written}/` is not a directory"),
            format!("write `{written}` for the file"),
        )),
    }
}

fn resolve_program(
    scope: &ProgramScope,
    search: &SearchPath,
) -> Result<ProgramScope, ResolveError> {
    let path = match scope.program() {
        ProgramRef::Path(path) => PathBuf::from(path.as_str()),
        ProgramRef::Named(name) => search.find(name).ok_or_else(|| {
            ResolveError::new(
                format!("there is no program `{name}` on the search path"),
                "install it, or write its absolute path",
            )
        })?,
    };
    let real = canonical(&path)?;
    if !is_executable(Path::new(real.as_str())) {
        return Err(ResolveError::new(
            format!("`{real}` cannot be executed"),
            "name an executable file",
        ));
    }
    Ok(ProgramScope::new(
        ProgramRef::Path(real),
        scope.args().to_vec(),
    )?)
}

fn canonical(path: &Path) -> Result<AbsPath, ResolveError> {
    let real = path.canonicalize().map_err(|error| {
        ResolveError::new(
            format!("`{}` cannot be resolved: {error}", path.display()),
            "create it, or leave the capability out",
        )
    })?;
    absolute(&real)
}

fn absolute(path: &Path) -> Result<AbsPath, ResolveError> {
    let text = path.to_str().ok_or_else(|| {
        ResolveError::new(format!("`{}` is not UTF-8", path.display()), "rename it")
    })?;
    Ok(AbsPath::exactly(text)?)
}

/// The point that a tool argument names: an existing path without links, or one that may be created,
/// below its deepest existing ancestor.
///
/// # Errors
/// Relative paths, `..`, links that lead nowhere.
pub fn resolve_argument(kind: Kind, text: &str) -> Result<Capability, ResolveError> {
    let written = AbsPath::exactly(text)?;
    let mut existing = PathBuf::from(written.as_str());
    let mut missing = Vec::new();
    // A dangling link exists by `symlink_metadata` and is refused by `canonicalize`: its target is unknown.
    while existing.symlink_metadata().is_err() {
        let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
            break;
        };
        missing.push(name.to_owned());
        existing = parent.to_owned();
    }
    let mut real = PathBuf::from(canonical(&existing)?.as_str());
    real.extend(missing.iter().rev());
    let scope = Scope::Path(PathScope::File(absolute(&real)?));
    Ok(Capability::new(kind, scope)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn atom(text: &str) -> Capability {
        text.parse().unwrap()
    }

    fn here() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir
            .path()
            .canonicalize()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        std::fs::create_dir(format!("{root}/docs")).unwrap();
        std::fs::write(format!("{root}/docs/a.txt"), "a").unwrap();
        std::fs::write(format!("{root}/key"), "k").unwrap();
        (dir, root)
    }

    #[test]
    fn files_and_trees_must_be_what_they_say() {
        let (_dir, root) = here();
        let search = SearchPath::new("/usr/bin:/bin");
        let ask = |text: String| resolve(&atom(&text), &search);
        assert!(ask(format!("read_files:{root}/docs/")).is_ok());
        assert!(ask(format!("read_files:{root}/docs/a.txt")).is_ok());
        assert!(
            ask(format!("read_files:{root}/docs"))
                .unwrap_err()
                .help
                .contains("docs/")
        );
        assert!(
            ask(format!("read_files:{root}/key/"))
                .unwrap_err()
                .message
                .contains("not a directory")
        );
        assert!(
            ask(format!("read_files:{root}/none"))
                .unwrap_err()
                .message
                .contains("cannot be resolved")
        );
    }

    #[test]
    fn l15_a_link_is_judged_by_its_target() {
        let (_dir, root) = here();
        symlink(format!("{root}/key"), format!("{root}/docs/link")).unwrap();
        symlink("/nowhere/at/all", format!("{root}/docs/dangling")).unwrap();
        symlink(&root, format!("{root}/docs/up")).unwrap();
        let docs = atom(&format!("read_files:{root}/docs/"));
        let point = |name: &str| resolve_argument(Kind::ReadFiles, &format!("{root}/docs/{name}"));
        assert!(docs.contains(&point("a.txt").unwrap()));
        assert!(docs.contains(&point("new/file").unwrap()));
        assert!(!docs.contains(&point("link").unwrap()));
        assert!(
            !docs.contains(&point("up/new").unwrap()),
            "an ancestor link with a missing child"
        );
        assert!(point("dangling").is_err());
        assert!(point("dangling/x").is_err());
        assert!(point("../key").is_err());
        assert!(resolve_argument(Kind::ReadFiles, "docs/a.txt").is_err());
    }

    #[test]
    fn programs_are_found_and_named_by_path() {
        let search = SearchPath::new("relative:/usr/bin:/bin");
        let sh = resolve(&atom("execute_code:sh -c"), &search).unwrap();
        assert!(sh.to_string().starts_with("execute_code:/"), "{sh}");
        assert!(resolve(&atom("execute_code:no-such-program"), &search).is_err());
        let (_dir, root) = here();
        assert!(resolve(&atom(&format!("execute_code:{root}/key")), &search).is_err());
    }
}

//! One writable tree and its holes.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2};

use crate::paths::{Located, PathFault};

/// A writable tree, held by descriptor, and the names in it that may not be written.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Where it lies, inside as on the host.
    pub(crate) top: PathBuf,
    /// Paths relative to the top; none inside another.
    holes: Vec<PathBuf>,
    pub(crate) folder: OwnedFd,
}

/// Where a name stands to the holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No hole is near.
    Free,
    /// A hole lies somewhere below this name, whether it exists or not.
    Above,
    /// It is a hole, or lies in one.
    Hole,
}

impl Tree {
    /// Opens the tree that was located, without its holes (absolute paths).
    ///
    /// # Errors
    /// When it is no longer what was located.
    pub(crate) fn open(found: &Located, holes: &[PathBuf]) -> Result<Self, PathFault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let gone = || {
            PathFault(format!(
                "`{}` was replaced meanwhile; try again",
                found.real.display()
            ))
        };
        let folder =
            openat2(CWD, &found.real, flags, Mode::empty(), resolve).map_err(|_| gone())?;
        let stat = fstat(&folder).map_err(|_| gone())?;
        if (stat.st_dev, stat.st_ino) != found.identity {
            return Err(gone());
        }
        let relative = |hole: &PathBuf| hole.strip_prefix(&found.real).ok().map(Path::to_owned);
        Ok(Self {
            top: found.real.clone(),
            holes: holes.iter().filter_map(relative).collect(),
            folder,
        })
    }

    /// Where `path`, relative to the top, stands. Letters are compared without case, since folders may be.
    pub(crate) fn standing(&self, path: &Path) -> Standing {
        let standings = self.holes.iter().map(|hole| {
            if starts_with(path, hole) {
                Standing::Hole
            } else if starts_with(hole, path) {
                Standing::Above
            } else {
                Standing::Free
            }
        });
        let mut worst = Standing::Free;
        for standing in standings {
            match standing {
                Standing::Hole => return Standing::Hole,
                Standing::Above => worst = Standing::Above,
                Standing::Free => {}
            }
        }
        worst
    }
}

fn starts_with(path: &Path, prefix: &Path) -> bool {
    let mut parts = path.components();
    prefix.components().all(|wanted| {
        parts
            .next()
            .is_some_and(|part| same(part.as_os_str(), wanted.as_os_str()))
    })
}

fn same(a: &OsStr, b: &OsStr) -> bool {
    match (a.to_str(), b.to_str()) {
        (Some(a), Some(b)) => a == b || a.to_lowercase() == b.to_lowercase(),
        _ => a.as_bytes() == b.as_bytes(),
    }
}

/// What may be read, for opens that do both.
#[derive(Debug, Default)]
pub(crate) struct Reads(pub(crate) Vec<(PathBuf, Vec<PathBuf>)>);

impl Reads {
    /// Whether the file at `path` may be read.
    pub(crate) fn cover(&self, path: &Path) -> bool {
        self.0.iter().any(|(tree, holes)| {
            path.starts_with(tree) && !holes.iter().any(|hole| path.starts_with(hole))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_names_are_judged_whether_they_exist_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let holes = [".git/hooks", ".mcp.json", "a/b"].map(|hole| top.join(hole));
        let tree = Tree::open(&crate::paths::locate(&top).unwrap(), &holes).unwrap();
        for (path, standing) in [
            ("", Standing::Above),
            ("src", Standing::Free),
            (".git", Standing::Above),
            (".git/config", Standing::Free),
            (".git/hooks", Standing::Hole),
            (".git/hooks/pre-commit", Standing::Hole),
            (".GIT/Hooks", Standing::Hole),
            (".git/hooks2", Standing::Free),
            (".mcp.json", Standing::Hole),
            (".mcp.json.tmp", Standing::Free),
            ("a", Standing::Above),
            ("a/b/c", Standing::Hole),
            ("a/bc", Standing::Free),
        ] {
            assert_eq!(tree.standing(path.as_ref()), standing, "{path}");
        }
    }

    #[test]
    fn reading_needs_a_grant_of_its_own() {
        let reads = Reads(vec![("/a".into(), vec!["/a/hr".into()])]);
        assert!(reads.cover("/a/b".as_ref()));
        assert!(!reads.cover("/a/hr/x".as_ref()) && !reads.cover("/b".as_ref()));
        assert!(!Reads::default().cover("/a".as_ref()));
    }
}

//! Collects what a program needs, and why, and hands it over without repetition.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bailiwick_wall::Closure;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Access {
    Read,
    Run,
}

/// Paths with the reason for each. A path is listed as the program will look it up, links and all,
/// because that is the name under which it has to exist behind the wall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Needs {
    paths: BTreeMap<PathBuf, (Access, String)>,
}

impl Needs {
    pub(crate) fn read(&mut self, path: impl Into<PathBuf>, why: impl Into<String>) {
        self.paths
            .entry(path.into())
            .or_insert_with(|| (Access::Read, why.into()));
    }

    pub(crate) fn run(&mut self, path: impl Into<PathBuf>, why: impl Into<String>) {
        let path = path.into();
        match self.paths.get_mut(&path) {
            Some(entry) if entry.0 == Access::Read => *entry = (Access::Run, why.into()),
            Some(_) => {}
            None => {
                self.paths.insert(path, (Access::Run, why.into()));
            }
        }
    }

    /// Adds what others found; what is run stays so.
    pub(crate) fn add(&mut self, others: Self) {
        for (path, (access, why)) in others.paths {
            match access {
                Access::Read => self.read(path, why),
                Access::Run => self.run(path, why),
            }
        }
    }

    pub(crate) fn has_run(&self, path: &Path) -> bool {
        self.paths
            .get(path)
            .is_some_and(|(access, _)| *access == Access::Run)
    }

    /// Is a file of this name run, wherever it lies?
    pub(crate) fn has_file(&self, name: &str) -> bool {
        let named = |path: &PathBuf| path.file_name().is_some_and(|own| own == name);
        self.paths
            .iter()
            .any(|(path, (access, _))| *access == Access::Run && named(path))
    }

    /// Is a library run whose file name begins so?
    pub(crate) fn has_library(&self, begin: &str) -> bool {
        self.paths.keys().any(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(begin)
        })
    }

    /// The closure, an entry each with its reason. What lies inside a listed tree of the same or wider
    /// access is left out.
    pub(crate) fn finish(self) -> (Closure, Vec<Need>) {
        let mut closure = Closure::default();
        let mut list = Vec::new();
        for (path, (access, why)) in &self.paths {
            let covered = path.ancestors().skip(1).any(|above| {
                self.paths
                    .get(above)
                    .is_some_and(|(wider, _)| wider >= access)
            });
            if covered {
                continue;
            }
            match access {
                Access::Read => closure.read.push(path.clone()),
                Access::Run => closure.run.push(path.clone()),
            }
            list.push(Need {
                path: path.clone(),
                run: *access == Access::Run,
                why: why.clone(),
            });
        }
        (closure, list)
    }
}

/// One entry of a closure: a file or a whole folder, what may be done with it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The path as the program looks it up, links and all.
    pub path: PathBuf,
    /// May it be run, and not only read?
    pub run: bool,
    /// What needs it, in words for people.
    pub why: String,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.run { "reads and runs" } else { "reads" };
        let shown = self.path.display().to_string();
        write!(f, "{how} {}: {}", shown.escape_debug(), self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tree_covers_is_not_listed_twice() {
        let mut needs = Needs::default();
        needs.read("/p/lib/a.py", "module");
        needs.read("/p/lib", "library");
        needs.run("/p/lib/x.so", "extension");
        needs.run("/p/bin", "programs");
        needs.read("/p/bin/t", "text");
        let (closure, list) = needs.finish();
        assert_eq!(closure.read, [PathBuf::from("/p/lib")]);
        assert_eq!(
            closure.run,
            [PathBuf::from("/p/bin"), PathBuf::from("/p/lib/x.so")]
        );
        assert_eq!(list.len(), 3);
        assert_eq!(list[1].to_string(), "reads /p/lib: library");
    }

    #[test]
    fn running_is_never_lost_to_reading() {
        let mut needs = Needs::default();
        needs.read("/a", "r");
        needs.run("/a", "x");
        needs.read("/a", "r");
        let (closure, _) = needs.finish();
        assert!(closure.read.is_empty());
        assert_eq!(closure.run, [PathBuf::from("/a")]);
    }
}

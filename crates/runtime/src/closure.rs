//! Collects what a program needs, and why, and hands it over without repetition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bailiwick_wall::Closure;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    Read,
    Run,
}

/// Paths with the reason for each. A path is listed as the program will look it up, links and all,
/// because that is the name under which it has to exist behind the wall.
#[derive(Debug, Clone, Default)]
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

    pub(crate) fn has_run(&self, path: &Path) -> bool {
        self.paths
            .get(path)
            .is_some_and(|(access, _)| *access == Access::Run)
    }

    /// The closure and one line for people per entry. What lies inside a listed tree of the same or
    /// wider access is left out.
    pub(crate) fn finish(self) -> (Closure, Vec<String>) {
        let mut closure = Closure::default();
        let mut explain = Vec::new();
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
                Access::Read => {
                    closure.read.push(path.clone());
                    explain.push(format!("reads {}: {why}", path.display()));
                }
                Access::Run => {
                    closure.run.push(path.clone());
                    explain.push(format!("reads and runs {}: {why}", path.display()));
                }
            }
        }
        (closure, explain)
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
        let (closure, explain) = needs.finish();
        assert_eq!(closure.read, [PathBuf::from("/p/lib")]);
        assert_eq!(
            closure.run,
            [PathBuf::from("/p/bin"), PathBuf::from("/p/lib/x.so")]
        );
        assert_eq!(explain.len(), 3);
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

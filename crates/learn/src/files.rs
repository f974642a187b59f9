//! Files and folders: from single paths to scopes that are worth asking for.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_capability::{AbsPath, Capability, Grant, Kind, PathScope, Scope};

use crate::Seen;
use crate::propose::MANY;

/// What is to be covered of one kind.
#[derive(Debug, Default)]
struct Paths {
    trees: BTreeSet<AbsPath>,
    files: BTreeSet<AbsPath>,
    looked_at: BTreeSet<AbsPath>,
}

/// The scopes of `kind` that cover what was seen, each inside an atom of the bound. `changed` are folders in which
/// entries come and go: no file of theirs can be named for good.
pub(crate) fn scopes(
    kind: Kind,
    seen: &[&Seen],
    bound: &Grant,
    changed: &BTreeSet<AbsPath>,
) -> Vec<Capability> {
    let may = |path: &AbsPath| {
        let tree = tree(kind, path);
        tree.is_some_and(|tree| {
            bound
                .atoms()
                .iter()
                .any(|atom| atom.capability().contains(&tree))
        })
    };
    let mut paths = Paths::default();
    for one in seen {
        let Some(nameable) = one.path().map(nameable) else {
            continue;
        };
        match one {
            Seen::File(_, path) if nameable == *path => paths.files.insert(nameable),
            Seen::Folder(_, path) if nameable == *path => paths.looked_at.insert(nameable),
            _ => paths.trees.insert(nameable),
        };
    }
    let around = |path: &AbsPath| {
        changed
            .iter()
            .find(|tree| path.is_within(tree) && may(tree))
    };
    let inside: Vec<AbsPath> = paths.files.iter().filter_map(around).cloned().collect();
    paths.trees.extend(inside);
    loop {
        paths.drop_covered();
        let wider: Vec<AbsPath> = paths.shared().filter(may).collect();
        if wider.is_empty() {
            break;
        }
        paths.trees.extend(wider);
    }
    for folder in std::mem::take(&mut paths.looked_at) {
        // Where anything below is shown, the folder is there as well.
        let below = |path: &AbsPath| path.is_within(&folder);
        let around = |path: &AbsPath| below(path) || folder.is_within(path);
        let is_there = paths.trees.iter().any(around) || paths.files.iter().any(below);
        if !is_there && may(&folder) {
            paths.trees.insert(folder);
        }
    }
    paths.drop_covered();
    paths.capabilities(kind)
}

impl Paths {
    fn drop_covered(&mut self) {
        let trees = self.trees.clone();
        let covered = |path: &AbsPath| {
            trees
                .iter()
                .any(|tree| tree != path && path.is_within(tree))
        };
        self.trees.retain(|path| !covered(path));
        let trees = &self.trees;
        self.files
            .retain(|path| !trees.iter().any(|tree| path.is_within(tree)));
    }

    /// Folders in which at least [`MANY`] of these lie directly.
    fn shared(&self) -> impl Iterator<Item = AbsPath> {
        let mut folders: BTreeMap<AbsPath, usize> = BTreeMap::new();
        let all = self.trees.iter().chain(&self.files);
        for folder in all.filter_map(AbsPath::parent) {
            *folders.entry(folder).or_default() += 1;
        }
        let shared = folders.into_iter().filter(|(_, inside)| *inside >= MANY);
        shared.map(|(folder, _)| folder)
    }

    fn capabilities(self, kind: Kind) -> Vec<Capability> {
        let trees = self.trees.iter().filter_map(|path| tree(kind, path));
        let files = self
            .files
            .into_iter()
            .filter_map(|path| Capability::new(kind, Scope::Path(PathScope::File(path))).ok());
        trees.chain(files).collect()
    }
}

fn tree(kind: Kind, path: &AbsPath) -> Option<Capability> {
    Capability::new(kind, Scope::Path(PathScope::Tree(path.clone()))).ok()
}

/// The path, or the folder around it if no manifest can name it, as with a `*` in its name.
pub(crate) fn nameable(path: &AbsPath) -> AbsPath {
    let mut path = path.clone();
    while AbsPath::parse(path.as_str()).is_err()
        && let Some(folder) = path.parent()
    {
        path = folder;
    }
    path
}

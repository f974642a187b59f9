//! A read-only tree with holes: instead of hiding the holes, only their neighbours are shown.
//!
//! A mask mounted over a hole would fall away when somebody on the host replaces what is there by
//! rename. So the folders from the tree's top down to each hole are made anew, and everything beside a
//! hole is shown one by one. What appears beside a hole later is not seen until the next start:
//! narrower than granted for a while, never wider.

use std::collections::BTreeSet;
use std::fs::FileType;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::paths::PathFault;

/// Bound on what is shown beside holes: each costs a mount. Whoever fills the folder controls it.
pub(crate) const MAX_NEIGHBOURS: usize = 512;

/// A tree without its holes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// Folders to make anew: the top and those above holes.
    pub(crate) folders: BTreeSet<PathBuf>,
    /// Files and folders to show whole.
    pub(crate) shown: Vec<PathBuf>,
    /// Symbolic links to make again.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

/// Takes `holes` out of the tree at `top`.
///
/// # Errors
/// When a folder above a hole cannot be listed, or holds too much, or a hole has another name.
pub(crate) fn carve(top: &Path, holes: &[PathBuf]) -> Result<Pieces, PathFault> {
    let mut pieces = Pieces::default();
    let folders = beside_holes(top, holes, |path, kind| {
        if kind.is_dir() || kind.is_file() {
            pieces.shown.push(path);
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&path).map_err(|error| unlisted(&path, &error))?;
            pieces.links.push((path, target));
        }
        if pieces.shown.len() + pieces.links.len() > MAX_NEIGHBOURS {
            let why = format!(
                "more than {MAX_NEIGHBOURS} entries beside the holes in `{}`",
                top.display()
            );
            return Err(PathFault(why));
        }
        Ok(())
    })?;
    pieces.folders = folders;
    pieces
        .shown
        .sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(pieces)
}

/// Folders beside `holes` in the tree at `top`: each can be writable whole. Beyond [`MAX_NEIGHBOURS`] the
/// rest are left to the broker, which is slower and no wider.
///
/// # Errors
/// When a folder above a hole cannot be listed, or a hole has another name.
pub(crate) fn beside(top: &Path, holes: &[PathBuf]) -> Result<Vec<PathBuf>, PathFault> {
    let mut found = Vec::new();
    beside_holes(top, holes, |path, kind| {
        if kind.is_dir() && found.len() < MAX_NEIGHBOURS {
            found.push(path);
        }
        Ok(())
    })?;
    found.sort();
    Ok(found)
}

fn unlisted(path: &Path, error: &std::io::Error) -> PathFault {
    PathFault(format!("`{}` cannot be listed: {error}", path.display()))
}

/// Gives `each` what lies beside the holes of a tree; the answer is the folders above holes, the top among them.
fn beside_holes(
    top: &Path,
    holes: &[PathBuf],
    mut each: impl FnMut(PathBuf, FileType) -> Result<(), PathFault>,
) -> Result<BTreeSet<PathBuf>, PathFault> {
    let mut folders = BTreeSet::new();
    let mut todo = vec![top.to_owned()];
    while let Some(folder) = todo.pop() {
        let failed = |error| unlisted(&folder, &error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            if holes.iter().any(|hole| path.starts_with(hole)) {
                has_one_name(&path, &entry)?;
            } else if kind.is_dir() && holes.iter().any(|hole| hole.starts_with(&path)) {
                todo.push(path);
            } else {
                each(path, kind)?;
            }
        }
        folders.insert(folder);
    }
    Ok(folders)
}

/// A hole is a name. What has a second one could be reached by that, perhaps within the same grant.
fn has_one_name(hole: &Path, entry: &std::fs::DirEntry) -> Result<(), PathFault> {
    match entry.metadata() {
        Ok(found) if !found.is_dir() && found.nlink() > 1 => Err(PathFault(format!(
            "the forbidden part `{}` has {} names (hard links), and another of them may lie in what is granted; \
             copy it, so that it has one",
            hole.display(),
            found.nlink()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l16_a_hole_that_has_another_name_is_no_hole() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        let hole = top.join("key");
        std::fs::write(&hole, "secret").unwrap();
        let holes = [hole.clone()];
        assert!(carve(top, &holes).is_ok() && beside(top, &holes).is_ok());
        std::fs::hard_link(&hole, top.join("other")).unwrap();
        for refused in [
            carve(top, &holes).map(|_| ()),
            beside(top, &holes).map(|_| ()),
        ] {
            assert!(refused.unwrap_err().0.contains("2 names"));
        }
    }

    #[test]
    fn only_what_is_beside_the_holes_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        for folder in ["a/deep/secret", "a/deep/open", "b", "later"] {
            std::fs::create_dir_all(top.join(folder)).unwrap();
        }
        std::fs::write(top.join("file"), "x").unwrap();
        std::fs::write(top.join("key"), "x").unwrap();
        let holes = [
            top.join("a/deep/secret"),
            top.join("key"),
            top.join("b/absent"),
            top.join("no/where"),
        ];
        let pieces = carve(top, &holes).unwrap();
        let folders: Vec<_> = ["", "a", "a/deep", "b"].map(|p| top.join(p)).into();
        assert_eq!(
            pieces.folders.into_iter().collect::<Vec<_>>(),
            folders
                .iter()
                .map(|p| p.components().collect::<PathBuf>())
                .collect::<Vec<_>>()
        );
        assert_eq!(
            pieces.shown,
            ["a/deep/open", "file", "later"].map(|p| top.join(p))
        );
    }

    #[test]
    fn folders_beside_holes_are_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        for folder in [".git/hooks", ".git/objects/ab", "src/deep", ".claude"] {
            std::fs::create_dir_all(top.join(folder)).unwrap();
        }
        std::fs::write(top.join("README"), "x").unwrap();
        std::os::unix::fs::symlink("src", top.join("link")).unwrap();
        let holes = [".git/hooks", ".claude/settings.json", ".mcp.json"].map(|hole| top.join(hole));
        let found = beside(top, &holes).unwrap();
        assert_eq!(found, [".git/objects", "src"].map(|p| top.join(p)));
    }

    #[test]
    fn a_hole_that_does_not_exist_yet_is_kept_out_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        let pieces = carve(dir.path(), &[dir.path().join("sub/later")]).unwrap();
        assert!(pieces.shown.is_empty());
        assert!(pieces.folders.contains(&dir.path().join("sub")));
    }
}

//! Finds out what a host path is, once: kind, identity, and the links on the way.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, openat2, statat};
use rustix::io::Errno;

/// Links followed for one path, as the kernel bounds it.
const MAX_LINKS: usize = 40;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// The path without any link in it.
    pub(crate) real: PathBuf,
    /// Device and inode; the child compares them with what it opens.
    pub(crate) identity: (u64, u64),
    /// What is there.
    pub(crate) kind: What,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Folder,
    File,
    Character,
    Other,
}

/// Why a path cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathFault(pub(crate) String);

/// Opens `path`, which must have no link in it, as a location and asks what it is.
pub(crate) fn locate(path: &Path) -> Result<Located, PathFault> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let location =
        openat2(CWD, path, flags, Mode::empty(), resolve).map_err(|errno| fault(path, errno))?;
    let stat = rustix::fs::fstat(&location).map_err(|errno| fault(path, errno))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => What::Folder,
        FileType::RegularFile => What::File,
        FileType::CharacterDevice => What::Character,
        // A link itself: O_PATH with O_NOFOLLOW opens it, where older kernels do not refuse it.
        FileType::Symlink => return Err(fault(path, Errno::LOOP)),
        _ => What::Other,
    };
    Ok(Located {
        real: path.to_owned(),
        identity: (stat.st_dev, stat.st_ino),
        kind,
    })
}

fn fault(path: &Path, errno: Errno) -> PathFault {
    let shown = path.display();
    PathFault(match errno {
        Errno::NOENT | Errno::NOTDIR => format!("`{shown}` does not exist"),
        Errno::LOOP => match std::fs::canonicalize(path) {
            Ok(real) => format!(
                "`{shown}` leads through a symbolic link; name `{}` instead",
                real.display()
            ),
            Err(_) => format!("`{shown}` leads through a symbolic link"),
        },
        Errno::ACCESS | Errno::PERM => format!("`{shown}` may not be reached by this user"),
        other => format!("`{shown}` cannot be opened: {other}"),
    })
}

/// One symbolic link met on the way: where it is (its folder without links), and its target as written.
pub(crate) type Link = (PathBuf, OsString);

/// Follows links as the host has them, for parts of the runtime: gives the place at the end and every
/// link on the way.
pub(crate) fn follow(path: &Path) -> Result<(Located, Vec<Link>), PathFault> {
    let mut links = Vec::new();
    let mut real = PathBuf::from("/");
    let mut todo: Vec<OsString> = Vec::new();
    push(&mut todo, path);
    while let Some(name) = todo.pop() {
        if name == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&name);
        let stat =
            statat(CWD, &next, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| fault(path, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            real = next;
            continue;
        }
        if links.len() >= MAX_LINKS {
            return Err(PathFault(format!(
                "`{}` has too many symbolic links",
                path.display()
            )));
        }
        let target = std::fs::read_link(&next)
            .map_err(|error| PathFault(format!("`{}` cannot be read: {error}", next.display())))?;
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        push(&mut todo, &target);
        links.push((next, target.into_os_string()));
    }
    Ok((locate(&real)?, links))
}

/// Puts the components of `path` on the stack, first on top.
fn push(todo: &mut Vec<OsString>, path: &Path) {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    let names: Vec<_> = names.collect();
    todo.extend(names.into_iter().rev());
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        (dir, real)
    }

    #[test]
    fn l15_a_link_anywhere_in_a_granted_path_is_refused_and_the_real_path_named() {
        let (_keep, root) = folder();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/file"), "x").unwrap();
        symlink("real", root.join("link")).unwrap();
        symlink("real/file", root.join("leaf")).unwrap();
        for path in ["link", "link/file", "leaf"] {
            let PathFault(why) = locate(&root.join(path)).unwrap_err();
            assert!(why.contains("symbolic link; name"), "{why}");
            assert!(why.contains(&*root.join("real").to_string_lossy()), "{why}");
        }
        assert_eq!(locate(&root.join("real/file")).unwrap().kind, What::File);
        assert_eq!(locate(&root.join("real")).unwrap().kind, What::Folder);
    }

    #[test]
    fn links_of_the_runtime_are_followed_and_remembered() {
        let (_keep, root) = folder();
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        std::fs::write(root.join("usr/bin/tool"), "x").unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("../bin/tool", root.join("usr/alias")).unwrap();
        let (found, links) = follow(&root.join("usr/alias")).unwrap();
        assert_eq!(found.real, root.join("usr/bin/tool"));
        assert_eq!(
            links,
            [
                (root.join("usr/alias"), "../bin/tool".into()),
                (root.join("bin"), "usr/bin".into())
            ]
        );
    }

    #[test]
    fn a_ring_of_links_ends() {
        let (_keep, root) = folder();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert!(follow(&root.join("a")).is_err());
    }

    #[test]
    fn l14_what_does_not_exist_is_a_fault() {
        let (_keep, root) = folder();
        let PathFault(why) = locate(&root.join("nothing")).unwrap_err();
        assert!(why.ends_with("does not exist"), "{why}");
    }
}

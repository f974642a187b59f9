//! From a path as the caller means it to a folder's descriptor on the host and one name.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstat, fstatvfs, openat, openat2,
    readlinkat,
};
use rustix::io::Errno;

use super::Broker;
use super::call::Named;
use super::tree::{Standing, Tree};

/// Links followed for one last name, as the kernel bounds it.
const MAX_LINKS: usize = 40;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A name in a folder of a tree.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) tree: &'a Tree,
    /// The folder, as the host has it.
    pub(super) folder: OwnedFd,
    pub(super) name: OsString,
    /// The folder's place and the name, relative to the tree's top.
    pub(super) path: PathBuf,
    /// Whether the kernel lets the program write there by itself.
    pub(super) is_writable: bool,
    pub(super) standing: Standing,
}

impl Entry<'_> {
    /// Its whole path.
    pub(super) fn shown(&self) -> PathBuf {
        self.tree.top.join(&self.path)
    }
}

/// The caller's path, absolute as it sees it. Its working directory is what the kernel says it is now.
fn absolute(named: &Named) -> Result<PathBuf, Errno> {
    if named.path.is_absolute() {
        return Ok(named.path.clone());
    }
    let mut link = format!("/proc/{}/", named.thread);
    let _ = match named.folder {
        None => write!(link, "cwd"),
        Some(folder) => write!(link, "fd/{folder}"),
    };
    let base = PathBuf::from(OsString::from_vec(
        readlinkat(CWD, link, Vec::new())?.into_bytes(),
    ));
    if !base.is_absolute() {
        return Err(Errno::NOTDIR);
    }
    Ok(base.join(&named.path))
}

/// Folder and last name; a path that ends in `.` or `..`, or is empty, has none.
fn split(path: &Path) -> Result<(PathBuf, OsString), Errno> {
    let text = path.as_os_str().as_bytes();
    let ends_in_dots = [b"/.".as_slice(), b"/.."]
        .iter()
        .any(|end| text.ends_with(end));
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) if !ends_in_dots => {
            Ok((parent.to_owned(), name.to_owned()))
        }
        _ => Err(Errno::BUSY),
    }
}

impl Broker {
    /// Finds the tree in which the caller's path lies, following links of its last name where `follow`.
    ///
    /// # Errors
    /// `XDEV` where it lies in no tree, which is then the kernel's affair; otherwise the path's own error.
    pub(super) fn entry(&self, named: &Named, follow: bool) -> Result<Entry<'_>, Errno> {
        let mut path = absolute(named)?;
        for _ in 0..MAX_LINKS {
            let entry = self.locate(named.thread, &path)?;
            if !follow {
                return Ok(entry);
            }
            match readlinkat(&entry.folder, &entry.name, Vec::new()) {
                Ok(target) => {
                    let target = PathBuf::from(std::ffi::OsStr::from_bytes(target.as_bytes()));
                    let parent = entry.shown();
                    path = parent.parent().unwrap_or(Path::new("/")).join(target);
                }
                Err(_) => return Ok(entry),
            }
        }
        Err(Errno::LOOP)
    }

    /// The entry at an absolute path of the caller's world, without following its last name.
    fn locate(&self, thread: u32, path: &Path) -> Result<Entry<'_>, Errno> {
        let (parent, name) = split(path)?;
        let root = openat(CWD, format!("/proc/{thread}/root"), FOLDER, Mode::empty())?;
        let seen = openat2(&root, &parent, FOLDER, Mode::empty(), ResolveFlags::IN_ROOT)?;
        let place = where_is(&seen)?;
        let tree = self
            .trees
            .iter()
            .filter(|tree| place.starts_with(&tree.top));
        let tree = tree
            .max_by_key(|tree| tree.top.components().count())
            .ok_or(Errno::XDEV)?;
        let below = place.strip_prefix(&tree.top).map_err(|_| Errno::XDEV)?;
        let is_writable = !fstatvfs(&seen)?.f_flag.contains(StatVfsMountFlags::RDONLY);
        let folder = if below.as_os_str().is_empty() {
            tree.folder.try_clone().map_err(|_| Errno::MFILE)?
        } else {
            let beneath =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            openat2(&tree.folder, below, FOLDER, Mode::empty(), beneath)?
        };
        // What the program sees there is what the host has there: a grant inside the tree, or a change of
        // the host's, may have put something else before its eyes.
        let (ours, theirs) = (fstat(&folder)?, fstat(&seen)?);
        if (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino) {
            return Err(Errno::XDEV);
        }
        let path = below.join(&name);
        Ok(Entry {
            tree,
            folder,
            standing: tree.standing(&path),
            name,
            path,
            is_writable,
        })
    }
}

/// The path of an open folder as its own mounts have it.
fn where_is(folder: impl AsFd) -> Result<PathBuf, Errno> {
    let link = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
    let path = readlinkat(CWD, link, Vec::new())?;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(path.as_bytes())))
}

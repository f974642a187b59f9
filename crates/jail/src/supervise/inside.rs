//! Where a path leads inside, as the program sees it; never what the host has there.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// Links followed for one path, as the kernel bounds it.
const MAX_LINKS: usize = 40;
/// As much of a script's first line as the kernel looks at (binfmt_script).
const FIRST_LINE: usize = 256;

/// Nothing is opened but its place: no pipe waits, no device acts.
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// The root of a world. It is the same for all of its processes: none may change it.
#[derive(Debug)]
pub(super) struct Inside {
    root: OwnedFd,
    /// With the last process its mounts would come apart, while something is still being found out.
    _mounts: OwnedFd,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    There {
        /// Without any link in it.
        path: PathBuf,
        kind: FileType,
        place: OwnedFd,
    },
    Missing {
        /// Without the links that are there.
        path: PathBuf,
        /// The deepest folder on the way that is there.
        folder: PathBuf,
    },
    /// Neither can be told, such as behind a folder that its own mode closes.
    Unknown,
}

impl Inside {
    /// The world of a thread.
    pub(super) fn of(thread: u32) -> io::Result<Self> {
        let root = openat(
            CWD,
            format!("/proc/{thread}/root"),
            PLACE | OFlags::DIRECTORY,
            Mode::empty(),
        )?;
        let mounts = openat(
            CWD,
            format!("/proc/{thread}/ns/mnt"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self {
            root,
            _mounts: mounts,
        })
    }

    fn open(&self, path: &Path, follow: bool) -> Result<OwnedFd, Errno> {
        let last = if follow {
            OFlags::empty()
        } else {
            OFlags::NOFOLLOW
        };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, path, PLACE | last, Mode::empty(), resolve)
    }

    /// Finds an absolute path, following a link at its end where `follow`. `own` is the process that asks, by
    /// its number inside: `/proc/self` is another for everyone.
    pub(super) fn find(&self, path: &Path, follow: bool, own: Option<u32>) -> Found {
        match self.open(path, follow) {
            Ok(place) => there(place).unwrap_or(Found::Unknown),
            Err(Errno::NOENT | Errno::LOOP) => self.walk(path, follow, own),
            Err(_) => Found::Unknown,
        }
    }

    fn walk(&self, path: &Path, follow: bool, own: Option<u32>) -> Found {
        let mut real = PathBuf::from("/");
        let mut todo = reversed(path);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                real.pop();
                continue;
            }
            let next = real.join(own_number(&real, &name, own));
            let place = match self.open(&next, false) {
                Ok(place) => place,
                Err(Errno::NOENT) => {
                    let path = todo.iter().rev().fold(next, step);
                    return Found::Missing { path, folder: real };
                }
                Err(_) => return Found::Unknown,
            };
            if kind(&place) != Some(FileType::Symlink) || (todo.is_empty() && !follow) {
                real = next;
                continue;
            }
            links += 1;
            let Some(target) = target(&place).filter(|_| links <= MAX_LINKS) else {
                return Found::Unknown;
            };
            if target.is_absolute() {
                real = PathBuf::from("/");
            } else if real.starts_with("/proc") && next.components().count() > 3 {
                // A descriptor of what has no path, such as a pipe.
                return Found::Unknown;
            }
            todo.extend(reversed(&target));
        }
        match self.open(&real, false) {
            Ok(place) => there(place).unwrap_or(Found::Unknown),
            Err(_) => Found::Unknown,
        }
    }
}

fn there(place: OwnedFd) -> Option<Found> {
    let path = target_of(&place)?;
    let kind = kind(&place)?;
    Some(Found::There { path, kind, place })
}

fn kind(place: &OwnedFd) -> Option<FileType> {
    let stat = fstat(place).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

fn target(link: &OwnedFd) -> Option<PathBuf> {
    let text = readlinkat(link, "", Vec::new()).ok()?;
    Some(PathBuf::from(OsStr::from_bytes(text.as_bytes())))
}

/// The path of an open place as its own mounts have it.
fn target_of(place: &OwnedFd) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    let text = readlinkat(CWD, link, Vec::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(text.into_bytes()))).filter(|path| path.is_absolute())
}

fn own_number(real: &Path, name: &OsStr, own: Option<u32>) -> OsString {
    match own {
        Some(own) if real == Path::new("/proc") && (name == "self" || name == "thread-self") => {
            own.to_string().into()
        }
        _ => name.to_owned(),
    }
}

/// The components, first on top.
fn reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

fn step(mut path: PathBuf, name: &OsString) -> PathBuf {
    if name == ".." {
        path.pop();
    } else {
        path.push(name);
    }
    path
}

/// Whether the host has something at a path, which is looked at by name alone. What may not be looked at counts.
pub(super) fn on_host(path: &Path) -> bool {
    let flags = PLACE | OFlags::NOFOLLOW;
    let looked = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
    matches!(looked, Ok(_) | Err(Errno::ACCESS))
}

/// The interpreter that a script names in its first line. `program` must be a regular file that may be executed:
/// those lie on mounts that the program cannot write.
pub(super) fn interpreter(program: &OwnedFd) -> Option<PathBuf> {
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(CWD, path, flags, Mode::empty()).ok()?;
    let mut start = [0u8; FIRST_LINE];
    let got = rustix::io::read(&file, &mut start).ok()?;
    let line = start.get(..got)?.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii_start();
    let name = line.split(|byte| b" \t".contains(byte)).next()?;
    (!name.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(name)))
}

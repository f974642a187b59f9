//! What a watched call tries, read while it waits. What was read may change before the kernel reads it: it is good
//! for telling, never for deciding (L17).

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use libc as c;
use rustix::fs::{CWD, readlinkat};

use super::address::Address;
use super::broker::{Call, Named, read_path};
use crate::landlock::{MAKE_BLOCK, MAKE_CHAR, MAKE_DIR, MAKE_FIFO, MAKE_REG, MAKE_SOCK, MAKE_SYM};
use crate::sys::notify::Notification;

/// What is tried at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Tried {
    /// With these flags of open(2).
    Open(i32),
    Run,
    /// Only whether it is there, and what it is.
    Look {
        follow: bool,
    },
    /// Making an entry that is not there yet, which needs this right of Landlock.
    Make(u64),
    /// Removing or moving an entry, or giving it a further name.
    Take,
    /// Moving an entry there, perhaps over another.
    Replace,
    /// Its mode, owner or times.
    Change {
        follow: bool,
    },
}

impl Tried {
    /// Whether a link at the path's end is followed.
    pub(super) fn follows(self) -> bool {
        match self {
            Self::Open(flags) => {
                let exclusive = c::O_CREAT | c::O_EXCL;
                flags & c::O_NOFOLLOW == 0 && flags & exclusive != exclusive
            }
            Self::Run => true,
            Self::Make(_) | Self::Take | Self::Replace => false,
            Self::Change { follow } | Self::Look { follow } => follow,
        }
    }
}

/// One thing that was tried.
#[derive(Debug)]
pub(super) enum Attempt {
    Paths {
        /// Absolute, as the program named them.
        paths: Vec<(PathBuf, Tried)>,
        /// Who asks, by its number inside, where a path may depend on that.
        own: Option<u32>,
    },
    Reach(Address),
}

impl Attempt {
    /// Whether what it leads to may be another thing for each process.
    pub(super) fn is_its_own(&self) -> bool {
        matches!(self, Self::Paths { own: Some(_), .. })
    }
}

/// Reads what a call tries, while it waits.
pub(super) fn attempt(call: &Notification) -> Option<Attempt> {
    let [a, b, _, _, e, f] = call.args;
    match c::c_long::from(call.number) {
        c::SYS_connect => {
            let [_, at, length, ..] = call.args;
            Address::read(call.pid, at, length).map(Attempt::Reach)
        }
        c::SYS_sendto => Address::read(call.pid, e, f).map(Attempt::Reach),
        c::SYS_execve => paths(
            call,
            vec![(here(call, read_path(call.pid, a)?), Tried::Run)],
        ),
        c::SYS_fchownat => {
            let flags = (e & u64::from(u32::MAX)) as u32;
            let follow = flags.cast_signed() & c::AT_SYMLINK_NOFOLLOW == 0;
            let at = at(call, a, read_path(call.pid, b)?);
            paths(call, vec![(at, Tried::Change { follow })])
        }
        #[cfg(target_arch = "x86_64")]
        c::SYS_chown | c::SYS_lchown | c::SYS_utime | c::SYS_utimes => {
            let follow = c::c_long::from(call.number) != c::SYS_lchown;
            let at = here(call, read_path(call.pid, a)?);
            paths(call, vec![(at, Tried::Change { follow })])
        }
        #[cfg(target_arch = "x86_64")]
        c::SYS_futimesat => {
            let at = at(call, a, read_path(call.pid, b)?);
            paths(call, vec![(at, Tried::Change { follow: true })])
        }
        _ => match look(call) {
            Some(look) => paths(call, vec![look]),
            None => paths(call, entries(Call::read(call).ok()??)),
        },
    }
}

/// A call that only looks.
fn look(call: &Notification) -> Option<(Named, Tried)> {
    let [a, b, d, e, ..] = call.args;
    let unless = |flags: u64| flags & c::AT_SYMLINK_NOFOLLOW as u64 == 0;
    let (follow, named) = match c::c_long::from(call.number) {
        c::SYS_newfstatat => (unless(e), at(call, a, read_path(call.pid, b)?)),
        c::SYS_statx => (unless(d), at(call, a, read_path(call.pid, b)?)),
        c::SYS_faccessat => (true, at(call, a, read_path(call.pid, b)?)),
        c::SYS_faccessat2 => (unless(e), at(call, a, read_path(call.pid, b)?)),
        c::SYS_readlinkat => (false, at(call, a, read_path(call.pid, b)?)),
        c::SYS_chdir => (true, here(call, read_path(call.pid, a)?)),
        c::SYS_inotify_add_watch => (true, here(call, read_path(call.pid, b)?)),
        #[cfg(target_arch = "x86_64")]
        c::SYS_stat | c::SYS_access => (true, here(call, read_path(call.pid, a)?)),
        #[cfg(target_arch = "x86_64")]
        c::SYS_lstat | c::SYS_readlink => (false, here(call, read_path(call.pid, a)?)),
        _ => return None,
    };
    Some((named, Tried::Look { follow }))
}

fn here(call: &Notification, path: PathBuf) -> Named {
    Named {
        thread: call.pid,
        folder: None,
        path,
    }
}

fn at(call: &Notification, folder: u64, path: PathBuf) -> Named {
    let folder = ((folder & u64::from(u32::MAX)) as u32).cast_signed();
    Named {
        folder: Some(folder).filter(|folder| *folder != c::AT_FDCWD),
        ..here(call, path)
    }
}

/// The paths of a call, each with what is tried there.
fn entries(call: Call) -> Vec<(Named, Tried)> {
    match call {
        Call::Open { at, flags, .. } => vec![(at, Tried::Open(flags))],
        Call::MakeFolder { at, .. } => vec![(at, Tried::Make(MAKE_DIR))],
        Call::MakeNode { at, mode } => vec![(at, Tried::Make(node(mode)))],
        Call::Symlink { at, .. } => vec![(at, Tried::Make(MAKE_SYM))],
        Call::Remove { at, .. } => vec![(at, Tried::Take)],
        Call::Rename { from, to, .. } => vec![(from, Tried::Take), (to, Tried::Replace)],
        Call::Link { from, to, .. } => vec![(from, Tried::Take), (to, Tried::Make(MAKE_REG))],
        Call::Truncate { at, .. } => vec![(at, Tried::Open(c::O_WRONLY))],
        Call::Mode { at, .. } => vec![(at, Tried::Change { follow: true })],
        Call::Times { at, follow, .. } => vec![(at, Tried::Change { follow })],
    }
}

fn node(mode: u32) -> u64 {
    match mode & c::S_IFMT {
        c::S_IFCHR => MAKE_CHAR,
        c::S_IFBLK => MAKE_BLOCK,
        c::S_IFSOCK => MAKE_SOCK,
        c::S_IFIFO => MAKE_FIFO,
        _ => MAKE_REG,
    }
}

fn paths(call: &Notification, named: Vec<(Named, Tried)>) -> Option<Attempt> {
    let absolute = named
        .into_iter()
        .map(|(named, tried)| Some((absolute(&named)?, tried)));
    let paths: Vec<_> = absolute.collect::<Option<_>>()?;
    // Links of /dev lead there, too.
    let of_processes = |path: &PathBuf| path.starts_with("/proc") || path.starts_with("/dev");
    let own = match paths.iter().any(|(path, _)| of_processes(path)) {
        true => Some(own_number(call.pid)?),
        false => None,
    };
    Some(Attempt::Paths { paths, own })
}

/// The path from the root of the program's world. An empty one names nothing.
fn absolute(named: &Named) -> Option<PathBuf> {
    if named.path.is_absolute() || named.path.as_os_str().is_empty() {
        return Some(named.path.clone()).filter(|path| path.is_absolute());
    }
    let mut link = format!("/proc/{}/", named.thread);
    let _ = match named.folder {
        None => write!(link, "cwd"),
        Some(folder) => write!(link, "fd/{folder}"),
    };
    let base = readlinkat(CWD, link, Vec::new()).ok()?;
    let base = PathBuf::from(OsStr::from_bytes(base.as_bytes()));
    base.is_absolute().then(|| base.join(&named.path))
}

/// The number of a thread in the innermost namespace (proc_pid_status(5), `NSpid`).
fn own_number(thread: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_whitespace().next_back()?.parse().ok()
}

//! Where control groups of ours can be made: version 2 where it is delegated, version 1 where mounted and writable.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, mkdirat, open, openat, unlinkat};

use super::stale;
use crate::sys;

/// How to get a control group, for people.
pub(super) const MEND: &str = "start it as a service or scope of its own with delegation (`systemd-run --user --scope \
     -p Delegate=yes bailiwick …`), or as root with the controller mounted; without it, a meter ends what goes over";

/// A folder of a hierarchy in which groups may be made.
#[derive(Debug)]
pub(crate) struct Base {
    pub(super) dir: OwnedFd,
    pub(super) path: PathBuf,
}

/// What may be used here.
#[derive(Debug)]
pub(super) enum Bases {
    /// A hierarchy for each controller.
    One {
        memory: Option<Base>,
        pids: Option<Base>,
        time: Option<Base>,
    },
    /// One hierarchy; which of its controllers may be used.
    Two {
        base: Base,
        memory: bool,
        pids: bool,
        /// Whether a child can be made straight inside.
        into: bool,
    },
}

/// What this process may use, found by making a group and removing it. Found once.
pub(super) fn bases() -> Option<&'static Bases> {
    static BASES: OnceLock<Option<Bases>> = OnceLock::new();
    BASES.get_or_init(find).as_ref()
}

fn find() -> Option<Bases> {
    let mounts = read_text("/proc/self/mountinfo");
    let groups = read_text("/proc/self/cgroup");
    let one = |controller, bound: &str, value: &str| {
        let place = place(&mounts, &groups, controller)?;
        (place.version == 1)
            .then(|| try_base(&place.dir, &[(bound, value)]).ok())
            .flatten()
    };
    let memory = one("memory", "memory.limit_in_bytes", "1073741824");
    let pids = one("pids", "pids.max", "64");
    if memory.is_some() || pids.is_some() {
        return Some(Bases::One {
            memory,
            pids,
            time: one("cpuacct", "tasks", ""),
        });
    }
    let place = second(&mounts, &groups)?;
    place
        .own
        .ancestors()
        .take_while(|dir| dir.starts_with(&place.mount))
        .find_map(try_second)
}

/// A folder in which a group can be made and given bounds.
fn try_base(path: &Path, bounds: &[(&str, &str)]) -> io::Result<Base> {
    let dir = open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let base = Base {
        dir,
        path: path.to_owned(),
    };
    stale::sweep(&base);
    let name = super::name();
    mkdirat(&base.dir, &name, Mode::from_raw_mode(0o755))?;
    let tried = openat(
        &base.dir,
        &name,
        OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(io::Error::from)
    .and_then(|group| {
        bounds
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .try_for_each(|(file, value)| put(&group, file, value.as_bytes()))
    });
    unlinkat(&base.dir, &name, AtFlags::REMOVEDIR)?;
    tried.map(|()| base)
}

/// The folder itself or one above, whose children get a controller, and into which a process may be moved: for
/// that its `cgroup.procs` must be writable, being the nearest that both places have in common (cgroups(7)).
fn try_second(path: &Path) -> Option<Bases> {
    let may = |name: &str| {
        let mode = Access::WRITE_OK | Access::EXISTS;
        accessat(CWD, path.join(name), mode, AtFlags::EACCESS).is_ok()
    };
    if !may("") || !may("cgroup.procs") {
        return None;
    }
    let file = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
    let offered = file("cgroup.controllers");
    let enabled = |controller: &str| {
        let lists = |text: &str| text.split_whitespace().any(|name| name == controller);
        if lists(&file("cgroup.subtree_control")) {
            return true;
        }
        // Refused where processes are in it: then only one further up will do.
        lists(&offered)
            && std::fs::write(
                path.join("cgroup.subtree_control"),
                format!("+{controller}"),
            )
            .is_ok()
    };
    let (memory, pids) = (enabled("memory"), enabled("pids"));
    if !memory && !pids {
        return None;
    }
    let mut bounds = Vec::new();
    bounds.extend(memory.then_some(("memory.max", "1073741824")));
    bounds.extend(pids.then_some(("pids.max", "64")));
    Some(Bases::Two {
        base: try_base(path, &bounds).ok()?,
        memory,
        pids,
        into: sys::can_clone_into(),
    })
}

pub(super) fn put(group: impl AsFd, file: &str, value: &[u8]) -> io::Result<()> {
    let file = openat(group, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    std::fs::File::from(file).write_all(value)
}

fn read_text(path: &str) -> String {
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text));
    if read.is_err() {
        text.clear();
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Where this process is in the hierarchy that has a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    dir: PathBuf,
    version: u8,
}

/// Where this process is in the second version, and where that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Second {
    own: PathBuf,
    mount: PathBuf,
}

/// cgroups(7), proc_pid_mountinfo(5).
fn place(mounts: &str, groups: &str, controller: &str) -> Option<Place> {
    // A controller is in one version at a time; where version 1 has it mounted, that is the one.
    let first = mount(mounts, &|kind, options| {
        kind == "cgroup" && options.split(',').any(|option| option == controller)
    });
    let Some((root, at)) = first else {
        return second(mounts, groups).map(|place| Place {
            dir: place.own,
            version: 2,
        });
    };
    let own = own(groups, &|names| {
        names.split(',').any(|name| name == controller)
    })?;
    Some(Place {
        dir: below(&at, &root, &own),
        version: 1,
    })
}

fn second(mounts: &str, groups: &str) -> Option<Second> {
    let (root, at) = mount(mounts, &|kind, _| kind == "cgroup2")?;
    let own = own(groups, &str::is_empty)?;
    Some(Second {
        own: below(&at, &root, &own),
        mount: at,
    })
}

/// The path of this process in the hierarchy whose controllers fit.
fn own(groups: &str, fits: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        fits(names).then(|| path.into())
    })
}

/// Root and place of the first mount whose type and options fit.
fn mount(mounts: &str, fits: &dyn Fn(&str, &str) -> bool) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (kind, _, options) = (after.next()?, after.next()?, after.next()?);
        let mut before = before.split(' ').skip(3);
        fits(kind, options).then_some((unescaped(before.next()?), unescaped(before.next()?)))
    })
}

/// The kernel writes blanks and backslashes as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, octal) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsStr::from_bytes(&bytes).into()
}

fn below(mount: &Path, root: &Path, own: &Path) -> PathBuf {
    // A container sees its own part as the root, or the host's path of it.
    let below = own.strip_prefix(root).unwrap_or(own);
    mount.join(below.strip_prefix("/").unwrap_or(below))
}

/// The controllers that bound a plugin, with the names of their facts, and what may be used of each, or why not.
pub(crate) fn facts() -> Vec<(&'static str, Result<String, String>)> {
    const NOT: &str = "no group can be made";
    let of = |base: &Base, version: u8| format!("version {version}, in `{}`", base.path.display());
    let missing = || Err(NOT.to_owned());
    let part = |base: &Option<Base>| base.as_ref().map_or_else(missing, |base| Ok(of(base, 1)));
    let (memory, pids, time) = match bases() {
        None => (missing(), missing(), missing()),
        Some(Bases::One { memory, pids, time }) => (part(memory), part(pids), part(time)),
        Some(Bases::Two {
            base, memory, pids, ..
        }) => {
            let held = |held: bool| match held {
                true => Ok(of(base, 2)),
                false => missing(),
            };
            (held(*memory), held(*pids), Ok(of(base, 2)))
        }
    };
    let any = memory.clone().or_else(|_| pids.clone());
    vec![
        ("cgroup", any),
        ("cgroup-memory", memory),
        ("cgroup-pids", pids),
        ("cgroup-cpu", time),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "30 25 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
         31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn version_1_is_where_the_controller_is_mounted_and_else_version_2() {
        let groups = "4:memory:/job/7\n8:pids:/\n0::/user.slice/s\n";
        let found = |controller| place(BOTH, groups, controller).unwrap();
        assert_eq!(
            found("memory"),
            Place {
                dir: "/sys/fs/cgroup/memory/job/7".into(),
                version: 1
            }
        );
        assert_eq!(
            found("pids"),
            Place {
                dir: "/sys/fs/cgroup/unified/user.slice/s".into(),
                version: 2
            }
        );
        assert_eq!(
            second(BOTH, groups).unwrap().mount,
            PathBuf::from("/sys/fs/cgroup/unified")
        );
    }

    #[test]
    fn a_container_sees_its_own_part_as_the_root() {
        let mounts = "9 1 0:26 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let inside = |path: &str| {
            place(mounts, &format!("0::{path}\n"), "memory")
                .unwrap()
                .dir
        };
        assert_eq!(inside("/docker/ab/x"), PathBuf::from("/sys/fs/cgroup/x"));
        assert_eq!(inside("/"), PathBuf::from("/sys/fs/cgroup"));
        assert_eq!(place("", "0::/\n", "memory"), None);
        assert_eq!(place(mounts, "", "memory"), None);
    }

    #[test]
    fn blanks_in_paths_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        assert_eq!(unescaped(r"/a\9"), PathBuf::from(r"/a\9"));
    }

    #[test]
    fn every_controller_is_judged() {
        let names: Vec<&str> = facts().into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["cgroup", "cgroup-memory", "cgroup-pids", "cgroup-cpu"]
        );
    }
}

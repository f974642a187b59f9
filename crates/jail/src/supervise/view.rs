//! What a world lets be done where: the layout's mounts and Landlock rules, asked about one path.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::address::Address;
use super::attempt::Tried;
use super::inside::{Found, on_host};
use crate::extras::{DNS, Network};
use crate::landlock::{
    EXECUTE, MAKE_REG, READ_DIR, READ_FILE, REMOVE_DIR, REMOVE_FILE, WRITE_FILE,
};
use crate::layout::{Access, Layout, Node};

const HIDDEN: &str = "it was not granted, so it does not exist inside";
const NOT_READ: &str = "no grant lets it be read";
const NOT_WRITTEN: &str = "no grant lets it be written";
const NOT_RUN: &str = "no grant lets it be executed";
const NOWHERE: &str = "no name or address that was granted leads there";
const NO_PORT: &str = "this port was not granted";

/// What runtimes look at to suit themselves to the machine, and do well without. Nothing of it is data, and only
/// reading it is left untold.
const UNTOLD: [&str; 27] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.preload",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/resolv.conf",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/stat",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/kernel/osrelease",
    "/proc/version_signature",
    "/sys/fs/selinux",
    "/sys/kernel/mm/transparent_hugepage",
    "/usr/lib/ssl/openssl.cnf",
];
/// Programs ask it whether there is somebody at a terminal; whether to read or to write is all one.
const TERMINAL: &str = "/dev/tty";
/// The same, for whole trees of settings of the running kernel.
const UNTOLD_TREES: [&str; 6] = [
    "/proc/sys/vm",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/usr/lib/locale",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
];
/// Where the C library keeps its character sets, in the folder of each architecture.
const CHARACTER_SETS: &str = "gconv";

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// A mount of the host's.
    Host(Access),
    /// Private and writable.
    Scratch,
    Proc,
    /// Made by us, read-only.
    Ours,
}

/// A refusal: operation, target, reason.
pub(super) type Refusal = (&'static str, PathBuf, &'static str);

/// What a program finds inside, as far as refusals are concerned.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    rules: BTreeMap<PathBuf, u64>,
    mounts: BTreeMap<PathBuf, Shown>,
    network: Option<Reach>,
}

#[derive(Debug, Clone)]
struct Reach {
    ports: BTreeSet<u16>,
    addresses: BTreeSet<IpAddr>,
}

impl View {
    /// The view of a layout, and of the network inside.
    pub(crate) fn of(layout: &Layout, network: Option<&Network>) -> Self {
        let rules = layout.rules.iter();
        let mounts = layout.nodes.iter().filter_map(|(path, node)| {
            let shown = match node {
                Node::Bind { access, .. } => Shown::Host(*access),
                Node::Scratch => Shown::Scratch,
                Node::Proc => Shown::Proc,
                Node::Over { .. } => Shown::Ours,
                _ => return None,
            };
            Some((path.clone(), shown))
        });
        Self {
            rules: rules.map(|rule| (rule.path.clone(), rule.access)).collect(),
            mounts: mounts.collect(),
            network: network.map(|network| Reach {
                ports: network.ports.clone(),
                addresses: network.addresses.iter().copied().collect(),
            }),
        }
    }

    /// The rights that Landlock gives at a path: those of all rules above it (landlock(7)).
    fn may(&self, path: &Path, right: u64) -> bool {
        let rights = path
            .ancestors()
            .filter_map(|above| self.rules.get(above))
            .fold(0, |all, rights| all | rights);
        rights & right != 0
    }

    fn shown(&self, path: &Path) -> Shown {
        let mount = path.ancestors().find_map(|above| self.mounts.get(above));
        mount.copied().unwrap_or(Shown::Ours)
    }

    /// Whether entries and attributes can be changed on the mount around a path.
    fn is_writable(&self, path: &Path) -> bool {
        matches!(
            self.shown(path),
            Shown::Host(Access::Write) | Shown::Scratch
        )
    }

    /// Whether the host has what is missing inside.
    fn is_hidden(&self, path: &Path, folder: &Path) -> bool {
        match self.shown(folder) {
            // The folder inside is the host's own.
            Shown::Host(_) => false,
            // Another world's processes have the same numbers.
            Shown::Proc => !numbered(path) && on_host(path),
            Shown::Scratch | Shown::Ours => on_host(path),
        }
    }

    /// Whether the wall refuses what was tried at what was found.
    pub(super) fn judge(&self, tried: Tried, found: &Found) -> Option<Refusal> {
        let refusal = match tried {
            Tried::Open(flags) => self.open(flags, found),
            Tried::Run => self.run(found),
            Tried::Make(right) => self.make(right, found),
            Tried::Take => self.take(found),
            Tried::Replace => self.replace(found),
            Tried::Change { .. } => self.change(found),
            // Too many look in too many places for each to be told.
            Tried::Look { .. } => None,
        }?;
        let (operation, path, _) = &refusal;
        let quiet = path == Path::new(TERMINAL) || (*operation == "read_files" && untold(path));
        (!quiet).then_some(refusal)
    }

    fn open(&self, flags: i32, found: &Found) -> Option<Refusal> {
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_TRUNC != 0;
        let reads = flags & libc::O_ACCMODE != libc::O_WRONLY;
        let has = |flag: i32| flags & flag == flag;
        match found {
            Found::Unknown => None,
            Found::There { .. } if has(libc::O_CREAT | libc::O_EXCL) || has(libc::O_PATH) => None,
            Found::There { path, kind, .. } => {
                let folder = *kind == FileType::Directory;
                if folder && writes {
                    let made = has(libc::O_TMPFILE);
                    let may = self.may(path, MAKE_REG) && self.is_writable(path);
                    return (made && !may).then(|| write(path, NOT_WRITTEN));
                }
                if *kind == FileType::Symlink {
                    return None;
                }
                let device = matches!(self.shown(path), Shown::Host(Access::Device));
                let may_write = self.may(path, WRITE_FILE) && (device || self.is_writable(path));
                let to_read = if folder { READ_DIR } else { READ_FILE };
                if writes && !may_write {
                    return Some(write(path, NOT_WRITTEN));
                }
                (reads && !self.may(path, to_read)).then(|| read(path, NOT_READ))
            }
            Found::Missing { .. } if has(libc::O_CREAT) => self.make(MAKE_REG, found),
            Found::Missing { path, folder } if self.is_hidden(path, folder) => Some(if writes {
                write(path, HIDDEN)
            } else {
                read(path, HIDDEN)
            }),
            Found::Missing { .. } => None,
        }
    }

    fn run(&self, found: &Found) -> Option<Refusal> {
        let run = |path: &Path, why| Some(("execute_code", path.to_owned(), why));
        match found {
            Found::There { path, kind, .. } if *kind == FileType::RegularFile => {
                let may = self.may(path, EXECUTE);
                if may { None } else { run(path, NOT_RUN) }
            }
            Found::Missing { path, folder } if self.is_hidden(path, folder) => run(path, HIDDEN),
            _ => None,
        }
    }

    fn make(&self, right: u64, found: &Found) -> Option<Refusal> {
        let Found::Missing { path, folder } = found else {
            return None;
        };
        let parent = path.parent()?;
        if parent == folder {
            let may = self.may(folder, right) && self.is_writable(folder);
            return (!may).then(|| write(path, NOT_WRITTEN));
        }
        self.is_hidden(parent, folder).then(|| write(path, HIDDEN))
    }

    /// Taking an entry out of its folder, or giving it another name.
    fn take(&self, found: &Found) -> Option<Refusal> {
        match found {
            Found::There { path, .. } => {
                let folder = path.parent()?;
                let may = self.may(folder, REMOVE_FILE | REMOVE_DIR) && self.is_writable(folder);
                (!may).then(|| write(path, NOT_WRITTEN))
            }
            Found::Missing { path, folder } => {
                self.is_hidden(path, folder).then(|| write(path, HIDDEN))
            }
            Found::Unknown => None,
        }
    }

    /// Putting an entry where there may be one.
    fn replace(&self, found: &Found) -> Option<Refusal> {
        match found {
            Found::There { .. } => self.take(found),
            _ => self.make(MAKE_REG, found),
        }
    }

    /// Changing what a file is besides its content.
    fn change(&self, found: &Found) -> Option<Refusal> {
        match found {
            Found::There { path, .. } if self.is_writable(path) => None,
            Found::There { path, .. } => Some(write(path, NOT_WRITTEN)),
            _ => self.take(found),
        }
    }

    /// Why nothing answers at an address, if nothing does.
    pub(super) fn unreachable(&self, address: &Address) -> Option<&'static str> {
        let (Some(reach), Address::Ip(address)) = (&self.network, address) else {
            return None;
        };
        // Without a port it is only asked where packets would go.
        if address.port() == 0 {
            return None;
        }
        let ip = address.ip().to_canonical();
        let stands = match ip {
            IpAddr::V4(v4) => {
                v4.is_loopback() || v4.is_unspecified() || matches!(v4.octets(), [198, 18..=19, ..])
            }
            IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback(),
        };
        if !stands && !reach.addresses.contains(&ip) {
            return Some(NOWHERE);
        }
        let answers_names = address.port() == 53 && ip == IpAddr::V4(DNS);
        let listens = reach.ports.contains(&address.port())
            && (ip.is_ipv4() || reach.addresses.iter().any(IpAddr::is_ipv6));
        (!answers_names && !listens).then_some(NO_PORT)
    }
}

fn read(path: &Path, why: &'static str) -> Refusal {
    ("read_files", path.to_owned(), why)
}

fn write(path: &Path, why: &'static str) -> Refusal {
    ("write_files", path.to_owned(), why)
}

fn untold(path: &Path) -> bool {
    UNTOLD.iter().any(|known| path == Path::new(known))
        || UNTOLD_TREES.iter().any(|tree| path.starts_with(tree))
        || (path.starts_with("/usr/lib") && path.iter().any(|name| name == CHARACTER_SETS))
}

/// Whether a path of `/proc` is that of a process.
fn numbered(path: &Path) -> bool {
    let process = path.components().nth(2);
    process.is_some_and(|name| {
        name.as_os_str()
            .as_encoded_bytes()
            .iter()
            .all(u8::is_ascii_digit)
    })
}

//! What the processes of one world take, read from the host's side. Nothing that they say is believed, only
//! what the kernel says of them; and wherever they hide, they are in that process namespace.

use std::ffi::CStr;
use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::descent;
use rustix::fs::{CWD, Dir, FsWord, Mode, OFlags, fstat, fstatfs, openat};

/// `PROC_SUPER_MAGIC` (`linux/magic.h`).
const PROC: FsWord = 0x9fa0;
/// Bytes of one socket's buffer that the kernel grants without being asked.
const SOCKET: &str = "/proc/sys/net/core/wmem_default";
/// The most that it grants when asked; it counts that twice (socket(7)).
const SOCKET_MOST: &str = "/proc/sys/net/core/wmem_max";
/// Sockets and descriptors that every program may have without their buffers counting.
const FEW_SOCKETS: u64 = 64;
const FEW_DESCRIPTORS: u64 = 256;
/// Two pages of a pipe stand behind two descriptors, once a user has many pipes (pipe(7)).
const PIPE: u64 = 4096;

/// What a world takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Bytes of memory, at most: what processes share is counted for each.
    pub(crate) memory: u64,
    /// Of those, what stands behind descriptors and cannot be seen exactly; and the most it could be.
    pub(crate) buffers: u64,
    pub(crate) buffers_most: u64,
    /// Processes and threads, init with them.
    pub(crate) tasks: u64,
    pub(crate) time: Duration,
    /// Bytes sent to file systems on disk.
    pub(crate) written: u64,
    /// Of these, by process, what only init takes over at their end.
    pub(crate) inherited: Vec<(u32, u64)>,
}

/// What is to be counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) memory: bool,
    pub(crate) tasks: bool,
    pub(crate) time: bool,
    pub(crate) written: bool,
}

/// The processes of one world.
#[derive(Debug)]
pub(crate) struct Processes {
    /// A `/proc`.
    dir: OwnedFd,
    /// Where that is the host's: init, whose descendants all others are.
    init: Option<u32>,
    /// File systems in memory.
    scratch: Vec<OwnedFd>,
}

impl Processes {
    /// Those whose init is `init`, which has not been waited for yet.
    pub(crate) fn of(init: u32, scratch: &[PathBuf]) -> std::io::Result<Self> {
        // Nobody but root may look through init, which cannot be read; through its first child, its owner may.
        let host = openat(
            CWD,
            "/proc",
            OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let Some(program) = descent::children(&host, init)?.first().copied() else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let root = PathBuf::from(format!("/proc/{program}/root"));
        let below = |path: &Path, flags: OFlags| {
            let path = root.join(path.strip_prefix("/").unwrap_or(path));
            openat(
                CWD,
                path,
                flags | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
        };
        let scratch: Vec<OwnedFd> = scratch
            .iter()
            .filter_map(|path| below(path, OFlags::PATH).ok())
            .collect();
        let theirs = below(Path::new("/proc"), OFlags::RDONLY).ok();
        Self::in_either(theirs, host, scratch, || Ok(init))
    }

    /// Those of the world in which process `inside` is, without its file systems in memory.
    pub(crate) fn around(inside: u32) -> std::io::Result<Self> {
        let open = |path: &str| {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, path, flags, Mode::empty())
        };
        let theirs = open(&format!("/proc/{inside}/root/proc")).ok();
        Self::in_either(theirs, open("/proc")?, Vec::new(), || {
            descent::init_of(inside)
        })
    }

    /// Theirs lists them all, and nobody else; where the kernel gave none, the host's knows who descends from whom.
    fn in_either(
        theirs: Option<OwnedFd>,
        host: OwnedFd,
        scratch: Vec<OwnedFd>,
        init: impl FnOnce() -> std::io::Result<u32>,
    ) -> std::io::Result<Self> {
        let own = fstat(&host)?.st_dev;
        let theirs = theirs.filter(|dir| {
            let is_proc = fstatfs(dir).is_ok_and(|found| found.f_type == PROC);
            is_proc && fstat(dir).is_ok_and(|found| found.st_dev != own)
        });
        let (dir, init) = match theirs {
            Some(dir) => (dir, None),
            None => (host, Some(init()?)),
        };
        Ok(Self { dir, init, scratch })
    }

    /// The `/proc` in which they are listed, and their numbers there.
    pub(crate) fn listed(&self) -> (&OwnedFd, Vec<u32>) {
        (&self.dir, self.list())
    }

    /// Whether init's own account may be looked at.
    pub(crate) fn sees_init(&self) -> bool {
        !read(&self.dir, &format!("{}/io", self.first())).is_empty()
    }

    fn first(&self) -> u32 {
        self.init.unwrap_or(1)
    }

    fn list(&self) -> Vec<u32> {
        let Some(init) = self.init else {
            let Ok(entries) = Dir::read_from(&self.dir) else {
                return Vec::new();
            };
            return entries
                .flatten()
                .filter_map(|entry| number(entry.file_name()))
                .collect();
        };
        descent::descendants(&self.dir, init)
    }

    /// Adds up what is wanted.
    pub(crate) fn count(&self, wanted: Wanted) -> Count {
        let mut count = Count::default();
        let mut path = String::new();
        let mut descriptors = 0;
        for pid in self.list() {
            let mut file = |name: &str| {
                path.clear();
                let _ = write!(path, "{pid}/{name}");
                read(&self.dir, &path)
            };
            if wanted.memory || wanted.tasks {
                let status = file("status");
                let bytes = |key| field(&status, key) << 10;
                count.memory += ["RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:"]
                    .map(bytes)
                    .iter()
                    .sum::<u64>();
                count.tasks += field(&status, "Threads:").max(1);
                descriptors += field(&status, "FDSize:").saturating_sub(FEW_DESCRIPTORS);
            }
            if wanted.time {
                count.time += time_of(&file("stat"));
            }
            if wanted.written {
                let written = field(&file("io"), "write_bytes:");
                count.written += written;
                // Whoever may not look at init does not see what it took over from those who ended.
                if written > 0 && field(&file("status"), "PPid:") == u64::from(self.first()) {
                    count.inherited.push((pid, written));
                }
            }
        }
        if wanted.memory {
            count.memory += self.in_scratch();
            let sockets = self.sockets().saturating_sub(FEW_SOCKETS);
            let pipes = descriptors * PIPE;
            count.buffers = sockets * setting(SOCKET) + pipes;
            count.buffers_most = sockets * setting(SOCKET_MOST) * 2 + pipes;
        }
        count
    }

    /// Memory with what is shared counted once. Dearer: the kernel walks every page.
    pub(crate) fn memory_once(&self) -> u64 {
        let each = |pid: u32| {
            let parts = read(&self.dir, &format!("{pid}/smaps_rollup"));
            let pages: u64 = ["Pss_Anon:", "Pss_Shmem:", "SwapPss:"]
                .iter()
                .map(|key| field(&parts, key) << 10)
                .sum();
            let status = read(&self.dir, &format!("{pid}/status"));
            // One that shows no pages any more is counted as it was.
            let seen = ["RssAnon:", "RssShmem:"]
                .iter()
                .map(|key| field(&status, key) << 10)
                .sum();
            let pages = if parts.is_empty() { seen } else { pages };
            pages + (field(&status, "VmPTE:") << 10)
        };
        self.list().into_iter().map(each).sum::<u64>() + self.in_scratch()
    }

    fn in_scratch(&self) -> u64 {
        let used = |dir: &OwnedFd| {
            let Ok(found) = fstatfs(dir) else { return 0 };
            let blocks = found.f_blocks.saturating_sub(found.f_bfree);
            blocks.saturating_mul(u64::try_from(found.f_bsize).unwrap_or_default())
        };
        self.scratch.iter().map(used).sum()
    }

    /// Sockets of their network namespace, also those on their way between processes.
    fn sockets(&self) -> u64 {
        let text = read(&self.dir, &format!("{}/net/sockstat", self.first()));
        let used = text
            .lines()
            .find_map(|line| line.strip_prefix("sockets: used "));
        used.and_then(|count| count.trim().parse().ok())
            .unwrap_or_default()
    }
}

/// Whether the machine itself is running out.
pub(crate) fn machine_is_short() -> bool {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (all, left) = (field(&text, "MemTotal:"), field(&text, "MemAvailable:"));
    left < all / 16
}

pub(super) fn number(name: &CStr) -> Option<u32> {
    name.to_str().ok()?.parse().ok()
}

fn setting(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or(212_992)
}

/// A whole small file; empty once the process is gone.
pub(crate) fn read(dir: impl AsFd, path: &str) -> String {
    let mut bytes = [0u8; 4096];
    let mut filled = 0;
    if let Ok(file) = openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::io::read(&file, rest) {
                Ok(count @ 1..) => filled += count,
                _ => break,
            }
        }
    }
    String::from_utf8_lossy(bytes.get(..filled).unwrap_or_default()).into_owned()
}

/// The number behind a key that begins a line.
pub(crate) fn field(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    let number = value.and_then(|value| value.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// Own time and that of waited-for children: fields 14 to 17 of proc_pid_stat(5).
fn time_of(stat: &str) -> Duration {
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return Duration::ZERO;
    };
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    let each = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a) b) (c) R 1 7 7 0 -1 4194304 1 2 3 4 100 50 25 25 20 0 1 0 9";
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(time_of(stat), Duration::from_millis(200_000 / ticks));
        assert_eq!(time_of(""), Duration::ZERO);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "Name:\tRssAnon:\nVmRSS:\t 9 kB\nRssAnon:\t  12 kB\n";
        assert_eq!(field(status, "RssAnon:"), 12);
        assert_eq!(field(status, "VmSwap:"), 0);
    }

    #[test]
    fn this_process_and_its_children_are_counted() {
        let mut child = std::process::Command::new("sleep")
            .arg("100")
            .spawn()
            .unwrap();
        let dir = openat(
            CWD,
            "/proc",
            OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let own = Processes {
            dir,
            init: Some(std::process::id()),
            scratch: Vec::new(),
        };
        let listed = own.list();
        let every = Wanted {
            memory: true,
            tasks: true,
            time: true,
            written: true,
        };
        let count = own.count(every);
        let once = own.memory_once();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(listed.contains(&child.id()), "{listed:?}");
        assert!(
            count.tasks >= 3 && count.memory > 1 << 16 && once > 1 << 16,
            "{count:?} {once}"
        );
    }
}

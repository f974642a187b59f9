//! A control group for each world, where this user may make one: then memory and processes have exact bounds,
//! held by the kernel, whatever the program does.
//!
//! A child enters before anything of the program exists. Groups of ended worlds serve again, because making one
//! costs as much as a tenth of a start; what is left goes with the host, or is swept by the next one.

mod place;
mod stale;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bailiwick_wall::Limits;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::fcntl_dupfd_cloexec;

use crate::sys;
pub(crate) use place::facts;
use place::{Base, Bases, bases, put};

/// How to get one, for people.
pub(crate) const MEND: &str = place::MEND;

/// Groups that wait for another world, at most.
const SPARES: usize = 4;

/// A group in one hierarchy; version 1 has one for each controller.
#[derive(Debug)]
struct Part {
    base: &'static Base,
    name: String,
    dir: OwnedFd,
}

/// The bounds that a group was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    memory: u64,
    processes: u32,
    timed: bool,
}

/// How a child comes into its group.
#[derive(Debug, Default)]
pub(crate) struct Entrance {
    /// Files into which it writes a zero.
    pub(crate) files: Vec<RawFd>,
    /// The folder into which it is cloned.
    pub(crate) folder: Option<RawFd>,
}

/// The control group of one world.
#[derive(Debug)]
pub(crate) struct Group {
    parts: Vec<Part>,
    /// Files by which a child enters, above those that it uses itself.
    doors: Vec<OwnedFd>,
    into: bool,
    oom: Option<OwnedFd>,
    refused: Option<OwnedFd>,
    time: Option<OwnedFd>,
    time_before: Duration,
    bounds: Bounds,
}

/// How often the kernel held the bounds of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Processes ended because memory was short.
    pub(crate) memory: u64,
    /// Processes and threads that could not be made.
    pub(crate) processes: u64,
}

/// A fresh name.
fn name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static MAKER: OnceLock<stale::Maker> = OnceLock::new();
    let maker = MAKER.get_or_init(stale::Maker::own);
    maker.name(COUNT.fetch_add(1, Ordering::Relaxed))
}

static SPARE: Mutex<Vec<Group>> = Mutex::new(Vec::new());

/// Which bounds of every world a group holds here: memory, processes.
pub(crate) fn holds() -> (bool, bool) {
    match bases() {
        None => (false, false),
        Some(Bases::One { memory, pids, .. }) => (memory.is_some(), pids.is_some()),
        Some(Bases::Two { memory, pids, .. }) => (*memory, *pids),
    }
}

/// Whether every world's memory is held here.
pub(crate) fn holds_memory() -> bool {
    holds().0
}

impl Group {
    /// A group with these bounds, or none where this user may make none.
    ///
    /// # Errors
    /// When it could be made before, and now cannot.
    pub(crate) fn take(limits: &Limits) -> io::Result<Option<Self>> {
        let Some(bases) = bases() else {
            return Ok(None);
        };
        let bounds = Bounds {
            memory: limits.memory_bytes,
            processes: limits.processes,
            timed: limits.cpu_seconds.is_some(),
        };
        let mut spares = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = spares.iter().position(|group| group.bounds == bounds);
        let spare = spare.map(|index| spares.swap_remove(index));
        drop(spares);
        let mut group = match spare {
            Some(group) => group,
            None => Self::make(bases, bounds)?,
        };
        group.time_before = group.time_in_all();
        Ok(Some(group))
    }

    fn make(bases: &'static Bases, bounds: Bounds) -> io::Result<Self> {
        let mut group = Self {
            parts: Vec::new(),
            doors: Vec::new(),
            into: false,
            oom: None,
            refused: None,
            time: None,
            time_before: Duration::ZERO,
            bounds,
        };
        match bases {
            Bases::One { memory, pids, time } => group.make_first([memory, pids, time]),
            Bases::Two {
                base,
                memory,
                pids,
                into,
            } => group.make_second(base, *memory, *pids, *into),
        }?;
        Ok(group)
    }

    fn make_first(&mut self, [memory, pids, time]: [&'static Option<Base>; 3]) -> io::Result<()> {
        // A single thread, itself: so the kernel need not wait until nobody else forks.
        const DOOR: &str = "tasks";
        let (bytes, tasks) = (self.bounds.memory.to_string(), self.tasks());
        if let Some(base) = memory {
            let dir = self.add(base, DOOR)?;
            put(&dir, "memory.limit_in_bytes", bytes.as_bytes())?;
            // Only where swap is accounted for does it exist.
            match put(&dir, "memory.memsw.limit_in_bytes", bytes.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.oom = Some(read_only(&dir, "memory.oom_control")?);
        }
        if let Some(base) = pids {
            let dir = self.add(base, DOOR)?;
            put(&dir, "pids.max", tasks.as_bytes())?;
            self.refused = Some(read_only(&dir, "pids.events")?);
        }
        if let Some(base) = time.as_ref().filter(|_| self.bounds.timed) {
            let dir = self.add(base, DOOR)?;
            self.time = Some(read_only(&dir, "cpuacct.usage")?);
        }
        Ok(())
    }

    fn make_second(
        &mut self,
        base: &'static Base,
        memory: bool,
        pids: bool,
        into: bool,
    ) -> io::Result<()> {
        let (bytes, tasks) = (self.bounds.memory.to_string(), self.tasks());
        let dir = self.add(base, "cgroup.procs")?;
        self.into = into;
        if memory {
            put(&dir, "memory.max", bytes.as_bytes())?;
            // All or nothing: half a plugin is in no state that anyone thought of.
            put(&dir, "memory.oom.group", b"1")?;
            match put(&dir, "memory.swap.max", b"0") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.oom = Some(read_only(&dir, "memory.events")?);
        }
        if pids {
            put(&dir, "pids.max", tasks.as_bytes())?;
            self.refused = Some(read_only(&dir, "pids.events")?);
        }
        self.time = Some(read_only(&dir, "cpu.stat")?);
        Ok(())
    }

    /// Init is one more.
    fn tasks(&self) -> String {
        self.bounds.processes.saturating_add(1).to_string()
    }

    fn add(&mut self, base: &'static Base, door: &str) -> io::Result<OwnedFd> {
        let name = name();
        mkdirat(&base.dir, &name, Mode::from_raw_mode(0o755))?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(&base.dir, &name, flags, Mode::empty());
        let dir = match dir {
            Ok(dir) => dir,
            Err(errno) => {
                let _ = unlinkat(&base.dir, &name, AtFlags::REMOVEDIR);
                return Err(errno.into());
            }
        };
        let kept = dir.try_clone()?;
        self.parts.push(Part { base, name, dir });
        let door = openat(&kept, door, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        self.doors
            .push(fcntl_dupfd_cloexec(&door, crate::spawn::FIRST)?);
        Ok(kept)
    }

    /// How a child comes in; valid as long as the group is kept.
    pub(crate) fn entrance(&self) -> Entrance {
        match self.parts.first().filter(|_| self.into) {
            Some(part) => Entrance {
                files: Vec::new(),
                folder: Some(part.dir.as_raw_fd()),
            },
            None => Entrance {
                files: self.doors.iter().map(AsRawFd::as_raw_fd).collect(),
                folder: None,
            },
        }
    }

    /// Whether memory has its bound here.
    pub(crate) fn holds_memory(&self) -> bool {
        self.oom.is_some()
    }

    /// Whether processes have their bound here.
    pub(crate) fn holds_processes(&self) -> bool {
        self.refused.is_some()
    }

    /// How often its bounds were met.
    pub(crate) fn held(&self) -> Held {
        let count = |file: &Option<OwnedFd>, key| {
            let file = file.as_ref();
            file.and_then(|file| value(&contents(file), key))
                .unwrap_or_default()
        };
        Held {
            memory: count(&self.oom, "oom_kill"),
            processes: count(&self.refused, "max"),
        }
    }

    /// Processor time of everything that has been in it, since it was taken; none where that is not counted.
    pub(crate) fn time(&self) -> Option<Duration> {
        self.time.as_ref()?;
        Some(self.time_in_all().saturating_sub(self.time_before))
    }

    fn time_in_all(&self) -> Duration {
        let Some(file) = &self.time else {
            return Duration::ZERO;
        };
        let text = contents(file);
        match value(&text, "usage_usec") {
            Some(micros) => Duration::from_micros(micros),
            None => Duration::from_nanos(text.trim().parse().unwrap_or_default()),
        }
    }

    /// Gives it back: the world in it has ended.
    pub(crate) fn give_back(self) {
        if self.held() != Held::default() {
            return;
        }
        let mut spares = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES {
            sys::at_exit(remove_spares);
            spares.push(self);
        }
    }
}

/// What is left at the end of the host.
extern "C" fn remove_spares() {
    if let Ok(mut spares) = SPARE.try_lock() {
        spares.clear();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for part in &self.parts {
            // The last process may still be on its way out.
            for _ in 0..50 {
                match unlinkat(&part.base.dir, &part.name, AtFlags::REMOVEDIR) {
                    Err(rustix::io::Errno::BUSY) => std::thread::sleep(Duration::from_millis(1)),
                    _ => break,
                }
            }
        }
    }
}

fn read_only(dir: &OwnedFd, file: &str) -> io::Result<OwnedFd> {
    let file = openat(dir, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(file)
}

/// What a small file of the kernel holds now.
fn contents(file: &OwnedFd) -> String {
    let mut buffer = [0u8; 1024];
    let count = rustix::io::pread(file, &mut buffer[..], 0).unwrap_or_default();
    String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()).into_owned()
}

/// The number behind a key that begins a line.
fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests;

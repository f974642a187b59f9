//! Locks on files.
//!
//! Who may write a file may lock it. Who may only read it has no say over others: a lock that keeps others out is
//! refused to it, as file systems of the network do (flock(2), NFS), and one that only keeps writers out is granted
//! without being taken, since a database that is only read wants nothing else.
//!
//! Locks of an open file (`flock`, `F_OFD_SETLK`) are taken here, on a copy of it. Those of a process (`F_SETLK`)
//! nobody else can take for it, so such a call goes on once its descriptor was judged. A process of one thread cannot
//! change that meanwhile. Of others it is looked at afterwards: the kernel drops such a lock with the first descriptor
//! of that file that is closed (fcntl(2)), so it can be held only where it can be seen, and a world that holds one on
//! what it may only read has tricked for it, and ends.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use bailiwick_wall::Denials;
use libc as c;
use rustix::fs::{
    CWD, FileType, Mode, OFlags, StatVfsMountFlags, fstat, fstatvfs, openat, readlinkat,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::meter::{field, init_of, read};
use crate::sys::notify::{self, Notification, read_memory};
use crate::sys::{self, Errno, LOCK};

/// How often what waits is tried again, and what was let go is looked at.
const STEP: Duration = Duration::from_millis(5);
/// How long a call that was let go is looked at after it has ended.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// Calls that wait, or are looked at, at one time; each thread has one, and each open file of ours is one.
const MOST: usize = 256;

const ONLY_READ: &str = "it may only be read, and a lock on it would keep others out";
const TRICKED: &str =
    "a thread put another file behind a descriptor while a lock on it was judged; all was ended";

/// Locks that one world asks for.
#[derive(Debug, Default)]
pub(super) struct Locks {
    waiting: Vec<Waiting>,
    suspects: Vec<Suspect>,
    /// The world's first process.
    init: Option<OwnedFd>,
    looked: Option<Instant>,
}

/// A lock of an open file.
#[derive(Debug)]
enum Lock {
    /// The operation of flock(2).
    Whole(i32),
    /// The `struct flock` of fcntl(2).
    Part([u8; LOCK]),
}

/// A call whose lock another has.
#[derive(Debug)]
struct Waiting {
    id: u64,
    file: OwnedFd,
    lock: Lock,
}

/// A call that was let go in a process of many threads.
#[derive(Debug, PartialEq, Eq)]
struct Suspect {
    descriptor: Descriptor,
    since: Instant,
}

/// A descriptor of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Descriptor {
    process: u32,
    thread: u32,
    number: i32,
}

enum Answer {
    Done,
    Waits,
    Kernel,
}

impl Lock {
    /// Tries once, without waiting.
    fn take(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        match self {
            Self::Whole(operation) => sys::flock(file, operation | c::LOCK_NB),
            Self::Part(lock) => sys::lock_part(file, lock),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Whole(operation) => match operation & !c::LOCK_NB {
                c::LOCK_UN => Kind::None,
                c::LOCK_SH => Kind::Shared,
                _ => Kind::Exclusive,
            },
            Self::Part(lock) => kind(lock),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Shared,
    Exclusive,
}

fn kind(lock: &[u8; LOCK]) -> Kind {
    let [low, high, ..] = *lock;
    match i32::from(i16::from_ne_bytes([low, high])) {
        c::F_UNLCK => Kind::None,
        c::F_RDLCK => Kind::Shared,
        _ => Kind::Exclusive,
    }
}

impl Descriptor {
    fn of(call: &Notification) -> Result<Self, Errno> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", call.pid)).map_err(|_| c::ENOLCK)?;
        let process = u32::try_from(field(&status, "Tgid:")).map_err(|_| c::ENOLCK)?;
        let [number, ..] = call.args;
        Ok(Self {
            process,
            thread: call.pid,
            number: ((number & u64::from(u32::MAX)) as u32).cast_signed(),
        })
    }

    fn copy(self) -> Result<OwnedFd, Errno> {
        let pidfd = sys::pidfd_of(self.process, self.thread).map_err(|_| c::ENOLCK)?;
        match sys::copy_of(pidfd.as_fd(), self.number) {
            Err(errno @ c::EBADF) => Err(errno),
            other => other.map_err(|_| c::ENOLCK),
        }
    }

    fn folder(self) -> String {
        format!("/proc/{}/task/{}", self.process, self.thread)
    }

    /// Whether this may be locked, and what the kernel tells of it.
    fn seen(self) -> Result<(bool, String), Errno> {
        let Self { number, .. } = self;
        let told = read(CWD, &format!("{}/fdinfo/{number}", self.folder()));
        let place = format!("{}/fd/{number}", self.folder());
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = openat(CWD, place, flags, Mode::empty()).map_err(|_| c::EBADF)?;
        let mode = told.lines().find_map(|line| line.strip_prefix("flags:"));
        let mode = mode.and_then(|mode| u32::from_str_radix(mode.trim(), 8).ok());
        let mode = OFlags::from_bits_retain(mode.ok_or(c::EBADF)?);
        Ok((may_lock(&file, mode), told))
    }

    fn has_company(self) -> bool {
        let status = read(CWD, &format!("/proc/{}/status", self.process));
        field(&status, "Threads:") != 1
    }

    /// Whether its call is still under way (proc_pid_syscall(5)).
    fn is_in_call(self) -> bool {
        let text = read(CWD, &format!("{}/syscall", self.folder()));
        let mut words = text.split_whitespace();
        let number = words.next().and_then(|number| number.parse().ok());
        number == Some(c::SYS_fcntl) && words.next() == Some(&format!("{:#x}", self.number))
    }
}

/// Whether a file that was opened with `mode` may be locked by whoever holds it: it was opened for writing, or it lies
/// on a mount where it could be. Files and folders only: the rest is shared with the machine.
fn may_lock(file: impl AsFd, mode: OFlags) -> bool {
    let is_kept = fstat(&file).is_ok_and(|found| {
        let kind = FileType::from_raw_mode(found.st_mode);
        matches!(kind, FileType::RegularFile | FileType::Directory)
    });
    let is_read = mode & OFlags::RWMODE == OFlags::RDONLY;
    let on_writable =
        || fstatvfs(&file).is_ok_and(|found| !found.f_flag.contains(StatVfsMountFlags::RDONLY));
    is_kept && (!is_read || on_writable())
}

impl Locks {
    /// Answers a call that takes a lock or gives one back.
    pub(super) fn answer(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        denials: &Denials,
    ) {
        let _ = match self.answered(listener, call, denials) {
            Ok(Answer::Done) => notify::give(listener, call.id, 0),
            Ok(Answer::Kernel) => notify::let_go(listener, call.id),
            Ok(Answer::Waits) => Ok(()),
            Err(errno) => notify::fail(listener, call.id, errno),
        };
    }

    fn answered(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        denials: &Denials,
    ) -> Result<Answer, Errno> {
        let [_, what, at, ..] = call.args;
        let what = ((what & u64::from(u32::MAX)) as u32).cast_signed();
        let descriptor = Descriptor::of(call)?;
        let (lock, waits) = match (c::c_long::from(call.number), what) {
            (c::SYS_flock, _) => (Lock::Whole(what), what & c::LOCK_NB == 0),
            (_, c::F_OFD_SETLK | c::F_OFD_SETLKW) => {
                (Lock::Part(asked(call.pid, at)?), what == c::F_OFD_SETLKW)
            }
            _ => return self.of_process(listener, call, descriptor),
        };
        let file = descriptor.copy()?;
        if !notify::still_waits(listener, call.id) {
            return Err(c::ENOLCK);
        }
        let mode = rustix::fs::fcntl_getfl(&file).map_err(|_| c::EBADF)?;
        if !may_lock(&file, mode) {
            return without(&lock, &file, denials);
        }
        match lock.take(file.as_fd()) {
            Ok(()) => Ok(Answer::Done),
            Err(c::EAGAIN) if waits && self.waiting.len() < MOST => {
                let id = call.id;
                self.waiting.push(Waiting { id, file, lock });
                Ok(Answer::Waits)
            }
            Err(c::EAGAIN) if waits => Err(c::ENOLCK),
            Err(errno) => Err(errno),
        }
    }

    /// `F_SETLK` and `F_SETLKW`.
    fn of_process(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        descriptor: Descriptor,
    ) -> Result<Answer, Errno> {
        let (may, _) = descriptor.seen()?;
        if !may {
            let [_, _, at, ..] = call.args;
            return match kind(&asked(call.pid, at)?) {
                // As the kernel has it: who may write is another matter.
                Kind::Exclusive => Err(c::EBADF),
                Kind::None | Kind::Shared => Ok(Answer::Done),
            };
        }
        if !descriptor.has_company() {
            return Ok(Answer::Kernel);
        }
        if self.init.is_none() {
            self.init = Some(first_of(descriptor.process)?);
        }
        self.suspects
            .retain(|suspect| suspect.descriptor != descriptor);
        if self.suspects.len() >= MOST || !notify::still_waits(listener, call.id) {
            return Err(c::ENOLCK);
        }
        self.suspects.push(Suspect {
            descriptor,
            since: Instant::now(),
        });
        Ok(Answer::Kernel)
    }

    /// How long until it has to be looked again.
    pub(super) fn patience(&self) -> Option<Duration> {
        (!self.waiting.is_empty() || !self.suspects.is_empty()).then_some(STEP)
    }

    /// Tries again what waits, and looks at what was let go; not more often than it is worth.
    pub(super) fn look(&mut self, listener: BorrowedFd<'_>, denials: &Denials) {
        if self.patience().is_none() || self.looked.is_some_and(|last| last.elapsed() < STEP) {
            return;
        }
        self.looked = Some(Instant::now());
        self.waiting.retain(|waiting| {
            if !notify::still_waits(listener, waiting.id) {
                return false;
            }
            let answer = match waiting.lock.take(waiting.file.as_fd()) {
                Err(c::EAGAIN) => return true,
                Ok(()) => notify::give(listener, waiting.id, 0),
                Err(errno) => notify::fail(listener, waiting.id, errno),
            };
            // Who does not hear of it any more asks again, or is gone with its lock.
            let _ = answer;
            false
        });
        let tricked = |suspect: &Suspect| {
            let seen = suspect.descriptor.seen();
            seen.is_ok_and(|(may, told)| !may && holds_lock(&told))
        };
        if self.suspects.iter().any(tricked) {
            denials.add("system_call", "fcntl(F_SETLK)", TRICKED);
            if let Some(init) = &self.init {
                let _ = pidfd_send_signal(init, Signal::KILL);
            }
        }
        self.suspects.retain(|suspect| {
            suspect.since.elapsed() < AFTERWARDS || suspect.descriptor.is_in_call()
        });
    }
}

/// What becomes of a lock on what may only be read.
fn without(lock: &Lock, file: &OwnedFd, denials: &Denials) -> Result<Answer, Errno> {
    if lock.kind() != Kind::Exclusive {
        return Ok(Answer::Done);
    }
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let path = readlinkat(CWD, link, Vec::new()).unwrap_or_default();
    let target = format!("lock of {}", path.to_string_lossy());
    denials.add("system_call", &target, ONLY_READ);
    Err(c::EBADF)
}

/// The caller's `struct flock`.
fn asked(thread: u32, at: u64) -> Result<[u8; LOCK], Errno> {
    let mut lock = [0u8; LOCK];
    match read_memory(thread, at, &mut lock) {
        Ok(LOCK) => Ok(lock),
        _ => Err(c::EFAULT),
    }
}

/// The world's first process, whose end is the end of all.
fn first_of(process: u32) -> Result<OwnedFd, Errno> {
    let init = init_of(process).map_err(|_| c::ENOLCK)?;
    let init = i32::try_from(init).ok().and_then(Pid::from_raw);
    pidfd_open(init.ok_or(c::ENOLCK)?, PidfdFlags::empty()).map_err(|_| c::ENOLCK)
}

/// Whether this process has a lock of its own on that file (proc_pid_fdinfo(5)).
fn holds_lock(told: &str) -> bool {
    let locks = told.lines().filter(|line| line.starts_with("lock:"));
    locks.into_iter().any(|line| line.contains("POSIX"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_of_a_lock_is_understood() {
        let told = "pos:\t0\nflags:\t0100000\nmnt_id:\t29\nino:\t7\nlock:\t1: POSIX  ADVISORY  READ 9 fe:00:7 0 EOF\n";
        assert!(holds_lock(told));
        assert!(!holds_lock(&told.replace("POSIX", "FLOCK")));
        assert!(!holds_lock("flags:\t0100000\n"));
    }

    #[test]
    fn who_may_write_may_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        assert!(may_lock(&file, OFlags::RDONLY), "it could be written");
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(!may_lock(&null, OFlags::RDWR), "it is everybody's");
        let proc = std::fs::File::open("/proc/self").unwrap();
        assert!(may_lock(&proc, OFlags::RDONLY) || is_read_only("/proc"));
    }

    fn is_read_only(path: &str) -> bool {
        let found = rustix::fs::statvfs(path).unwrap();
        found.f_flag.contains(StatVfsMountFlags::RDONLY)
    }
}

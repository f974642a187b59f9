//! A user namespace for a host whose memory is closed to others (`PR_SET_DUMPABLE` 0).
//!
//! Such a process does not own its own `/proc/self`, and neither does a child that still shares its memory, so an
//! ordinary user's child cannot write the id maps of its new namespace. Opening the memory for that moment would do,
//! but who opens `/proc/PID/mem` in it reads for ever. So another process makes the namespace: it executes our init at
//! once, which gives it a memory of its own that holds nothing, and its maps are written from here. A second one enters
//! that namespace and makes the world's child there, as a child of the host.
#![expect(unsafe_code, reason = "clone with stacks of our own")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, geteuid, waitpid};

use crate::base;
use crate::spawn::{Stack, clone};
use crate::sys;

/// Whether a child of this process cannot write its own id maps.
pub(crate) fn is_needed() -> bool {
    // Root owns what belongs to nobody else, too.
    std::fs::metadata("/proc/self/uid_map").is_ok_and(|map| map.uid() != geteuid().as_raw())
}

/// A process that keeps a user namespace with its maps written; it ends when this is dropped.
pub(crate) struct Holder {
    pid: Pid,
    pidfd: OwnedFd,
    life: Option<OwnedFd>,
}

/// What the holder needs between clone and exec.
struct Way {
    life: i32,
    ready: i32,
    program: i32,
    errno: AtomicI32,
}

extern "C" fn become_holder(argument: *mut c_void) -> libc::c_int {
    // SAFETY: `Holder::new` passes a `Way` that lives until this process has exec'ed or ended (CLONE_VFORK).
    let way = unsafe { &*argument.cast::<Way>() };
    let name = c".hold";
    let argv = [name.as_ptr(), std::ptr::null()];
    let run = || {
        sys::default_signals();
        sys::dup3(way.life, 0, 0)?;
        sys::dup3(way.ready, 1, 0)?;
        sys::dup3(way.program, 2, libc::O_CLOEXEC)?;
        sys::close_from(3)?;
        // SAFETY: both arrays end in null, and live across the call.
        Err::<(), _>(unsafe { sys::exec_descriptor(2, argv.as_ptr(), argv.as_ptr().add(1)) })
    };
    way.errno
        .store(run().err().unwrap_or(libc::EIO), Ordering::Release);
    sys::exit(126)
}

/// Our init as a file without a name, readable by us: whoever executes it is dumpable.
fn program() -> io::Result<&'static OwnedFd> {
    static PROGRAM: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(program) = PROGRAM.get() {
        return Ok(program);
    }
    let flags = MemfdFlags::CLOEXEC;
    // Kernels before 6.3 do not know the second flag, and need none.
    let file = memfd_create(c"holder", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create(c"holder", flags))?;
    let mut file = std::fs::File::from(file);
    io::Write::write_all(&mut file, base::INIT)?;
    Ok(PROGRAM.get_or_init(|| file.into()))
}

impl Holder {
    /// Makes a user namespace with these maps.
    pub(crate) fn new(uid_map: &[u8], gid_map: &[u8]) -> io::Result<Self> {
        let program = program()?;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // Out of the way of those that they become.
        let raised = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, crate::spawn::FIRST);
        let (ready, says) = pipe_with(PipeFlags::CLOEXEC)?;
        let (read, says, program) = (raised(&read)?, raised(&says)?, raised(program)?);
        let way = Way {
            life: read.as_raw_fd(),
            ready: says.as_raw_fd(),
            program: program.as_raw_fd(),
            errno: AtomicI32::new(0),
        };
        let stack = Stack::new()?;
        let mut pidfd: libc::c_int = -1;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::CLONE_NEWUSER;
        let mask = sys::block_signals();
        // SAFETY: the child runs on its own stack; `way` and the stack outlive it, because CLONE_VFORK holds this
        // thread until it has exec'ed or ended. It allocates nothing and writes only to its stack and an atomic.
        let pid = unsafe {
            let way = (&raw const way).cast_mut().cast::<c_void>();
            clone(flags, None, become_holder, &stack, way, &mut pidfd)
        };
        sys::restore_signals(mask);
        let pid = Pid::from_raw(pid?).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        // SAFETY: CLONE_PIDFD has just stored a new descriptor that nobody else owns.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        let holder = Self {
            pid,
            pidfd,
            life: Some(write),
        };
        match way.errno.load(Ordering::Acquire) {
            0 => {}
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
        // Its memory is open to us once it runs: exec lets this thread go on a little sooner.
        drop(says);
        if rustix::io::retry_on_intr(|| rustix::io::read(&ready, &mut [0u8; 1][..]))? == 0 {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // Its number is its own until it is waited for.
        let own = |file: &str| format!("/proc/{}/{file}", pid.as_raw_nonzero());
        std::fs::write(own("setgroups"), "deny")?;
        std::fs::write(own("uid_map"), uid_map)?;
        std::fs::write(own("gid_map"), gid_map)?;
        Ok(holder)
    }

    /// As `clone`, by a process that is in this namespace; the child is the host's all the same.
    ///
    /// # Safety
    /// As `clone`.
    pub(crate) unsafe fn clone(
        &self,
        flags: i32,
        group: Option<i32>,
        entry: extern "C" fn(*mut c_void) -> libc::c_int,
        stack: &Stack,
        shared: *mut c_void,
        pidfd: &mut libc::c_int,
    ) -> io::Result<i32> {
        let mut door = Door {
            namespace: self.pidfd.as_raw_fd(),
            flags: (flags & !libc::CLONE_NEWUSER) | libc::CLONE_PARENT,
            group,
            entry,
            stack,
            shared,
            pidfd,
            made: Err(libc::EIO),
        };
        let own = Stack::new()?;
        // Descriptors are shared, so that the child's is the host's.
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;
        // SAFETY: it runs on its own stack and is alone with `door` until it has ended (CLONE_VFORK); it waits for the
        // child in turn, so all that the caller promised lives as long.
        let between = unsafe {
            let door = (&raw mut door).cast::<c_void>();
            clone(flags, None, pass, &own, door, &mut 0)
        };
        reap(Pid::from_raw(between?));
        door.made.map_err(io::Error::from_raw_os_error)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.life.take());
        reap(Some(self.pid));
    }
}

fn reap(pid: Option<Pid>) {
    while let Err(rustix::io::Errno::INTR) = waitpid(pid, WaitOptions::empty()) {}
}

struct Door<'a> {
    namespace: i32,
    flags: i32,
    group: Option<i32>,
    entry: extern "C" fn(*mut c_void) -> libc::c_int,
    stack: &'a Stack,
    shared: *mut c_void,
    pidfd: &'a mut libc::c_int,
    made: Result<i32, sys::Errno>,
}

extern "C" fn pass(argument: *mut c_void) -> libc::c_int {
    // SAFETY: `Holder::clone` passes a `Door` that nobody else touches until this process has ended.
    let door = unsafe { &mut *argument.cast::<Door<'_>>() };
    door.made = sys::setns(door.namespace, libc::CLONE_NEWUSER).and_then(|()| {
        // SAFETY: the promise of `Holder::clone`'s caller.
        let made = unsafe {
            clone(
                door.flags,
                door.group,
                door.entry,
                door.stack,
                door.shared,
                door.pidfd,
            )
        };
        made.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
    });
    sys::exit(0)
}

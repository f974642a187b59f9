//! Starts a program behind the wall: one vfork-style clone into new namespaces, straight from a host
//! that may have many threads.
#![expect(unsafe_code, reason = "clone with a stack of our own")]

use std::ffi::{CStr, CString, OsStr, c_void};
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use bailiwick_wall::WallError;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::child::{self, Failure, Plan, Reopened, Step};
use crate::extras::Listeners;
use crate::holder::{self, Holder};
use crate::inherit;
use crate::jailed::Jailed;
use crate::passing;
use crate::sys::{self, CloneArgs, INTO_CGROUP, clone_into};
use crate::terminal::Terminal;

/// How a failed exec of the program itself is named, when the wall already stands.
pub(crate) const PROGRAM_STEP: &str = "starting the program itself";

pub(crate) const INIT_PATH: &CStr = c"/.init";

/// What becomes of the program's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// Three pipes, whose other ends are in [`Jailed`].
    Piped,
    /// The host's own.
    Inherit,
    /// A terminal of its own, whose other side is in [`Jailed`].
    Terminal(Terminal),
}

impl Stdio {
    /// Whether the program may have terminals of its own: never beside one of the host's, which it could
    /// then take.
    pub(crate) fn has_own_terminals(self, wanted: bool, streams: Option<&[OwnedFd; 3]>) -> bool {
        let inherits = || match streams {
            Some(streams) => streams.iter().any(|stream| stream.is_terminal()),
            None => {
                io::stdin().is_terminal()
                    || io::stdout().is_terminal()
                    || io::stderr().is_terminal()
            }
        };
        match self {
            Self::Terminal(_) => true,
            Self::Piped => wanted,
            Self::Inherit => wanted && !inherits(),
        }
    }
}

/// The pipes of one start: the child's ends and the host's.
pub(crate) struct Pipes {
    child: [OwnedFd; 3],
    host: [Option<OwnedFd>; 3],
    report: (OwnedFd, OwnedFd),
    life: (OwnedFd, OwnedFd),
    /// Host's end, child's end: notifications, and the listeners of a network.
    control: Option<(OwnedFd, OwnedFd)>,
    listeners: Option<(OwnedFd, OwnedFd)>,
    terminal: Option<(OwnedFd, OwnedFd)>,
    kept: Option<OwnedFd>,
    /// What the terminal is made like, where there is one.
    pub(crate) like: Option<Terminal>,
}

/// Descriptors by what they are for.
pub(crate) struct Numbers {
    pub(crate) stdio: [i32; 3],
    pub(crate) report: i32,
    pub(crate) life: i32,
    pub(crate) control: Option<i32>,
    pub(crate) listeners: Option<i32>,
    pub(crate) terminal: Option<i32>,
}

/// Descriptors handed to the child lie at or above this, out of the way of those they become.
pub(crate) const FIRST: i32 = 10;

impl Pipes {
    pub(crate) fn new(
        stdio: Stdio,
        streams: Option<&[OwnedFd; 3]>,
        networked: bool,
        watched: bool,
    ) -> io::Result<Self> {
        let raise = |fd: OwnedFd| fcntl_dupfd_cloexec(&fd, FIRST);
        let passage = |wanted: bool| -> io::Result<Option<(OwnedFd, OwnedFd)>> {
            if !wanted {
                return Ok(None);
            }
            let (host, child) = passing::pair()?;
            Ok(Some((host, raise(child)?)))
        };
        let pipe = || -> io::Result<(OwnedFd, OwnedFd)> {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            Ok((raise(read)?, raise(write)?))
        };
        let own = |fd: BorrowedFd<'_>| {
            inherit::check(fd, networked)?;
            Ok::<_, io::Error>(fcntl_dupfd_cloexec(fd, FIRST)?)
        };
        let nothing = || raise(std::fs::File::open("/dev/null")?.into()).map_err(io::Error::from);
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let [stdin, stdout, stderr] = match streams {
            Some(streams) => streams.each_ref().map(AsFd::as_fd),
            None => [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
        };
        let (child, host) = match stdio {
            Stdio::Piped => {
                let (stdin, stdout, stderr) = (pipe()?, pipe()?, pipe()?);
                let host = [Some(stdin.1), Some(stdout.0), Some(stderr.0)];
                ([stdin.0, stdout.1, stderr.1], host)
            }
            Stdio::Inherit => (
                [own(stdin)?, own(stdout)?, own(stderr)?],
                Default::default(),
            ),
            // The terminal takes their place as soon as it is there.
            Stdio::Terminal(terminal) => {
                let errors = match terminal.takes_errors() {
                    true => nothing()?,
                    false => own(stderr)?,
                };
                ([nothing()?, nothing()?, errors], Default::default())
            }
        };
        Ok(Self {
            child,
            host,
            report: pipe()?,
            life: pipe()?,
            control: passage(watched)?,
            listeners: passage(networked)?,
            terminal: passage(matches!(stdio, Stdio::Terminal(_)))?,
            kept: None,
            like: match stdio {
                Stdio::Terminal(like) => Some(like),
                _ => None,
            },
        })
    }

    /// Which of the child's streams are devices that stand inside, by their path there.
    pub(crate) fn devices(&self) -> io::Result<[Option<CString>; 3]> {
        let [stdin, stdout, stderr] = &self.child;
        Ok([
            inherit::device(stdin)?,
            inherit::device(stdout)?,
            inherit::device(stderr)?,
        ])
    }

    /// Which of the child's streams are terminals of the host, and how each is opened anew.
    pub(crate) fn reopened(&self) -> io::Result<[Option<Reopened>; 3]> {
        let [stdin, stdout, stderr] = &self.child;
        Ok([
            inherit::reopened(stdin)?,
            inherit::reopened(stdout)?,
            inherit::reopened(stderr)?,
        ])
    }

    /// The descriptors as the plan names them.
    pub(crate) fn numbers(&self) -> Numbers {
        let child =
            |pair: &Option<(OwnedFd, OwnedFd)>| pair.as_ref().map(|pair| pair.1.as_raw_fd());
        Numbers {
            stdio: self.child.each_ref().map(AsRawFd::as_raw_fd),
            report: self.report.1.as_raw_fd(),
            life: self.life.0.as_raw_fd(),
            control: child(&self.control),
            listeners: child(&self.listeners),
            terminal: child(&self.terminal),
        }
    }

    /// The host's end of the notifications, for whoever answers them.
    pub(crate) fn take_control(&mut self) -> Option<OwnedFd> {
        let (host, child) = self.control.take()?;
        // The child's end must stay open until there is a child.
        self.kept = Some(child);
        Some(host)
    }
}

/// A string as the kernel takes it.
pub(crate) fn c_string(text: &OsStr) -> Result<CString, WallError> {
    CString::new(text.as_bytes()).map_err(|_| WallError::Build {
        what: "preparing the program".to_owned(),
        why: format!(
            "`{}` holds a NUL byte",
            text.to_string_lossy().escape_debug()
        ),
    })
}

/// A path as the child takes it, relative to the new root.
pub(crate) fn relative(path: &Path) -> Result<CString, WallError> {
    c_string(path.strip_prefix("/").unwrap_or(path).as_os_str())
}

/// What parent and child share: the plan one way, the failure the other.
struct Shared<'a> {
    plan: &'a Plan,
    is_mapped: bool,
    step: AtomicU32,
    index: AtomicUsize,
    errno: AtomicI32,
}

const NO_FAILURE: u32 = u32::MAX;

extern "C" fn entry(argument: *mut c_void) -> libc::c_int {
    // SAFETY: `start` passes a `Shared` that lives until this process has exec'ed or ended (CLONE_VFORK).
    let shared = unsafe { &*argument.cast::<Shared<'_>>() };
    let Err(failure) = child::run(shared.plan, shared.is_mapped);
    shared.index.store(failure.index, Ordering::Relaxed);
    shared.errno.store(failure.errno, Ordering::Relaxed);
    shared.step.store(failure.step as u32, Ordering::Release);
    sys::exit(126)
}

/// A stack for the child, with a page below that may not be touched.
pub(crate) struct Stack {
    base: *mut c_void,
}

const STACK: usize = 256 * 1024;
const GUARD: usize = 64 * 1024;

impl Stack {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping, at a place of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                STACK,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base };
        // SAFETY: the lowest part of the mapping just made; nothing uses it yet.
        match unsafe { libc::mprotect(stack.base, GUARD, libc::PROT_NONE) } {
            0 => Ok(stack),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping, which is allowed; stacks grow down from there.
        unsafe { self.base.byte_add(STACK) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the child no longer runs on it: CLONE_VFORK has returned.
        let _ = unsafe { libc::munmap(self.base, STACK) };
    }
}

const FLAGS: i32 = libc::CLONE_VM
    | libc::CLONE_VFORK
    | libc::CLONE_PIDFD
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// Makes a child that runs `entry`, straight in the control group whose folder is given.
///
/// # Safety
/// `shared` must outlive the child or its exec, and it and the stack must be in nobody else's use.
pub(crate) unsafe fn clone(
    flags: i32,
    group: Option<i32>,
    entry: extern "C" fn(*mut c_void) -> libc::c_int,
    stack: &Stack,
    shared: *mut c_void,
    pidfd: &mut libc::c_int,
) -> io::Result<i32> {
    let Some(group) = group else {
        // SAFETY: as the caller promises.
        let pid = unsafe {
            let flags = flags | libc::SIGCHLD;
            libc::clone(entry, stack.top(), flags, shared, &raw mut *pidfd)
        };
        return match pid {
            ..0 => Err(io::Error::last_os_error()),
            pid => Ok(pid),
        };
    };
    // A sibling gets its parent's signal.
    let exit_signal = match flags & libc::CLONE_PARENT {
        0 => libc::SIGCHLD as u64,
        _ => 0,
    };
    let args = CloneArgs {
        flags: flags as u64 | INTO_CGROUP,
        pidfd: &raw mut *pidfd as u64,
        exit_signal,
        stack: stack.base as u64,
        stack_size: STACK as u64,
        cgroup: group as u64,
        ..CloneArgs::default()
    };
    // SAFETY: as the caller promises; `entry` ends its process.
    let made = unsafe { clone_into(&args, entry, shared) };
    made.map(|pid| pid as i32)
        .map_err(io::Error::from_raw_os_error)
}

fn failure(step: Step, error: &io::Error) -> Failure {
    Failure {
        step,
        index: 0,
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}

/// Clones, lets the child build the wall, and waits until the program itself has been exec'ed.
pub(crate) fn start(
    plan: &Plan,
    pipes: Pipes,
    describe: impl Fn(Failure) -> WallError,
) -> Result<Jailed, WallError> {
    let holder = holder::is_needed().then(|| Holder::new(&plan.uid_map, &plan.gid_map));
    let holder = holder
        .transpose()
        .map_err(|error| describe(failure(Step::IdMap, &error)))?;
    let shared = Shared {
        plan,
        is_mapped: holder.is_some(),
        step: AtomicU32::new(NO_FAILURE),
        index: AtomicUsize::new(0),
        errno: AtomicI32::new(0),
    };
    let io_failure = |error: io::Error| describe(failure(Step::Clone, &error));
    let stack = Stack::new().map_err(io_failure)?;
    let mut pidfd: libc::c_int = -1;
    // No handler of the host may run in the child while it shares the host's memory.
    let mask = sys::block_signals();
    // SAFETY: the child runs `entry` on its own stack; `shared`, the stack and everything in the plan
    // outlive it, because CLONE_VFORK holds this thread until the child has exec'ed or ended. The child
    // allocates nothing, takes no lock, and writes only to its stack and to `shared`'s atomics.
    let cloned = unsafe {
        let shared = (&raw const shared).cast_mut().cast::<c_void>();
        let group = plan.entrance.folder;
        match &holder {
            None => clone(FLAGS, group, entry, &stack, shared, &mut pidfd),
            Some(holder) => holder.clone(FLAGS, group, entry, &stack, shared, &mut pidfd),
        }
    };
    sys::restore_signals(mask);
    let pid = cloned.map_err(io_failure)?;
    // SAFETY: CLONE_PIDFD has just stored a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let Pipes {
        child,
        host,
        report,
        life,
        control,
        listeners,
        terminal,
        kept,
        like: _,
    } = pipes;
    drop((child, report.1, life.0, control, kept));
    let mut jailed = Jailed::new(pid.cast_unsigned(), pidfd, life.1, host);
    let step = shared.step.load(Ordering::Acquire);
    if let Some(step) = Step::from_number(step) {
        let index = shared.index.load(Ordering::Relaxed);
        return Err(describe(Failure {
            step,
            index,
            errno: shared.errno.load(Ordering::Relaxed),
        }));
    }
    if let (Some((host, child)), Some(network)) = (listeners, &plan.network) {
        drop(child);
        let message = passing::receive(&host, false).map_err(io_failure)?;
        let passed = message.map(|(_, passed)| passed).unwrap_or_default();
        jailed.listeners = Listeners::from_passed(network, passed);
        if jailed.listeners.is_none() {
            return Err(io_failure(io::Error::from_raw_os_error(libc::EMFILE)));
        }
    }
    if let Some((host, child)) = terminal {
        drop(child);
        let message = passing::receive(&host, false).map_err(io_failure)?;
        let passed = message.and_then(|(_, passed)| passed.into_iter().next());
        jailed.terminal = Some(
            passed
                .ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))
                .map_err(io_failure)?,
        );
        jailed.stops = Some(host);
    }
    match exec_error(&report.0).map_err(io_failure)? {
        None => Ok(jailed),
        Some(errno) => Err(WallError::Build {
            what: PROGRAM_STEP.to_owned(),
            why: format!(
                "{}; if it is a script, its interpreter must be in the closure",
                io::Error::from_raw_os_error(errno)
            ),
        }),
    }
}

/// Reads the pipe that init's child closes by a successful exec, or writes an errno to.
fn exec_error(report: &OwnedFd) -> io::Result<Option<i32>> {
    let mut bytes = [0u8; 4];
    loop {
        match rustix::io::read(report, &mut bytes) {
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(4) => return Ok(Some(i32::from_ne_bytes(bytes))),
            Ok(_) => return Ok(None),
        }
    }
}

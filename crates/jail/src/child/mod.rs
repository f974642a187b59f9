//! What the child does between clone and exec. It shares the host's memory: no allocation, no locks, no
//! panics, raw system calls over a plan that was made before.

mod lock;
mod network;
mod root;
mod terminal;

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::RawFd;

use crate::cgroup::Entrance;
use crate::sys::{self, Errno, LandlockAttr};
use crate::terminal::Terminal;

/// Everything that the child needs, made beforehand.
pub(crate) struct Plan {
    pub(crate) entrance: Entrance,
    pub(crate) stdio: [RawFd; 3],
    /// Streams to be opened anew, from a device inside.
    pub(crate) devices: [Option<CString>; 3],
    /// Streams to be opened anew, read-only in all but what is printed there.
    pub(crate) reopened: [Option<Reopened>; 3],
    pub(crate) report: RawFd,
    pub(crate) life: RawFd,
    /// Takes the notifications' descriptor, then a byte once what follows is the program's own doing.
    pub(crate) control: Option<RawFd>,
    pub(crate) network: Option<NetworkPlan>,
    /// A terminal of the program's own, in place of standard streams.
    pub(crate) terminal: Option<TerminalPlan>,
    pub(crate) uid_map: Vec<u8>,
    pub(crate) gid_map: Vec<u8>,
    pub(crate) pid_max: Option<Vec<u8>>,
    pub(crate) scratch_size: CString,
    pub(crate) makes: Vec<Make>,
    pub(crate) rules: Vec<PathRule>,
    pub(crate) ruleset: (LandlockAttr, usize),
    pub(crate) limits: Vec<(u32, u64)>,
    pub(crate) filter: Vec<libc::sock_filter>,
    pub(crate) cwd: CString,
    pub(crate) argv: Strings,
    pub(crate) envp: Strings,
}

/// A terminal of the host, by its place there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reopened {
    pub(crate) path: CString,
    pub(crate) identity: (u64, u64),
    /// How it was opened: for reading, writing or both.
    pub(crate) flags: i32,
}

/// A terminal inside, whose other side is the host's.
pub(crate) struct TerminalPlan {
    /// Takes the other side; then init tells over it that the program was stopped.
    pub(crate) socket: RawFd,
    pub(crate) like: Terminal,
}

/// The network inside: `lo`, its addresses, and what listens there.
pub(crate) struct NetworkPlan {
    /// Takes the listeners' descriptors: DNS over UDP, DNS over TCP, then `listeners`.
    pub(crate) socket: RawFd,
    /// Address and mask.
    pub(crate) v4: Vec<([u8; 4], [u8; 4])>,
    pub(crate) v6: Vec<[u8; 16]>,
    pub(crate) dns: [u8; 4],
    /// The TCP ports, and whether on IPv6.
    pub(crate) listeners: Vec<(u16, bool)>,
    /// Whether Landlock bounds TCP ports on this kernel.
    pub(crate) landlock: bool,
}

impl NetworkPlan {
    /// The ports that Landlock lets the program connect to.
    fn reachable_ports(&self) -> impl Iterator<Item = u16> {
        let ports = self.listeners.iter().map(|(port, _)| *port);
        ports.chain([53]).filter(|_| self.landlock)
    }
}

/// A null-terminated array of strings, as exec takes it.
pub(crate) struct Strings {
    pointers: Vec<*const libc::c_char>,
    _owned: Vec<CString>,
}

impl Strings {
    pub(crate) fn new(owned: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = owned.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self {
            pointers,
            _owned: owned,
        }
    }

    fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// One thing to make in the new root; `at` is relative to it.
pub(crate) struct Make {
    pub(crate) at: CString,
    pub(crate) what: What,
}

pub(crate) enum What {
    Folder,
    Link(CString),
    File {
        content: Vec<u8>,
        mode: u32,
    },
    /// A file of ours over one that a mount shows.
    Over {
        content: Vec<u8>,
        run: bool,
    },
    Scratch {
        place: Place,
    },
    Proc {
        place: Place,
    },
    Terminals {
        place: Place,
    },
    Bind {
        source: CString,
        identity: (u64, u64),
        attributes: u64,
        place: Place,
    },
}

/// What to put under a mount first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is there already.
    Exists,
    Folder,
    File,
}

/// A Landlock rule by path inside.
pub(crate) struct PathRule {
    pub(crate) path: CString,
    pub(crate) access: u64,
}

macro_rules! steps {
    ($($name:ident = $text:literal,)*) => {
        /// The steps of building the wall.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum Step { $($name,)* }

        impl Step {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// What the step does, for people.
            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub(crate) fn from_number(number: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|step| *step as u32 == number)
            }
        }
    };
}

steps! {
    Clone = "making the namespaces",
    Group = "entering its control group",
    Stdio = "handing over stdin, stdout and stderr",
    Descriptors = "closing inherited descriptors",
    Session = "starting a session of its own",
    Terminal = "making a terminal of its own",
    IdMap = "mapping user and group",
    PidMax = "bounding the number of processes",
    Propagation = "detaching mounts from the host",
    Root = "making an empty root",
    Make = "showing a path",
    Changed = "checking that a path is still what was decided on",
    Pivot = "leaving the host's root",
    NoNetwork = "checking that no network interface is up",
    Network = "making the network of the granted ports",
    Limits = "setting resource limits",
    Capabilities = "dropping capabilities",
    Landlock = "restricting paths with Landlock",
    Seccomp = "installing the system call filter",
    SelfTest = "proving the finished wall",
    Exec = "starting the wall's init",
}

/// Where and why building failed; `index` is that of a `Make` or rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) index: usize,
    pub(crate) errno: Errno,
}

trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|errno| Failure {
            step,
            index: 0,
            errno,
        })
    }
}

/// Mount attributes (`linux/mount.h`).
pub(crate) const RDONLY: u64 = 1;
pub(crate) const NOSUID: u64 = 2;
pub(crate) const NODEV: u64 = 4;
pub(crate) const NOEXEC: u64 = 8;

/// Descriptors of init: see `init/init.rs`.
const REPORT: i32 = 3;
const LIFE: i32 = 4;
/// Stays open where there is a terminal.
const TERMINAL: i32 = 5;
/// The next two close as init is exec'ed.
const CONTROL: i32 = 6;
const LISTENERS: i32 = 7;

/// The bytes that `control` takes, in this order.
pub(crate) const NOTIFICATIONS: u8 = b'N';
pub(crate) const ARMED: u8 = b'A';

/// Bounds what is counted by user over all of the machine (namespaces(7), `/proc/sys/user`): what is used up in here is
/// used up out there as well, and the usual 128 inotify instances are few. Where `/proc/sys` is read-only, as in
/// containers, the machine's own bound is all there is.
fn spare_the_user() {
    let _ = write_file(c"/proc/sys/user/max_inotify_instances", b"16");
    let _ = write_file(c"/proc/sys/user/max_inotify_watches", b"32768");
}

/// Builds the wall around this process and becomes its init. Returns only on failure. Whether the id maps are written
/// already: see [`crate::holder`].
pub(crate) fn run(plan: &Plan, is_mapped: bool) -> Result<Infallible, Failure> {
    sys::default_signals();
    enter_group(&plan.entrance).at(Step::Group)?;
    hand_over(plan)?;
    sys::setsid().at(Step::Session)?;
    if !is_mapped {
        write_file(c"/proc/self/setgroups", b"deny").at(Step::IdMap)?;
        write_file(c"/proc/self/uid_map", &plan.uid_map).at(Step::IdMap)?;
        write_file(c"/proc/self/gid_map", &plan.gid_map).at(Step::IdMap)?;
    }
    if let Some(bound) = &plan.pid_max {
        write_file(c"/proc/sys/kernel/pid_max", bound).at(Step::PidMax)?;
    }
    spare_the_user();
    for (again, stream) in plan.reopened.iter().zip(0..) {
        if let Some(again) = again {
            root::reopen(again, stream).at(Step::Stdio)?;
        }
    }
    sys::umask(0);
    root::build(plan)?;
    sys::umask(0o022);
    reopen_devices(plan).at(Step::Stdio)?;
    if let Some(terminal) = &plan.terminal {
        terminal::make(&terminal.like).at(Step::Terminal)?;
    }
    sys::set_hostname(c"bailiwick").at(Step::Root)?;
    if sys::chdir(&plan.cwd).is_err() {
        sys::chdir(c"/").at(Step::Pivot)?;
    }
    match &plan.network {
        None => network::none().at(Step::NoNetwork)?,
        Some(network) => network::make(network).at(Step::Network)?,
    }
    for (kind, value) in &plan.limits {
        let value = sys::hard_limit(*kind).at(Step::Limits)?.min(*value);
        sys::set_limit(*kind, value).at(Step::Limits)?;
    }
    lock::drop_privileges().at(Step::Capabilities)?;
    lock::landlock(plan)?;
    sys::close_from(CONTROL.cast_unsigned() + 1).at(Step::Descriptors)?;
    let notifications = sys::seccomp(&plan.filter, plan.control.is_some()).at(Step::Seccomp)?;
    if let Some(notifications) = notifications {
        sys::send(CONTROL, NOTIFICATIONS, &[notifications]).at(Step::Seccomp)?;
    }
    lock::self_test(plan.network.is_some()).at(Step::SelfTest)?;
    if plan.control.is_some() {
        sys::send(CONTROL, ARMED, &[]).at(Step::Seccomp)?;
    }
    sys::unblock_signals();
    Err(exec(plan)).at(Step::Exec)
}

#[expect(unsafe_code, reason = "exec takes arrays of pointers")]
fn exec(plan: &Plan) -> Errno {
    // SAFETY: `Strings` ends in null, and what it points to lives in it.
    unsafe {
        sys::execve(
            crate::spawn::INIT_PATH,
            plan.argv.as_ptr(),
            plan.envp.as_ptr(),
        )
    }
}

/// Before all else. Only from inside does a namespace of groups begin at its own.
fn enter_group(entrance: &Entrance) -> Result<(), Errno> {
    for file in &entrance.files {
        sys::write(*file, b"0")?;
    }
    sys::unshare(libc::CLONE_NEWCGROUP)?;
    // Should the machine run out of memory, a plugin goes first. Some containers do not let us say so.
    let _ = write_file(c"/proc/self/oom_score_adj", b"1000");
    Ok(())
}

/// Stdio to 0–2, the two pipes of init to 3 and 4, nothing else. The sources all lie above 9.
fn hand_over(plan: &Plan) -> Result<(), Failure> {
    for (from, to) in plan.stdio.iter().zip(0..) {
        sys::dup3(*from, to, 0).at(Step::Stdio)?;
    }
    sys::dup3(plan.report, REPORT, 0).at(Step::Stdio)?;
    sys::dup3(plan.life, LIFE, 0).at(Step::Stdio)?;
    match plan.terminal.as_ref().map(|terminal| terminal.socket) {
        Some(from) => sys::dup3(from, TERMINAL, 0).at(Step::Stdio)?,
        None => sys::close(TERMINAL),
    }
    let others = [
        (plan.control, CONTROL),
        (
            plan.network.as_ref().map(|network| network.socket),
            LISTENERS,
        ),
    ];
    for (from, to) in others {
        match from {
            Some(from) => sys::dup3(from, to, libc::O_CLOEXEC).at(Step::Stdio)?,
            None => sys::close(to),
        }
    }
    sys::close_from(LISTENERS.cast_unsigned() + 1).at(Step::Descriptors)
}

/// A device of the host could be changed through its descriptor; those inside are on read-only mounts.
fn reopen_devices(plan: &Plan) -> Result<(), Errno> {
    for (device, stream) in plan.devices.iter().zip(0..) {
        let Some(path) = device else { continue };
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let file = sys::openat(libc::AT_FDCWD, path, flags, 0)?;
        sys::dup3(file, stream, 0)?;
        sys::close(file);
    }
    Ok(())
}

fn write_file(path: &CStr, bytes: &[u8]) -> Result<(), Errno> {
    let file = sys::openat(libc::AT_FDCWD, path, libc::O_WRONLY | libc::O_CLOEXEC, 0)?;
    let written = sys::write(file, bytes);
    sys::close(file);
    written
}

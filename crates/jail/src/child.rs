//! What the child does between clone and exec. It shares the host's memory: no allocation, no locks, no
//! panics, raw system calls over a plan that was made before.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::RawFd;

use crate::sys::{self, Errno, LandlockAttr};

/// Everything that the child needs, made beforehand.
pub(crate) struct Plan {
    pub(crate) stdio: [RawFd; 3],
    /// Streams to be opened anew, from a device inside.
    pub(crate) devices: [Option<CString>; 3],
    pub(crate) report: RawFd,
    pub(crate) life: RawFd,
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
    Scratch {
        place: Place,
    },
    Proc {
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
    Stdio = "handing over stdin, stdout and stderr",
    Descriptors = "closing inherited descriptors",
    Session = "starting a session of its own",
    IdMap = "mapping user and group",
    PidMax = "bounding the number of processes",
    Propagation = "detaching mounts from the host",
    Root = "making an empty root",
    Make = "showing a path",
    Changed = "checking that a path is still what was decided on",
    Pivot = "leaving the host's root",
    Network = "checking that no network interface is up",
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

/// Builds the wall around this process and becomes its init. Returns only on failure.
pub(crate) fn run(plan: &Plan) -> Result<Infallible, Failure> {
    sys::default_signals();
    hand_over(plan)?;
    sys::setsid().at(Step::Session)?;
    write_file(c"/proc/self/setgroups", b"deny").at(Step::IdMap)?;
    write_file(c"/proc/self/uid_map", &plan.uid_map).at(Step::IdMap)?;
    write_file(c"/proc/self/gid_map", &plan.gid_map).at(Step::IdMap)?;
    if let Some(bound) = &plan.pid_max {
        write_file(c"/proc/sys/kernel/pid_max", bound).at(Step::PidMax)?;
    }
    sys::umask(0);
    build_root(plan)?;
    sys::umask(0o022);
    reopen_devices(plan).at(Step::Stdio)?;
    sys::set_hostname(c"bailiwick").at(Step::Root)?;
    if sys::chdir(&plan.cwd).is_err() {
        sys::chdir(c"/").at(Step::Pivot)?;
    }
    no_network().at(Step::Network)?;
    for (kind, value) in &plan.limits {
        let value = sys::hard_limit(*kind).at(Step::Limits)?.min(*value);
        sys::set_limit(*kind, value).at(Step::Limits)?;
    }
    drop_privileges().at(Step::Capabilities)?;
    landlock(plan)?;
    sys::close_from(LIFE.cast_unsigned() + 1).at(Step::Descriptors)?;
    sys::seccomp(&plan.filter).at(Step::Seccomp)?;
    self_test().at(Step::SelfTest)?;
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

/// Stdio to 0–2, the two pipes of init to 3 and 4, nothing else. The sources all lie above 9.
fn hand_over(plan: &Plan) -> Result<(), Failure> {
    for (from, to) in plan.stdio.iter().zip(0..) {
        sys::dup3(*from, to, 0).at(Step::Stdio)?;
    }
    sys::dup3(plan.report, REPORT, 0).at(Step::Stdio)?;
    sys::dup3(plan.life, LIFE, 0).at(Step::Stdio)?;
    sys::close_from(LIFE.cast_unsigned() + 1).at(Step::Descriptors)
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

fn build_root(plan: &Plan) -> Result<(), Failure> {
    sys::mount_setattr(libc::AT_FDCWD, c"/", true, 0, libc::MS_PRIVATE).at(Step::Propagation)?;
    let root = tmpfs(c"4m", c"0755", NOSUID | NODEV).at(Step::Root)?;
    // Upon the old root: paths of the host still resolve, because a process's root is not crossed.
    let old = sys::open_location(libc::AT_FDCWD, c"/", 0).at(Step::Root)?;
    sys::move_mount(root, old).at(Step::Root)?;
    for (make, index) in plan.makes.iter().zip(0..) {
        let made = make_one(root, make, &plan.scratch_size);
        made.map_err(|failure| Failure { index, ..failure })?;
    }
    sys::mount_setattr(root, c"", false, RDONLY, 0).at(Step::Root)?;
    sys::fchdir(root).at(Step::Pivot)?;
    sys::pivot_here().at(Step::Pivot)?;
    sys::detach_here().at(Step::Pivot)?;
    sys::chdir(c"/").at(Step::Pivot)
}

fn tmpfs(size: &CStr, mode: &CStr, attributes: u64) -> Result<i32, Errno> {
    let context = sys::fsopen(c"tmpfs")?;
    sys::fsconfig_string(context, c"size", size)?;
    sys::fsconfig_string(context, c"nr_inodes", c"65536")?;
    sys::fsconfig_string(context, c"mode", mode)?;
    sys::fsconfig_create(context)?;
    let mount = sys::fsmount(context, attributes)?;
    sys::close(context);
    Ok(mount)
}

fn make_one(root: i32, make: &Make, scratch_size: &CStr) -> Result<(), Failure> {
    let step = Step::Make;
    match &make.what {
        What::Folder => match sys::mkdirat(root, &make.at, 0o755) {
            Err(libc::EEXIST) => Ok(()),
            other => other.at(step),
        },
        What::Link(target) => sys::symlinkat(target, root, &make.at).at(step),
        What::File { content, mode } => {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
            let file = sys::openat(root, &make.at, flags, *mode).at(step)?;
            let written = sys::write(file, content);
            sys::close(file);
            written.at(step)
        }
        What::Scratch { place } => {
            let mount = tmpfs(scratch_size, c"0700", NOSUID | NODEV | NOEXEC).at(step)?;
            attach(root, make, *place, mount).at(step)
        }
        What::Proc { place } => match proc() {
            Ok(mount) => attach(root, make, *place, mount).at(step),
            // Where the host's own /proc is masked the kernel gives none; most programs do without.
            Err(libc::EPERM) => put_place(root, &make.at, *place).at(step),
            Err(errno) => Err(errno).at(step),
        },
        What::Bind {
            source,
            identity,
            attributes,
            place,
        } => {
            let location = sys::open_location(libc::AT_FDCWD, source, 0).at(step)?;
            if sys::identity(location).at(step)? != *identity {
                return Err(libc::ESTALE).at(Step::Changed);
            }
            let mount = sys::clone_tree(location).at(step)?;
            sys::mount_setattr(mount, c"", true, *attributes, 0).at(step)?;
            sys::close(location);
            attach(root, make, *place, mount).at(step)
        }
    }
}

/// A `/proc` that shows processes of this pid namespace and nothing of the machine.
fn proc() -> Result<i32, Errno> {
    let context = sys::fsopen(c"proc")?;
    sys::fsconfig_string(context, c"subset", c"pid")?;
    sys::fsconfig_create(context)?;
    let mount = sys::fsmount(context, RDONLY | NOSUID | NODEV | NOEXEC)?;
    sys::close(context);
    Ok(mount)
}

fn put_place(root: i32, at: &CStr, place: Place) -> Result<(), Errno> {
    match place {
        Place::Exists => Ok(()),
        Place::Folder => sys::mkdirat(root, at, 0o755),
        Place::File => {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
            sys::openat(root, at, flags, 0o444).map(sys::close)
        }
    }
}

fn attach(root: i32, make: &Make, place: Place, mount: i32) -> Result<(), Errno> {
    put_place(root, &make.at, place)?;
    let location = sys::open_location(root, &make.at, libc::RESOLVE_BENEATH)?;
    sys::move_mount(mount, location)?;
    sys::close(location);
    sys::close(mount);
    Ok(())
}

/// The namespace is new, so this can only fail where something else configures new ones.
fn no_network() -> Result<(), Errno> {
    let socket = match sys::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) {
        Ok(socket) => socket,
        Err(libc::EAFNOSUPPORT) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let up = sys::interfaces_up(socket)?;
    sys::close(socket);
    if up == 0 {
        Ok(())
    } else {
        Err(libc::ENETUNREACH)
    }
}

/// `SECBIT_NOROOT`, `NO_SETUID_FIXUP`, `KEEP_CAPS` off, `NO_CAP_AMBIENT_RAISE`, each locked (capabilities(7)).
const SECUREBITS: usize = 0b1110_1111;

fn drop_privileges() -> Result<(), Errno> {
    for capability in 0..64 {
        match sys::prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            Err(libc::EINVAL) if capability > 36 => break,
            Err(errno) => return Err(errno),
        }
    }
    sys::prctl(libc::PR_SET_SECUREBITS, SECUREBITS, 0)?;
    sys::prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as usize,
        0,
    )?;
    sys::drop_capabilities()?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(|_| ())
}

fn landlock(plan: &Plan) -> Result<(), Failure> {
    let (attributes, size) = &plan.ruleset;
    let ruleset = sys::landlock_create(attributes, *size).at(Step::Landlock)?;
    for (rule, index) in plan.rules.iter().zip(0..) {
        let add = |path: &CStr| {
            let location = sys::open_location(libc::AT_FDCWD, path, 0)?;
            let added = sys::landlock_path(ruleset, location, rule.access);
            sys::close(location);
            added
        };
        add(&rule.path).map_err(|errno| Failure {
            step: Step::Landlock,
            index,
            errno,
        })?;
    }
    sys::landlock_restrict(ruleset).at(Step::Landlock)?;
    sys::close(ruleset);
    Ok(())
}

/// Tries what must fail, once all is in place (L13). The error is that of the missing part.
fn self_test() -> Result<(), Errno> {
    let open = |path: &CStr, flags| match sys::openat(
        libc::AT_FDCWD,
        path,
        flags | libc::O_CLOEXEC,
        0o600,
    ) {
        Ok(file) => {
            sys::close(file);
            0
        }
        Err(errno) => errno,
    };
    let proofs = [
        // the host's root is gone
        open(c"/sys", libc::O_PATH) == libc::ENOENT,
        // Landlock decides: the root exists and its mode permits listing
        open(c"/", libc::O_RDONLY | libc::O_DIRECTORY) == libc::EACCES,
        // and it is not writable
        matches!(
            open(c"/.canary", libc::O_WRONLY | libc::O_CREAT),
            libc::EACCES | libc::EROFS
        ),
        // the filter decides
        sys::socket(libc::AF_INET, libc::SOCK_STREAM) == Err(libc::EPERM),
        sys::socket(libc::AF_UNIX, libc::SOCK_DGRAM) == Err(libc::EPERM),
        sys::prctl(libc::PR_GET_SECCOMP, 0, 0) == Ok(2),
        sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0) == Ok(1),
        sys::no_capabilities() == Ok(true),
        // a pid namespace of its own
        sys::pid() == 1 && sys::parent_pid() == 0,
    ];
    match proofs.iter().zip(1..).find(|(holds, _)| !**holds) {
        None => Ok(()),
        // Numbered from 1000, so that it cannot be taken for an errno.
        Some((_, number)) => Err(1000 + number),
    }
}

//! Raw system calls, for the child between clone and exec: no allocation, no locks, no thread-local errno.
#![expect(
    unsafe_code,
    reason = "system calls by number are the point of this module"
)]

use core::arch::asm;
use core::ffi::CStr;

use libc::c_long;

/// A system call's error number.
pub(crate) type Errno = i32;

/// The outcome of a raw system call.
pub(crate) type Outcome = Result<usize, Errno>;

/// Makes one system call.
///
/// # Safety
/// What the arguments point to must be valid for what the call does with it.
pub(crate) unsafe fn call(number: c_long, a: [usize; 6]) -> Outcome {
    let [a0, a1, a2, a3, a4, a5] = a;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel clobbers rax, rcx and r11 only; the arguments are the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") a0, in("rsi") a1, in("rdx") a2, in("r10") a3, in("r8") a4, in("r9") a5,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel clobbers x0 only; the arguments are the caller's promise.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a0 => result,
            in("x1") a1, in("x2") a2, in("x3") a3, in("x4") a4, in("x5") a5, options(nostack));
    }
    usize::try_from(result).map_err(|_| (result.wrapping_neg()) as Errno)
}

/// A call whose arguments are plain numbers or pointers derived from live references.
macro_rules! number_call {
    ($nr:expr $(, $a:expr)*) => {{
        let mut a = [0usize; 6];
        for (slot, value) in a.iter_mut().zip([$($a as usize),*] as [usize; number_call!(@count $($a),*)]) {
            *slot = value;
        }
        // SAFETY: every pointer among the arguments comes from a reference that lives across the call.
        unsafe { call($nr, a) }
    }};
    (@count) => { 0 };
    (@count $h:expr $(, $t:expr)*) => { 1 + number_call!(@count $($t),*) };
}

mod into;
mod locks;
mod mounts;
mod network;
pub(crate) mod notify;
mod terminal;
mod usage;

pub(crate) use into::*;
pub(crate) use locks::*;
pub(crate) use mounts::*;
pub(crate) use network::*;
pub(crate) use terminal::*;
pub(crate) use usage::*;

fn fd(result: Outcome) -> Result<i32, Errno> {
    result.map(|n| n as i32)
}

fn done(result: Outcome) -> Result<(), Errno> {
    result.map(|_| ())
}

pub(crate) fn openat(dir: i32, path: &CStr, flags: i32, mode: u32) -> Result<i32, Errno> {
    fd(number_call!(
        libc::SYS_openat,
        dir,
        path.as_ptr(),
        flags,
        mode
    ))
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// Opens `path` as a location only, following no link of any kind.
pub(crate) fn open_location(dir: i32, path: &CStr, resolve: u64) -> Result<i32, Errno> {
    let how = OpenHow {
        flags: (libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW) as u64,
        mode: 0,
        resolve: resolve | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS,
    };
    fd(number_call!(
        libc::SYS_openat2,
        dir,
        path.as_ptr(),
        &raw const how,
        size_of::<OpenHow>()
    ))
}

pub(crate) fn close(descriptor: i32) {
    let _ = number_call!(libc::SYS_close, descriptor);
}

/// Writes all of `bytes` with one call, as `/proc` files demand.
pub(crate) fn write(descriptor: i32, bytes: &[u8]) -> Result<(), Errno> {
    match number_call!(libc::SYS_write, descriptor, bytes.as_ptr(), bytes.len()) {
        Ok(n) if n == bytes.len() => Ok(()),
        Ok(_) => Err(libc::EIO),
        Err(errno) => Err(errno),
    }
}

pub(crate) fn mkdirat(dir: i32, path: &CStr, mode: u32) -> Result<(), Errno> {
    done(number_call!(libc::SYS_mkdirat, dir, path.as_ptr(), mode))
}

pub(crate) fn unlinkat(dir: i32, path: &CStr) -> Result<(), Errno> {
    done(number_call!(libc::SYS_unlinkat, dir, path.as_ptr(), 0))
}

pub(crate) fn symlinkat(target: &CStr, dir: i32, path: &CStr) -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_symlinkat,
        target.as_ptr(),
        dir,
        path.as_ptr()
    ))
}

pub(crate) fn chdir(path: &CStr) -> Result<(), Errno> {
    done(number_call!(libc::SYS_chdir, path.as_ptr()))
}

pub(crate) fn fchdir(dir: i32) -> Result<(), Errno> {
    done(number_call!(libc::SYS_fchdir, dir))
}

/// Device and inode of an open location.
pub(crate) fn identity(location: i32) -> Result<(u64, u64), Errno> {
    // SAFETY: `stat` is plain data for which all zeroes is a valid value.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    number_call!(libc::SYS_fstat, location, &raw mut stat)?;
    Ok((stat.st_dev, stat.st_ino))
}

pub(crate) fn dup3(from: i32, to: i32, flags: i32) -> Result<(), Errno> {
    done(number_call!(libc::SYS_dup3, from, to, flags))
}

pub(crate) fn close_from(first: u32) -> Result<(), Errno> {
    done(number_call!(libc::SYS_close_range, first, u32::MAX, 0))
}

pub(crate) fn setsid() -> Result<(), Errno> {
    done(number_call!(libc::SYS_setsid))
}

pub(crate) fn umask(mask: u32) {
    let _ = number_call!(libc::SYS_umask, mask);
}

pub(crate) fn unshare(flags: i32) -> Result<(), Errno> {
    number_call!(libc::SYS_unshare, flags).map(|_| ())
}

/// Has `run` called when this process ends in an orderly way; once, however often it is asked.
pub(crate) fn at_exit(run: extern "C" fn()) {
    static ASKED: std::sync::Once = std::sync::Once::new();
    ASKED.call_once(|| {
        // SAFETY: a function with a static life and no arguments; where it is not called, nothing is lost.
        let _ = unsafe { libc::atexit(run) };
    });
}

/// Gives this thread a working directory and umask of its own (unshare(2)).
pub(crate) fn own_umask(mask: u32) -> Result<(), Errno> {
    number_call!(libc::SYS_unshare, libc::CLONE_FS)?;
    umask(mask);
    Ok(())
}

pub(crate) fn prctl(option: i32, a: usize, b: usize) -> Outcome {
    number_call!(libc::SYS_prctl, option, a, b, 0, 0)
}

pub(crate) fn set_limit(kind: u32, value: u64) -> Result<(), Errno> {
    let limit = [value, value];
    done(number_call!(
        libc::SYS_prlimit64,
        0,
        kind,
        limit.as_ptr(),
        0
    ))
}

pub(crate) fn hard_limit(kind: u32) -> Result<u64, Errno> {
    let mut limit = [0u64; 2];
    number_call!(libc::SYS_prlimit64, 0, kind, 0, limit.as_mut_ptr())?;
    let [_, hard] = limit;
    Ok(hard)
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Gives up every capability: effective, permitted, inheritable.
pub(crate) fn drop_capabilities() -> Result<(), Errno> {
    let (header, none) = ([CAPABILITY_VERSION_3, 0], [0u32; 6]);
    done(number_call!(
        libc::SYS_capset,
        header.as_ptr(),
        none.as_ptr()
    ))
}

/// True when no capability is left in any set.
pub(crate) fn no_capabilities() -> Result<bool, Errno> {
    let (mut header, mut sets) = ([CAPABILITY_VERSION_3, 0], [u32::MAX; 6]);
    number_call!(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr())?;
    Ok(sets == [0; 6])
}

/// What a Landlock ruleset handles; `linux/landlock.h`, ABI 6.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LandlockAttr {
    pub(crate) fs: u64,
    pub(crate) net: u64,
    pub(crate) scoped: u64,
}

pub(crate) fn landlock_abi() -> Result<u32, Errno> {
    number_call!(libc::SYS_landlock_create_ruleset, 0, 0, 1).map(|abi| abi as u32)
}

pub(crate) fn landlock_create(attributes: &LandlockAttr, size: usize) -> Result<i32, Errno> {
    let size = size.min(size_of::<LandlockAttr>());
    fd(number_call!(
        libc::SYS_landlock_create_ruleset,
        &raw const *attributes,
        size,
        0
    ))
}

#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: i32,
}

pub(crate) fn landlock_path(ruleset: i32, location: i32, access: u64) -> Result<(), Errno> {
    let rule = PathBeneath {
        access,
        parent: location,
    };
    done(number_call!(
        libc::SYS_landlock_add_rule,
        ruleset,
        1,
        &raw const rule,
        0
    ))
}

#[repr(C)]
struct NetPort {
    access: u64,
    port: u64,
}

/// Allows connecting over TCP to `port`.
pub(crate) fn landlock_connect(ruleset: i32, port: u16) -> Result<(), Errno> {
    let rule = NetPort {
        access: 0b10,
        port: port.into(),
    };
    done(number_call!(
        libc::SYS_landlock_add_rule,
        ruleset,
        2,
        &raw const rule,
        0
    ))
}

pub(crate) fn landlock_restrict(ruleset: i32) -> Result<(), Errno> {
    done(number_call!(libc::SYS_landlock_restrict_self, ruleset, 0))
}

/// Kills waiting calls only for signals that kill, so that a signal does not make a call be judged twice.
const WAIT_KILLABLE: usize = 1 << 5;
const NEW_LISTENER: usize = 1 << 3;

/// Installs a seccomp filter on this process; with `listen`, gives the descriptor of its notifications.
pub(crate) fn seccomp(filter: &[libc::sock_filter], listen: bool) -> Result<Option<i32>, Errno> {
    let len = u16::try_from(filter.len()).map_err(|_| libc::E2BIG)?;
    let program = libc::sock_fprog {
        len,
        filter: filter.as_ptr().cast_mut(),
    };
    let flags = if listen {
        NEW_LISTENER | WAIT_KILLABLE
    } else {
        0
    };
    let result = fd(number_call!(
        libc::SYS_seccomp,
        libc::SECCOMP_SET_MODE_FILTER,
        flags,
        &raw const program
    ))?;
    Ok(listen.then_some(result))
}

pub(crate) fn set_hostname(name: &CStr) -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_sethostname,
        name.as_ptr(),
        name.count_bytes()
    ))
}

pub(crate) fn pid() -> usize {
    number_call!(libc::SYS_getpid).unwrap_or(0)
}

pub(crate) fn parent_pid() -> usize {
    number_call!(libc::SYS_getppid).unwrap_or(usize::MAX)
}

/// Gives every signal its default action (only ignored ones would survive exec, but handlers of the
/// host must not run here either).
pub(crate) fn default_signals() {
    // The kernel's `struct sigaction`: handler, flags, restorer, mask.
    let default = [0u64; 4];
    for signal in 1..=64 {
        let _ = number_call!(libc::SYS_rt_sigaction, signal, default.as_ptr(), 0, 8);
    }
}

pub(crate) fn unblock_signals() {
    let none = 0u64;
    let _ = number_call!(
        libc::SYS_rt_sigprocmask,
        libc::SIG_SETMASK,
        &raw const none,
        0,
        8
    );
}

/// Blocks every signal of this thread; gives the mask before.
pub(crate) fn block_signals() -> u64 {
    let (every, mut before) = (u64::MAX, 0u64);
    let _ = number_call!(
        libc::SYS_rt_sigprocmask,
        libc::SIG_SETMASK,
        &raw const every,
        &raw mut before,
        8
    );
    before
}

/// Restores this thread's signal mask.
pub(crate) fn restore_signals(mask: u64) {
    let _ = number_call!(
        libc::SYS_rt_sigprocmask,
        libc::SIG_SETMASK,
        &raw const mask,
        0,
        8
    );
}

/// Replaces the program; returns only on error. The last pointer of each array must be null, the
/// others must point to strings.
///
/// # Safety
/// The arrays must be as described.
pub(crate) unsafe fn execve(
    path: &CStr,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
) -> Errno {
    let arguments = [
        path.as_ptr() as usize,
        argv as usize,
        envp as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_execve, arguments) }
        .err()
        .unwrap_or(libc::EIO)
}

/// As [`execve`], of an open file.
///
/// # Safety
/// As [`execve`].
pub(crate) unsafe fn exec_descriptor(
    descriptor: i32,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
) -> Errno {
    let arguments = [
        descriptor as usize,
        c"".as_ptr() as usize,
        argv as usize,
        envp as usize,
        libc::AT_EMPTY_PATH as usize,
        0,
    ];
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_execveat, arguments) }
        .err()
        .unwrap_or(libc::EIO)
}

/// Enters the namespaces of a process, by its descriptor.
pub(crate) fn setns(process: i32, kinds: i32) -> Result<(), Errno> {
    done(number_call!(libc::SYS_setns, process, kinds))
}

pub(crate) fn exit(status: i32) -> ! {
    loop {
        let _ = number_call!(libc::SYS_exit, status);
    }
}

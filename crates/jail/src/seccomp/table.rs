//! The system calls that a plugin may make, as data. What is not named here fails with `EPERM`;
//! numbers that this table's kernel did not have yet (and the x32 ones) with `ENOSYS`.
//!
//! Left out, with the reason, and probed by a test each:
//! - `socket`, `connect`, `bind`, `listen`, `accept`: no network, no path-bound or abstract Unix sockets;
//!   a granted folder may hold `docker.sock` (L10).
//! - `io_uring_*`: makes sockets and opens files without passing this table (L12).
//! - `ptrace`, `process_vm_*`, `process_madvise`, `kcmp`, `pidfd_getfd`: other processes' memory and descriptors (L11).
//! - `mount` family, `pivot_root`, `chroot`, `unshare`, `setns`, `open_by_handle_at`, `name_to_handle_at`:
//!   they rebuild or leave the world made here (L11).
//! - `bpf`, `perf_event_open`, `userfaultfd`, `keyctl` family, `vmsplice`, `modify_ldt`, `fanotify_*`,
//!   `init_module`, `kexec_*`: kernel attack surface that plugins do not need (L11).
//! - `execveat`: with `AT_EMPTY_PATH` it runs what has no path to be judged by.
//! - `openat2`: its mode lies in memory, where no filter can look for set-id bits; callers fall back.
//! - `set*id`, `capset`: nothing to gain inside; `settimeofday` family, `reboot`, `swapon`, `syslog`: the host's.

use libc as c;

use super::descriptors::{FCNTLS, NO_LOCKS};
use crate::extras::Watch;

/// What one system call number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// May be made when every test holds; otherwise `EPERM`.
    When(&'static [Test]),
    /// Pretends not to exist, so that callers fall back to something in the table.
    Absent,
    /// Pretends not to exist, and is told: nobody needs it.
    Refused,
    /// Pretends that the file system cannot do it, so that callers do it by hand.
    Unsupported,
    /// Pretends that there are no locks to be had.
    Unlocked,
}

/// Whether an allowed call passes by the host, where it watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    No,
    Always,
    /// Only where this test does not hold.
    Unless(Test),
}

/// A test of the lower 32 bits of one argument: masked, it must be one of `any`, or none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) argument: u32,
    pub(crate) mask: u32,
    pub(crate) any: &'static [u32],
    pub(crate) negated: bool,
}

const ALL: u32 = u32::MAX;

/// `CLONE_NEW*` of the namespaces; `clone3`, which hides its flags in memory, is absent.
const NEW_NAMESPACES: u32 = (c::CLONE_NEWNS
    | c::CLONE_NEWCGROUP
    | c::CLONE_NEWUTS
    | c::CLONE_NEWIPC
    | c::CLONE_NEWUSER
    | c::CLONE_NEWPID
    | c::CLONE_NEWNET) as u32;

/// Set-id bits: a plugin of root could leave a set-id root program in a granted folder for others.
const SET_ID: u32 = 0o6000;

const fn no_bits(argument: u32, mask: u32) -> Test {
    Test {
        mask,
        ..one_of(argument, &[0])
    }
}

/// Threads may share their descriptors; processes may not, so that a process of one thread alone decides what its
/// descriptors are while it waits for a verdict on one of them.
const FILES_OF_THREADS: Test = Test {
    mask: (c::CLONE_FILES | c::CLONE_THREAD) as u32,
    ..one_of(
        0,
        &[
            0,
            c::CLONE_THREAD as u32,
            (c::CLONE_THREAD | c::CLONE_FILES) as u32,
        ],
    )
};

pub(super) const fn one_of(argument: u32, any: &'static [u32]) -> Test {
    Test {
        argument,
        mask: ALL,
        any,
        negated: false,
    }
}

/// The process named by this argument is not init. Sharing its user, a plugin could lower init's limits
/// or its share of the processor until it no longer sees that the host has gone, or cannot end in time.
const fn not_init(argument: u32) -> Test {
    Test {
        negated: true,
        ..one_of(argument, &[1])
    }
}

/// Terminal and descriptor requests. Not `TIOCSTI`, `TIOCLINUX`, `TIOCSCTTY`: they type into or take
/// the host's terminal.
const IOCTLS: &[u32] = &[
    c::TCGETS as u32,
    c::TCSETS as u32,
    c::TCSETSW as u32,
    c::TCSETSF as u32,
    0x802c_542a, // TCGETS2
    c::TIOCGWINSZ as u32,
    c::TIOCGPGRP as u32,
    c::TIOCSPGRP as u32,
    c::TIOCOUTQ as u32,
    c::FIONREAD as u32,
    c::FIONBIO as u32,
    c::FIOCLEX as u32,
    c::FIONCLEX as u32,
];

/// The same, where every terminal inside is the program's own: it may make and control them. Still not
/// `TIOCSTI` and `TIOCLINUX`.
const OWN_TERMINALS: &[u32] = &[
    c::TCGETS as u32,
    c::TCSETS as u32,
    c::TCSETSW as u32,
    c::TCSETSF as u32,
    0x802c_542a, // TCGETS2
    0x402c_542b, // TCSETS2
    0x402c_542c, // TCSETSW2
    0x402c_542d, // TCSETSF2
    c::TCSBRK as u32,
    c::TCSBRKP as u32,
    c::TCXONC as u32,
    c::TCFLSH as u32,
    c::TIOCGWINSZ as u32,
    c::TIOCSWINSZ as u32,
    c::TIOCGPGRP as u32,
    c::TIOCSPGRP as u32,
    c::TIOCGSID as u32,
    c::TIOCSCTTY as u32,
    c::TIOCNOTTY as u32,
    c::TIOCOUTQ as u32,
    c::TIOCPKT as u32,
    c::TIOCSPTLCK as u32,
    0x8004_5430, // TIOCGPTN
    0x8004_5439, // TIOCGPTLCK
    c::TIOCGPTPEER as u32,
    c::FIONREAD as u32,
    c::FIONBIO as u32,
    c::FIOCLEX as u32,
    c::FIONCLEX as u32,
];

/// What differs where the program has terminals of its own.
pub(crate) const TERMINALS: &[(c::c_long, Rule)] =
    &[(c::SYS_ioctl, Rule::When(&[one_of(1, OWN_TERMINALS)]))];

/// `prctl` options that only touch the caller's own bookkeeping. Not `PR_SET_MM`, `PR_SET_PTRACER`,
/// `PR_SET_DUMPABLE`, `PR_CAP_AMBIENT`, `PR_SET_SECCOMP`.
const PRCTLS: &[u32] = &[
    c::PR_SET_NAME as u32,
    c::PR_GET_NAME as u32,
    c::PR_SET_PDEATHSIG as u32,
    c::PR_GET_PDEATHSIG as u32,
    c::PR_GET_DUMPABLE as u32,
    c::PR_GET_KEEPCAPS as u32,
    c::PR_GET_SECCOMP as u32,
    c::PR_CAPBSET_READ as u32,
    c::PR_GET_SECUREBITS as u32,
    c::PR_SET_NO_NEW_PRIVS as u32,
    c::PR_GET_NO_NEW_PRIVS as u32,
    c::PR_SET_TIMERSLACK as u32,
    c::PR_SET_CHILD_SUBREAPER as u32,
    c::PR_SET_THP_DISABLE as u32,
    c::PR_SET_VMA as u32,
];

/// Calls that look at an argument.
pub(crate) const JUDGED: &[(c::c_long, Rule)] = &[
    (
        c::SYS_clone,
        Rule::When(&[no_bits(0, NEW_NAMESPACES), FILES_OF_THREADS]),
    ),
    (c::SYS_clone3, Rule::Absent),
    (c::SYS_openat2, Rule::Absent),
    // Takes space without writing, past what counts what is written.
    (c::SYS_fallocate, Rule::Unsupported),
    (c::SYS_io_uring_setup, Rule::Refused),
    (c::SYS_io_uring_enter, Rule::Refused),
    (c::SYS_io_uring_register, Rule::Refused),
    (c::SYS_ioctl, Rule::When(&[one_of(1, IOCTLS)])),
    (c::SYS_prctl, Rule::When(&[one_of(0, PRCTLS)])),
    // PER_LINUX and the question what it is; no ADDR_NO_RANDOMIZE, no READ_IMPLIES_EXEC, no x32 (L12).
    (c::SYS_personality, Rule::When(&[one_of(0, &[0, ALL])])),
    // Connected pairs only. A datagram pair could still be sent to any address (L10).
    (
        c::SYS_socketpair,
        Rule::When(&[
            one_of(0, &[c::AF_UNIX as u32]),
            Test {
                mask: 0xf,
                ..one_of(1, &[c::SOCK_STREAM as u32, c::SOCK_SEQPACKET as u32])
            },
        ]),
    ),
    // Only MFD_NOEXEC_SEAL: a memory file has no path, so Landlock would let it be executed.
    (
        c::SYS_memfd_create,
        Rule::When(&[Test {
            mask: 0x8,
            ..one_of(1, &[0x8])
        }]),
    ),
    (c::SYS_fcntl, Rule::When(&[one_of(1, FCNTLS)])),
    (c::SYS_prlimit64, Rule::When(&[not_init(0)])),
    (c::SYS_sched_setscheduler, Rule::When(&[not_init(0)])),
    (c::SYS_sched_setparam, Rule::When(&[not_init(0)])),
    (c::SYS_sched_setattr, Rule::When(&[not_init(0)])),
    (c::SYS_sched_setaffinity, Rule::When(&[not_init(0)])),
    // Not by group or user: init is among those.
    (
        c::SYS_setpriority,
        Rule::When(&[one_of(0, &[c::PRIO_PROCESS]), not_init(1)]),
    ),
    (c::SYS_openat, Rule::When(&[no_bits(3, SET_ID)])),
    (c::SYS_fchmod, Rule::When(&[no_bits(1, SET_ID)])),
    (c::SYS_fchmodat, Rule::When(&[no_bits(2, SET_ID)])),
    (c::SYS_fchmodat2, Rule::When(&[no_bits(2, SET_ID)])),
    (c::SYS_mknodat, Rule::When(&[no_bits(2, SET_ID)])),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_open, Rule::When(&[no_bits(2, SET_ID)])),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_creat, Rule::When(&[no_bits(1, SET_ID)])),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_chmod, Rule::When(&[no_bits(1, SET_ID)])),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_mknod, Rule::When(&[no_bits(1, SET_ID)])),
];

/// Calls that a networked wall has besides: its namespace holds `lo` and our listeners alone. Never
/// `listen` and `accept`, and no family but IP: Unix sockets are paths out (L10).
pub(crate) const NETWORK: &[(c::c_long, Rule)] = &[
    (
        c::SYS_socket,
        Rule::When(&[
            one_of(0, &[c::AF_INET as u32, c::AF_INET6 as u32]),
            Test {
                mask: 0xf,
                ..one_of(1, &[c::SOCK_STREAM as u32, c::SOCK_DGRAM as u32])
            },
            one_of(2, &[0, c::IPPROTO_TCP as u32, c::IPPROTO_UDP as u32]),
        ]),
    ),
    (c::SYS_connect, Rule::When(&[])),
    (c::SYS_bind, Rule::When(&[])),
    (c::SYS_sendmmsg, Rule::When(&[])),
    (c::SYS_recvmmsg, Rule::When(&[])),
];

/// Opens that write, create or cut.
const READS_ONLY: u32 = (c::O_ACCMODE | c::O_CREAT | c::O_TRUNC) as u32;

const fn at(argument: u32) -> Watched {
    Watched::Unless(no_bits(argument, READS_ONLY))
}

/// About a descriptor, not about a path: nothing is looked for.
const fn of_path(argument: u32) -> Watched {
    Watched::Unless(Test {
        negated: true,
        ..no_bits(argument, c::AT_EMPTY_PATH as u32)
    })
}

const fn given(argument: u32) -> Watched {
    Watched::Unless(one_of(argument, &[0]))
}

/// Allowed calls that pass by the host, from which level of watching on. The first that fits counts.
pub(crate) const WATCHED: &[(c::c_long, Watch, Watched)] = &[
    (c::SYS_flock, Watch::Acts, Watched::Always),
    (c::SYS_fcntl, Watch::Acts, Watched::Unless(NO_LOCKS)),
    (c::SYS_pipe2, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_pipe, Watch::Acts, Watched::Always),
    (c::SYS_openat, Watch::Everything, Watched::Always),
    (c::SYS_openat, Watch::Acts, at(2)),
    (c::SYS_execve, Watch::Acts, Watched::Always),
    (c::SYS_connect, Watch::Acts, Watched::Always),
    (c::SYS_sendto, Watch::Acts, given(4)),
    (c::SYS_mkdirat, Watch::Acts, Watched::Always),
    (c::SYS_mknodat, Watch::Acts, Watched::Always),
    (c::SYS_unlinkat, Watch::Acts, Watched::Always),
    (c::SYS_renameat2, Watch::Acts, Watched::Always),
    (c::SYS_linkat, Watch::Acts, Watched::Always),
    (c::SYS_symlinkat, Watch::Acts, Watched::Always),
    (c::SYS_truncate, Watch::Acts, Watched::Always),
    (c::SYS_fchmodat, Watch::Acts, Watched::Always),
    (c::SYS_fchmodat2, Watch::Acts, Watched::Always),
    (c::SYS_fchownat, Watch::Acts, Watched::Always),
    (c::SYS_utimensat, Watch::Acts, given(1)),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_open, Watch::Everything, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_open, Watch::Acts, at(1)),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_creat, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_mkdir, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_mknod, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_rmdir, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_unlink, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_rename, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_link, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_symlink, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_chmod, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_chown, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_lchown, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_utime, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_utimes, Watch::Acts, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_futimesat, Watch::Acts, given(1)),
    (c::SYS_renameat, Watch::Acts, Watched::Always),
    (c::SYS_newfstatat, Watch::Looks, of_path(3)),
    (c::SYS_statx, Watch::Looks, of_path(2)),
    (c::SYS_faccessat, Watch::Looks, Watched::Always),
    (c::SYS_faccessat2, Watch::Looks, Watched::Always),
    (c::SYS_readlinkat, Watch::Looks, Watched::Always),
    (c::SYS_chdir, Watch::Looks, Watched::Always),
    (c::SYS_inotify_add_watch, Watch::Looks, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_stat, Watch::Looks, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_lstat, Watch::Looks, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_access, Watch::Looks, Watched::Always),
    #[cfg(target_arch = "x86_64")]
    (c::SYS_readlink, Watch::Looks, Watched::Always),
];

/// Calls that may always be made: what they reach, the mounts, Landlock and the namespaces decide.
#[rustfmt::skip]
pub(crate) const ALLOWED: &[c::c_long] = &[
    // files by path and descriptor
    c::SYS_read, c::SYS_write, c::SYS_readv, c::SYS_writev, c::SYS_pread64, c::SYS_pwrite64,
    c::SYS_preadv, c::SYS_pwritev, c::SYS_preadv2, c::SYS_pwritev2, c::SYS_close, c::SYS_close_range,
    c::SYS_lseek, c::SYS_fstat, c::SYS_newfstatat, c::SYS_statx, c::SYS_statfs, c::SYS_fstatfs,
    c::SYS_faccessat, c::SYS_faccessat2, c::SYS_readlinkat, c::SYS_getdents64, c::SYS_getcwd,
    c::SYS_chdir, c::SYS_fchdir, c::SYS_mkdirat, c::SYS_unlinkat, c::SYS_renameat2, c::SYS_linkat,
    c::SYS_symlinkat, c::SYS_utimensat, c::SYS_truncate, c::SYS_ftruncate,
    c::SYS_fsync, c::SYS_fdatasync, c::SYS_sync_file_range, c::SYS_syncfs, c::SYS_flock,
    c::SYS_dup, c::SYS_dup3, c::SYS_pipe2, c::SYS_umask, c::SYS_fchown, c::SYS_fchownat,
    c::SYS_copy_file_range, c::SYS_sendfile, c::SYS_splice, c::SYS_tee, c::SYS_fadvise64, c::SYS_readahead,
    c::SYS_getxattr, c::SYS_lgetxattr, c::SYS_fgetxattr, c::SYS_listxattr, c::SYS_llistxattr,
    c::SYS_flistxattr, c::SYS_setxattr, c::SYS_lsetxattr, c::SYS_fsetxattr, c::SYS_removexattr,
    c::SYS_lremovexattr, c::SYS_fremovexattr,
    // waiting
    c::SYS_ppoll, c::SYS_pselect6, c::SYS_epoll_create1, c::SYS_epoll_ctl, c::SYS_epoll_pwait,
    c::SYS_epoll_pwait2, c::SYS_eventfd2, c::SYS_signalfd4, c::SYS_timerfd_create, c::SYS_timerfd_settime,
    c::SYS_timerfd_gettime, c::SYS_inotify_init1, c::SYS_inotify_add_watch, c::SYS_inotify_rm_watch,
    // connected socket pairs, and stdio that may be one
    c::SYS_sendto, c::SYS_recvfrom, c::SYS_sendmsg, c::SYS_recvmsg, c::SYS_shutdown, c::SYS_getsockname,
    c::SYS_getpeername, c::SYS_getsockopt, c::SYS_setsockopt,
    // memory
    c::SYS_mmap, c::SYS_munmap, c::SYS_mprotect, c::SYS_mremap, c::SYS_brk, c::SYS_madvise, c::SYS_msync,
    c::SYS_mlock, c::SYS_mlock2, c::SYS_munlock, c::SYS_membarrier, c::SYS_pkey_alloc, c::SYS_pkey_free,
    c::SYS_pkey_mprotect, c::SYS_mseal, c::SYS_get_mempolicy,
    // processes, threads and signals of this pid namespace
    c::SYS_execve, c::SYS_exit, c::SYS_exit_group, c::SYS_wait4, c::SYS_waitid, c::SYS_kill, c::SYS_tkill,
    c::SYS_tgkill, c::SYS_rt_sigaction, c::SYS_rt_sigprocmask, c::SYS_rt_sigreturn, c::SYS_rt_sigpending,
    c::SYS_rt_sigsuspend, c::SYS_rt_sigtimedwait, c::SYS_rt_sigqueueinfo, c::SYS_rt_tgsigqueueinfo,
    c::SYS_sigaltstack, c::SYS_pidfd_open, c::SYS_pidfd_send_signal, c::SYS_futex, c::SYS_futex_waitv,
    454 /* futex_wake */, 455 /* futex_wait */, 456 /* futex_requeue */,
    c::SYS_set_robust_list, c::SYS_get_robust_list, c::SYS_set_tid_address, c::SYS_rseq,
    c::SYS_restart_syscall, c::SYS_getpid, c::SYS_getppid, c::SYS_gettid, c::SYS_getpgid, c::SYS_setpgid,
    c::SYS_getsid, c::SYS_setsid, c::SYS_getuid, c::SYS_geteuid, c::SYS_getgid, c::SYS_getegid,
    // There is one user inside and no capability: they can become nobody but themselves, and `make` does.
    c::SYS_setresuid, c::SYS_setresgid,
    c::SYS_getresuid, c::SYS_getresgid, c::SYS_getgroups, c::SYS_capget, c::SYS_getpriority,
    c::SYS_getrusage, c::SYS_times, c::SYS_sched_yield,
    c::SYS_sched_getaffinity, c::SYS_sched_getparam,
    c::SYS_sched_getscheduler, c::SYS_sched_get_priority_max,
    c::SYS_sched_get_priority_min, c::SYS_sched_getattr, c::SYS_ioprio_get,
    // a plugin may tighten itself further
    c::SYS_landlock_create_ruleset, c::SYS_landlock_add_rule, c::SYS_landlock_restrict_self,
    // clocks, randomness, facts
    c::SYS_clock_gettime, c::SYS_clock_getres, c::SYS_clock_nanosleep, c::SYS_nanosleep,
    c::SYS_gettimeofday, c::SYS_getitimer, c::SYS_setitimer, c::SYS_timer_create, c::SYS_timer_settime,
    c::SYS_timer_gettime, c::SYS_timer_getoverrun, c::SYS_timer_delete, c::SYS_getrandom, c::SYS_uname,
    c::SYS_sysinfo, c::SYS_getcpu,
];

/// The older spellings that x86_64 still has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
pub(crate) const LEGACY: &[c::c_long] = &[
    c::SYS_stat, c::SYS_lstat, c::SYS_access, c::SYS_readlink, c::SYS_getdents, c::SYS_mkdir, c::SYS_rmdir,
    c::SYS_unlink, c::SYS_rename, c::SYS_renameat, c::SYS_link, c::SYS_symlink, c::SYS_utime, c::SYS_utimes,
    c::SYS_futimesat, c::SYS_dup2, c::SYS_pipe, c::SYS_chown, c::SYS_lchown, c::SYS_poll, c::SYS_select,
    c::SYS_epoll_create, c::SYS_epoll_wait, c::SYS_eventfd, c::SYS_signalfd, c::SYS_inotify_init,
    c::SYS_fork, c::SYS_vfork, c::SYS_getpgrp, c::SYS_arch_prctl, c::SYS_getrlimit, c::SYS_setrlimit,
    c::SYS_pause, c::SYS_alarm, c::SYS_time, 453 /* map_shadow_stack */,
];

/// The older spellings that this architecture still has.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const LEGACY: &[c::c_long] = &[c::SYS_renameat];

/// The last number that this table has judged; later ones are new to it.
pub(crate) const LAST_KNOWN: u32 = 470;

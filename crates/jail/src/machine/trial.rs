//! What is tried by a process that ends at once.
#![expect(
    unsafe_code,
    reason = "a process is cloned into namespaces, and only calls the kernel"
)]

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::sys::{self, Errno};

/// Namespaces by the name of their fact, with what trying them shows.
pub(super) const NAMESPACES: [(&str, i32, &str); 7] = [
    ("userns", 0, "a user namespace was made"),
    (
        "mountns",
        libc::CLONE_NEWNS,
        "a mount namespace was made in it",
    ),
    (
        "pidns",
        libc::CLONE_NEWPID,
        "a pid namespace was made in it",
    ),
    (
        "netns",
        libc::CLONE_NEWNET,
        "a network namespace was made in it",
    ),
    (
        "ipcns",
        libc::CLONE_NEWIPC,
        "an IPC namespace was made in it",
    ),
    (
        "utsns",
        libc::CLONE_NEWUTS,
        "a UTS namespace was made in it",
    ),
    (
        "cgroupns",
        libc::CLONE_NEWCGROUP,
        "a cgroup namespace was made in it",
    ),
];

/// Runs `what` in a new process, in new namespaces; its error is the process's exit status.
fn in_child(flags: i32, what: fn() -> Result<(), Errno>) -> Result<(), Errno> {
    let arguments = [
        (flags | libc::SIGCHLD).cast_unsigned() as usize,
        0,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: like fork(2), with a copy of this memory: the child takes no lock and does not allocate, because
    // `what` makes only raw system calls, and it never returns from here.
    let pid = unsafe { sys::call(libc::SYS_clone, arguments) }?;
    if pid == 0 {
        sys::exit(what().err().unwrap_or(0));
    }
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(libc::ESRCH)?;
    let status = loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => break status,
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.raw_os_error()),
        }
    };
    match status.exit_status() {
        Some(0) => Ok(()),
        Some(errno) => Err(errno),
        None => Err(libc::EINTR),
    }
}

/// Makes a user namespace, and in it the namespaces of `flags`.
pub(super) fn namespace(flags: i32) -> Result<(), Errno> {
    in_child(libc::CLONE_NEWUSER | flags, || Ok(()))
}

/// Mounts a file system by descriptor, in namespaces of its own.
pub(super) fn mount_api() -> Result<(), Errno> {
    in_child(libc::CLONE_NEWUSER | libc::CLONE_NEWNS, || {
        let context = sys::fsopen(c"tmpfs")?;
        sys::fsconfig_create(context)?;
        sys::fsmount(context, 0).map(|_| ())
    })
}

/// Puts a Landlock ruleset in force.
pub(super) fn landlock() -> Result<(), Errno> {
    in_child(0, || {
        let attributes = sys::LandlockAttr {
            fs: 1,
            ..Default::default()
        };
        let ruleset = sys::landlock_create(&attributes, size_of::<u64>())?;
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
        sys::landlock_restrict(ruleset)
    })
}

/// Installs a filter of system calls that allows all, and perhaps tells the host of them.
pub(super) fn filter(notify: bool) -> Result<(), Errno> {
    if notify {
        in_child(0, || install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER))
    } else {
        in_child(0, || install(0))
    }
}

fn install(flags: libc::c_ulong) -> Result<(), Errno> {
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    let allow = libc::sock_filter {
        code: 6,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: (&raw const allow).cast_mut(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER as usize;
    let arguments = [mode, flags as usize, (&raw const program) as usize, 0, 0, 0];
    // SAFETY: the program and its one instruction live across the call, which only reads them.
    unsafe { sys::call(libc::SYS_seccomp, arguments) }.map(|_| ())
}

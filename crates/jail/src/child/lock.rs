//! What is taken away: capabilities, paths by Landlock; and the proof that it is gone.

use std::ffi::CStr;

use super::{At, Failure, NetworkPlan, Plan, Step};
use crate::sys::{self, Errno};

/// `SECBIT_NOROOT`, `NO_SETUID_FIXUP`, `KEEP_CAPS` off, `NO_CAP_AMBIENT_RAISE`, each locked (capabilities(7)).
const SECUREBITS: usize = 0b1110_1111;

pub(super) fn drop_privileges() -> Result<(), Errno> {
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

pub(super) fn landlock(plan: &Plan) -> Result<(), Failure> {
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
    for port in plan.network.iter().flat_map(NetworkPlan::reachable_ports) {
        sys::landlock_connect(ruleset, port).at(Step::Landlock)?;
    }
    sys::landlock_restrict(ruleset).at(Step::Landlock)?;
    sys::close(ruleset);
    Ok(())
}

/// Tries what must fail, once all is in place (L13). The error is that of the missing part.
pub(super) fn self_test(networked: bool) -> Result<(), Errno> {
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
        if networked {
            sys::routes_to([192, 0, 2, 1]) == Err(libc::ENETUNREACH)
        } else {
            sys::socket(libc::AF_INET, libc::SOCK_STREAM) == Err(libc::EPERM)
        },
        sys::socket(libc::AF_NETLINK, libc::SOCK_RAW) == Err(libc::EPERM),
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

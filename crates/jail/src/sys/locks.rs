//! Descriptors of other processes, and locks on them.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{Errno, call, done, fd};

/// `PIDFD_THREAD` (Linux 6.9): a thread may have descriptors of its own.
const THREAD: i32 = libc::O_EXCL;

/// The size of `struct flock` on 64-bit Linux.
pub(crate) const LOCK: usize = size_of::<libc::flock>();

/// A descriptor of thread `thread` of process `process` (pidfd_open(2)). Older kernels know processes only.
pub(crate) fn pidfd_of(process: u32, thread: u32) -> Result<OwnedFd, Errno> {
    let open = |pid: u32, flags: i32| fd(number_call!(libc::SYS_pidfd_open, pid, flags));
    let pidfd = open(thread, THREAD).or_else(|_| open(process, 0))?;
    // SAFETY: just opened for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// A copy of descriptor `number` over there (pidfd_getfd(2)); the two share one open file, and its locks.
pub(crate) fn copy_of(pidfd: BorrowedFd<'_>, number: i32) -> Result<OwnedFd, Errno> {
    let copy = fd(number_call!(
        libc::SYS_pidfd_getfd,
        pidfd.as_raw_fd(),
        number,
        0
    ))?;
    // SAFETY: just made for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// flock(2), as its arguments came.
pub(crate) fn flock(file: BorrowedFd<'_>, operation: i32) -> Result<(), Errno> {
    done(number_call!(libc::SYS_flock, file.as_raw_fd(), operation))
}

/// `F_OFD_SETLK` of fcntl(2), which never waits; `lock` is a `struct flock` in memory order.
pub(crate) fn lock_part(file: BorrowedFd<'_>, lock: &[u8; LOCK]) -> Result<(), Errno> {
    let mut aligned = [0u64; LOCK / 8];
    for (word, bytes) in aligned.iter_mut().zip(lock.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    done(number_call!(
        libc::SYS_fcntl,
        file.as_raw_fd(),
        libc::F_OFD_SETLK,
        &raw const aligned
    ))
}

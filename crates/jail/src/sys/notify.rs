//! The host's side of seccomp user notification (seccomp_unotify(2)).

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Errno, call, done};

/// A system call that waits for our answer.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notification {
    pub(crate) id: u64,
    /// The thread, as the host numbers it.
    pub(crate) pid: u32,
    pub(crate) flags: u32,
    pub(crate) number: i32,
    pub(crate) arch: u32,
    pub(crate) instruction: u64,
    pub(crate) args: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    source: u32,
    target: u32,
    target_flags: u32,
}

const fn request(direction: u64, number: u64, size: usize) -> u64 {
    direction << 30 | (size as u64) << 16 | (b'!' as u64) << 8 | number
}

const WRITE: u64 = 1;
const BOTH: u64 = 3;
const RECEIVE: u64 = request(BOTH, 0, size_of::<Notification>());
const SEND: u64 = request(BOTH, 1, size_of::<Response>());
const ID_VALID: u64 = request(WRITE, 2, 8);
const ADD_FD: u64 = request(WRITE, 3, size_of::<AddFd>());
const SET_FLAGS: u64 = request(WRITE, 4, 8);

const CONTINUE: u32 = 1;
const SYNC_WAKE_UP: u64 = 1;
const ADD_FD_SEND: u32 = 2;

/// Lets the kernel switch straight from the asking thread to us and back, where it can (Linux 6.6).
pub(crate) fn wake_synchronously(listener: BorrowedFd<'_>) {
    let _ = number_call!(
        libc::SYS_ioctl,
        listener.as_raw_fd(),
        SET_FLAGS,
        SYNC_WAKE_UP
    );
}

/// The next call that waits. `ENOENT`: it went away meanwhile.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> Result<Notification, Errno> {
    let mut notification = Notification::default();
    number_call!(
        libc::SYS_ioctl,
        listener.as_raw_fd(),
        RECEIVE,
        &raw mut notification
    )?;
    Ok(notification)
}

fn respond(listener: BorrowedFd<'_>, response: &Response) -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_ioctl,
        listener.as_raw_fd(),
        SEND,
        &raw const *response
    ))
}

/// Lets the call go on as if nobody had looked. What we read of it may change before the kernel does:
/// only ever an answer to a call that the rest of the wall decides (L17).
pub(crate) fn let_go(listener: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
    let response = Response {
        id,
        value: 0,
        error: 0,
        flags: CONTINUE,
    };
    respond(listener, &response)
}

/// Answers the call with an error of ours; the kernel does not run it.
pub(crate) fn fail(listener: BorrowedFd<'_>, id: u64, errno: Errno) -> Result<(), Errno> {
    let response = Response {
        id,
        value: 0,
        error: -errno,
        flags: 0,
    };
    respond(listener, &response)
}

/// Answers the call with a result of ours; the kernel does not run it.
pub(crate) fn give(listener: BorrowedFd<'_>, id: u64, value: i64) -> Result<(), Errno> {
    let response = Response {
        id,
        value,
        error: 0,
        flags: 0,
    };
    respond(listener, &response)
}

/// Answers the call with a copy of `file`, as its new descriptor there.
pub(crate) fn give_file(
    listener: BorrowedFd<'_>,
    id: u64,
    file: BorrowedFd<'_>,
    close_on_exec: bool,
) -> Result<(), Errno> {
    let add = AddFd {
        id,
        flags: ADD_FD_SEND,
        source: file.as_raw_fd().cast_unsigned(),
        target: 0,
        target_flags: if close_on_exec {
            libc::O_CLOEXEC.cast_unsigned()
        } else {
            0
        },
    };
    done(number_call!(
        libc::SYS_ioctl,
        listener.as_raw_fd(),
        ADD_FD,
        &raw const add
    ))
}

/// Whether the call still waits, and so its process is still the one that made it.
pub(crate) fn still_waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    number_call!(
        libc::SYS_ioctl,
        listener.as_raw_fd(),
        ID_VALID,
        &raw const id
    )
    .is_ok()
}

/// Reads memory of thread `pid` at `address`; gives how many bytes could be read.
pub(crate) fn read_memory(pid: u32, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = [address, buffer.len() as u64];
    number_call!(
        libc::SYS_process_vm_readv,
        pid,
        &raw const local,
        1,
        remote.as_ptr(),
        1,
        0
    )
}

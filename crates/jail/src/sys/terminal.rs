//! Requests to terminals (ioctl_tty(2)).

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Errno, call, done, fd};

/// The kernel's `struct termios`, as it is.
pub(crate) type Modes = [u32; 9];

/// Rows, columns, and both in pixels.
pub(crate) type Size = [u16; 4];

/// Opens the other side of a pair of terminals by its own side, not by path.
const OPEN_PEER: i32 = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;

pub(crate) fn modes(terminal: BorrowedFd<'_>) -> Result<Modes, Errno> {
    let mut modes = Modes::default();
    let number = terminal.as_raw_fd();
    number_call!(libc::SYS_ioctl, number, libc::TCGETS, &raw mut modes)?;
    Ok(modes)
}

pub(crate) fn size(terminal: BorrowedFd<'_>) -> Result<Size, Errno> {
    let mut size = Size::default();
    let number = terminal.as_raw_fd();
    number_call!(libc::SYS_ioctl, number, libc::TIOCGWINSZ, &raw mut size)?;
    Ok(size)
}

pub(crate) fn set_modes(terminal: i32, modes: &Modes) -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_ioctl,
        terminal,
        libc::TCSETS,
        &raw const *modes
    ))
}

pub(crate) fn set_size(terminal: i32, size: &Size) -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_ioctl,
        terminal,
        libc::TIOCSWINSZ,
        &raw const *size
    ))
}

/// Unlocks a new pair and opens the program's side of it.
pub(crate) fn program_side(host_side: i32) -> Result<i32, Errno> {
    let unlocked = 0i32;
    number_call!(
        libc::SYS_ioctl,
        host_side,
        libc::TIOCSPTLCK,
        &raw const unlocked
    )?;
    fd(number_call!(
        libc::SYS_ioctl,
        host_side,
        libc::TIOCGPTPEER,
        OPEN_PEER
    ))
}

/// Makes it the controlling terminal of this session, which has none.
pub(crate) fn take_control(terminal: i32) -> Result<(), Errno> {
    done(number_call!(libc::SYS_ioctl, terminal, libc::TIOCSCTTY, 0))
}

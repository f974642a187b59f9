//! A terminal inside, in place of standard streams.

use super::TERMINAL;
use crate::sys::{self, Errno};
use crate::terminal::Terminal;

/// Makes the pair from the devices inside, hands the host its side, and makes the other one standard streams
/// and the controlling terminal of this session.
pub(super) fn make(like: &Terminal) -> Result<(), Errno> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let host_side = sys::openat(libc::AT_FDCWD, c"/dev/pts/ptmx", flags, 0)?;
    let own_side = sys::program_side(host_side)?;
    sys::set_modes(own_side, &like.modes)?;
    sys::set_size(own_side, &like.size)?;
    sys::take_control(own_side)?;
    let streams = if like.takes_errors() { 0..=2 } else { 0..=1 };
    for stream in streams {
        sys::dup3(own_side, stream, 0)?;
    }
    sys::send(TERMINAL, b'T', &[host_side])?;
    sys::close(host_side);
    sys::close(own_side);
    Ok(())
}

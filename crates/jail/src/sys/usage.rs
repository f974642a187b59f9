//! What an ended child has used up, as only its parent is told.

use super::{Errno, call};

/// What a process and all that it waited for have used up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) time: std::time::Duration,
    /// Bytes sent to file systems on disk.
    pub(crate) written: u64,
}

/// Waits for the end of a child and leaves it to be waited for again (waitid(2), its fifth argument).
pub(crate) fn usage_at_the_end(pidfd: i32, hang: bool) -> Result<Option<Usage>, Errno> {
    let mut info = [0u64; 16];
    // SAFETY: numbers and no pointers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOWAIT | if hang { 0 } else { libc::WNOHANG };
    number_call!(
        libc::SYS_waitid,
        libc::P_PIDFD,
        pidfd,
        &raw mut info,
        options,
        &raw mut usage
    )?;
    // The first number is SIGCHLD, or nothing where none has ended.
    if info.first() == Some(&0) {
        return Ok(None);
    }
    let time = |time: libc::timeval| {
        let micros = time
            .tv_sec
            .saturating_mul(1_000_000)
            .saturating_add(time.tv_usec);
        std::time::Duration::from_micros(micros.try_into().unwrap_or_default())
    };
    Ok(Some(Usage {
        time: time(usage.ru_utime) + time(usage.ru_stime),
        // In blocks of 512 bytes.
        written: u64::try_from(usage.ru_oublock).unwrap_or_default() << 9,
    }))
}

//! Calls that neither mounts nor Landlock judge, and that reach others all the same: a lock holds up whoever else
//! wants one on that file, and room in pipes is counted for all of a user's programs together.
//!
//! A descriptor's number may mean another file as soon as another thread wants it so. Therefore locks are taken by
//! the host, on a copy of the very descriptor that was judged; the program's own call never runs. One kind cannot be
//! had that way, because it belongs to a process (`F_SETLK`): see [`locks`].

mod locks;
mod pipes;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use bailiwick_wall::Denials;
use libc as c;

use crate::sys::notify::{self, Notification};
use locks::Locks;
use pipes::Pipes;

/// Answers such calls for one world.
#[derive(Debug, Default)]
pub(super) struct Guard {
    locks: Locks,
    pipes: Pipes,
}

impl Guard {
    /// Answers a call of these; false for all others.
    pub(super) fn answer(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        denials: &Denials,
    ) -> bool {
        match c::c_long::from(call.number) {
            c::SYS_flock | c::SYS_fcntl => self.locks.answer(listener, call, denials),
            c::SYS_pipe2 => self.pipe(listener, call, denials),
            #[cfg(target_arch = "x86_64")]
            c::SYS_pipe => self.pipe(listener, call, denials),
            _ => return false,
        }
        true
    }

    fn pipe(&mut self, listener: BorrowedFd<'_>, call: &Notification, denials: &Denials) {
        // What the call names is only where the numbers are to be written.
        let _ = match self.pipes.may_make_one(call.pid, denials) {
            true => notify::let_go(listener, call.id),
            false => notify::fail(listener, call.id, c::EMFILE),
        };
    }

    /// How long until something has to be looked at again; none where nothing has.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.locks.patience()
    }

    /// Looks at what waits.
    pub(super) fn look(&mut self, listener: BorrowedFd<'_>, denials: &Denials) {
        self.locks.look(listener, denials);
    }
}

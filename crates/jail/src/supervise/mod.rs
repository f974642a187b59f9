//! The host's watcher over one world: it answers the system calls that the filter hands out, and tells
//! what was refused. It decides nothing that the kernel decides: a call that it lets go on is still
//! bounded by mounts, Landlock and the namespaces.
//!
//! One small thread for each world. Should it end, the kernel answers `ENOSYS` to every call that would
//! have passed by it.

mod broker;
mod observe;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use bailiwick_wall::Denials;
use rustix::event::{PollFd, PollFlags, poll};

use crate::child::{ARMED, NOTIFICATIONS};
use crate::passing;
use crate::seccomp::{Judged, Profile, judge};
use crate::sys;
use crate::sys::notify::{self, Notification};
pub(crate) use broker::{Broker, Reads, Tree};
pub(crate) use observe::View;

/// What the thread needs besides its memory on the heap.
const STACK: usize = 256 * 1024;

/// Starts watching. `control` is the host's end of the socket on which the child sends its notifications'
/// descriptor; the thread ends with the last process of the world, or when the child never gets that far.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(
    control: OwnedFd,
    profile: Profile,
    view: View,
    broker: Broker,
    denials: Denials,
) -> io::Result<()> {
    let run = move || {
        let Ok(Some((NOTIFICATIONS, descriptors))) = passing::receive(&control, true) else {
            return;
        };
        let Some(listener) = descriptors.into_iter().next() else {
            return;
        };
        notify::wake_synchronously(listener.as_fd());
        let mut supervisor = Supervisor {
            control: Some(control),
            listener,
            profile,
            view,
            broker,
            denials,
        };
        // The broker makes files with the program's umask, not with the host's.
        if !supervisor.broker.is_idle() && sys::own_umask(0).is_err() {
            return;
        }
        while supervisor.waited() {
            supervisor.answer_next();
        }
    };
    thread::Builder::new()
        .name("wall".to_owned())
        .stack_size(STACK)
        .spawn(run)
        .map(drop)
}

struct Supervisor {
    /// Until the program itself runs.
    control: Option<OwnedFd>,
    listener: OwnedFd,
    profile: Profile,
    view: View,
    broker: Broker,
    denials: Denials,
}

impl Supervisor {
    /// Waits for a call; false once nobody is left who could make one.
    fn waited(&self) -> bool {
        let mut polled = [PollFd::new(&self.listener, PollFlags::IN)];
        loop {
            match poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
                Ok(_) => {
                    let [polled] = &polled;
                    return polled.revents().contains(PollFlags::IN);
                }
            }
        }
    }

    fn answer_next(&mut self) {
        let Ok(call) = notify::receive(self.listener.as_fd()) else {
            return;
        };
        let armed = self.is_armed();
        let judged = judge(self.profile, call.arch, call.number, &call.args);
        if armed
            && judged == Judged::Watched
            && self
                .broker
                .answer(self.listener.as_fd(), &call, &self.denials)
        {
            return;
        }
        // An answer that nobody waits for any more is no matter.
        let _ = match judged {
            Judged::Refused(errno) => {
                if armed {
                    observe::refused(&call, self.profile, &self.denials);
                }
                notify::fail(self.listener.as_fd(), call.id, errno)
            }
            Judged::Watched => self.observe(&call, armed),
        };
    }

    /// Looks at what is tried, lets the call go on, and then finds out what becomes of it.
    fn observe(&self, call: &Notification, armed: bool) -> Result<(), i32> {
        let attempt = if armed { observe::attempt(call) } else { None };
        // What was read is only a sight of a process that may meanwhile be another.
        let seen = notify::still_waits(self.listener.as_fd(), call.id);
        let outcome = notify::let_go(self.listener.as_fd(), call.id);
        if let Some(attempt) = attempt.filter(|_| seen) {
            self.view.tell(&attempt, &self.denials);
        }
        outcome
    }

    /// Whether the program itself runs by now: what comes before is our own building.
    fn is_armed(&mut self) -> bool {
        if let Some(control) = &self.control
            && let Ok(message) = passing::receive(control, false)
            && message.is_none_or(|(byte, _)| byte == ARMED)
        {
            self.control = None;
        }
        self.control.is_none()
    }
}

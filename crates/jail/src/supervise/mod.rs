//! The host's watcher over one world: it answers the system calls that the filter hands out, and tells
//! what was refused. It decides nothing that the kernel decides: a call that it lets go on is still
//! bounded by mounts, Landlock and the namespaces.
//!
//! One small thread for each world. Should it end, the kernel answers `ENOSYS` to every call that would
//! have passed by it.

mod address;
mod attempt;
mod broker;
mod guard;
mod inside;
mod observe;
mod programs;
mod refused;
mod used;
mod view;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bailiwick_wall::Denials;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::child::{ARMED, NOTIFICATIONS};
use crate::passing;
use crate::seccomp::{Judged, Profile, judge};
use crate::sys;
use crate::sys::notify::{self, Notification};
pub(crate) use broker::{Broker, Reads, Tree};
use guard::Guard;
use observe::Observer;
pub(crate) use programs::{ASK, Runner};
pub use programs::{Asked, Programs, Running};
pub(crate) use view::View;

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
    runner: Option<Runner>,
    denials: Denials,
) -> io::Result<Watcher> {
    let watcher = Watcher::default();
    let ended = Ended(watcher.clone());
    let run = move || {
        let _ended = ended;
        let Ok(Some((NOTIFICATIONS, descriptors))) = passing::receive(&control, true) else {
            return;
        };
        let Some(listener) = descriptors.into_iter().next() else {
            return;
        };
        notify::wake_synchronously(listener.as_fd());
        let mut supervisor = Supervisor {
            control: Some(control),
            listener: Arc::new(listener),
            profile,
            observer: Observer::new(view, denials.clone()),
            broker,
            guard: Guard::default(),
            runner,
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
        .map(|_| watcher)
}

/// How long the end of a world waits for what is still to be told of it. Finding out may hang where the host's own
/// file systems do.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The thread that watches one world.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watcher(Arc<(Mutex<bool>, Condvar)>);

impl Watcher {
    /// Returns once everything is told, after the last process has ended and was reaped.
    pub(crate) fn has_told(&self) {
        let (ended, bell) = &*self.0;
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = bell.wait_timeout_while(ended, LAST_WORDS, |ended| !*ended);
    }
}

/// However the thread ends.
struct Ended(Watcher);

impl Drop for Ended {
    fn drop(&mut self) {
        let (ended, bell) = &*self.0.0;
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        bell.notify_all();
    }
}

struct Supervisor {
    /// Until the program itself runs.
    control: Option<OwnedFd>,
    listener: Arc<OwnedFd>,
    profile: Profile,
    observer: Observer,
    broker: Broker,
    guard: Guard,
    runner: Option<Runner>,
    denials: Denials,
}

impl Supervisor {
    /// Waits for a call; false once nobody is left who could make one.
    fn waited(&mut self) -> bool {
        let listener = Arc::clone(&self.listener);
        let mut polled = [PollFd::new(&*listener, PollFlags::IN)];
        loop {
            let patience = self.guard.patience();
            let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
            match poll(&mut polled, patience.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
                Ok(0) => self.guard.look(self.listener.as_fd(), &self.denials),
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
        self.guard.look(self.listener.as_fd(), &self.denials);
        let armed = self.is_armed();
        if call.number.cast_unsigned() == ASK {
            return self.run(&call);
        }
        let judged = judge(self.profile, call.arch, call.number, &call.args);
        if armed && judged == Judged::Watched {
            self.observer.note(self.listener.as_fd(), &call);
        }
        if armed
            && judged == Judged::Watched
            && self
                .broker
                .answer(self.listener.as_fd(), &call, &self.denials)
        {
            return;
        }
        if armed
            && judged == Judged::Watched
            && self
                .guard
                .answer(self.listener.as_fd(), &call, &self.denials)
        {
            return;
        }
        // An answer that nobody waits for any more is no matter.
        let _ = match judged {
            Judged::Refused(errno) => {
                if armed {
                    let valid = || notify::still_waits(self.listener.as_fd(), call.id);
                    refused::tell(&call, self.profile, &self.denials, valid);
                }
                notify::fail(self.listener.as_fd(), call.id, errno)
            }
            Judged::Watched if armed => self.observer.watch(self.listener.as_fd(), &call),
            Judged::Watched => notify::let_go(self.listener.as_fd(), call.id),
        };
    }

    /// A stub asks; what is not asked by one of ours is refused like any unknown call.
    fn run(&self, call: &Notification) {
        match &self.runner {
            Some(runner) => runner.answer(&self.listener, call, &self.denials),
            None => {
                let _ = notify::fail(self.listener.as_fd(), call.id, libc::ENOSYS);
            }
        }
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

//! What a watched call tries, and whether the wall refuses it.

use bailiwick_wall::Denials;

use crate::seccomp::Profile;
use crate::sys::notify::Notification;

/// What a program finds inside, as far as refusals are concerned.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {}

/// One thing that was tried.
#[derive(Debug)]
pub(crate) struct Attempt {}

/// Reads what a call tries, while it waits.
pub(crate) fn attempt(_call: &Notification) -> Option<Attempt> {
    None
}

impl View {
    /// Tells it when it is refused.
    pub(crate) fn tell(&self, _attempt: &Attempt, _denials: &Denials) {}
}

/// Tells a call that the filter refuses.
pub(crate) fn refused(call: &Notification, _profile: Profile, denials: &Denials) {
    let target = format!("system call {}", call.number);
    denials.add(
        "system_call",
        &target,
        "no program inside the wall may make it",
    );
}

//! What was dropped or refused on one connection, counted: dropping in silence would hide an attack.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the connection began.
#[derive(Debug, Default)]
pub struct Counters {
    malformed: AtomicU64,
    notifications: AtomicU64,
    responses: AtomicU64,
    requests: AtomicU64,
}

impl Counters {
    /// Lines that are not messages.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    /// Notifications outside the closed table, or malformed ones.
    #[must_use]
    pub fn dropped_notifications(&self) -> u64 {
        self.notifications.load(Ordering::Relaxed)
    }

    /// Responses that answer no open request: late, repeated, or made up.
    #[must_use]
    pub fn stray_responses(&self) -> u64 {
        self.responses.load(Ordering::Relaxed)
    }

    /// Requests outside the closed table.
    #[must_use]
    pub fn refused_requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn add_malformed(&self) -> u64 {
        self.malformed
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    pub(crate) fn add_notification(&self) {
        self.notifications.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_response(&self) {
        self.responses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

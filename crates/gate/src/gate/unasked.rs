//! What a gate does by itself while a session is open, also while nobody calls.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Inner;

/// How soon a plugin ends whose grant ended or was revoked, also while nobody calls it.
const LAPSE_CHECK: Duration = Duration::from_millis(250);
/// How soon a refused operation is in the log, also while nobody calls.
const TELLING: Duration = Duration::from_secs(1);

/// How soon policies that ask what time it is, or expire, are heeded.
const TIME_CHECK: Duration = Duration::from_secs(1);

/// Begins all of it; it ends with the gate.
pub(super) fn all(gate: &Arc<Inner>) {
    tokio::spawn(watch_lapses(Arc::downgrade(gate)));
    tokio::spawn(tell_denied(Arc::downgrade(gate)));
    tokio::spawn(watch_time(Arc::downgrade(gate)));
}

/// Ends plugins whose grants hold no more, also while nobody calls them.
async fn watch_lapses(gate: Weak<Inner>) {
    loop {
        tokio::time::sleep(LAPSE_CHECK).await;
        let Some(inner) = gate.upgrade() else { return };
        let _running = inner.running.read().await;
        if inner.ending.is_cancelled() {
            return;
        }
        if let Some(session) = inner.session.get()
            && let Err(error) = session.end_lapsed().await
        {
            inner.stop(&error);
            return;
        }
    }
}

/// Records what plugins try in vain by themselves.
async fn tell_denied(gate: Weak<Inner>) {
    loop {
        tokio::time::sleep(TELLING).await;
        let Some(inner) = gate.upgrade() else { return };
        // Nothing is recorded of a session that has ended; its end tells the rest.
        let _running = inner.running.read().await;
        if inner.ending.is_cancelled() {
            return;
        }
        if let Some(session) = inner.session.get()
            && let Err(error) = session.tell_denied().await
        {
            inner.stop(&error);
            return;
        }
    }
}

/// Holds plugins to what policies say at this time.
async fn watch_time(gate: Weak<Inner>) {
    loop {
        tokio::time::sleep(TIME_CHECK).await;
        let Some(inner) = gate.upgrade() else { return };
        let _running = inner.running.read().await;
        if inner.ending.is_cancelled() {
            return;
        }
        let Some(session) = inner.session.get() else {
            continue;
        };
        let _alone = inner.changing.lock().await;
        match session.time_passed().await {
            Ok(None) => {}
            Ok(Some(notes)) => {
                (inner.notes)(session, &notes);
                inner.ask_for_more(session);
                inner.list_changed.notify();
            }
            Err(error) => {
                inner.stop(&error);
                return;
            }
        }
    }
}

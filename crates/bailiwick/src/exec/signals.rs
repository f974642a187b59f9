//! Signals that are meant for the program.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

/// Those that are passed on, and two about our own terminal.
const PASSED: [Signal; 9] = [
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::TSTP,
    Signal::CONT,
    Signal::WINCH,
];

/// From here on none of these does to us what it usually does.
///
/// # Errors
/// When the system takes no handlers.
pub(super) fn caught() -> std::io::Result<Receiver<Signal>> {
    let (sender, receiver) = channel(PASSED.len());
    for kind in PASSED {
        let mut arriving = signal(SignalKind::from_raw(kind.as_raw()))?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while arriving.recv().await.is_some() {
                if sender.send(kind).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}

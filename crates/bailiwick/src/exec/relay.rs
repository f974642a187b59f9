//! Copies what a program prints, within its bound.

use std::fs::File;
use std::io::{Read as _, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

const CHUNK: usize = 16 << 10;

/// How much may still be printed, on all streams together.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    left: Arc<AtomicU64>,
    spent: mpsc::Sender<()>,
}

impl Budget {
    /// A budget of this many bytes, and what tells when more was wanted.
    pub(super) fn new(bytes: Option<u64>) -> (Self, mpsc::Receiver<()>) {
        let (spent, told) = mpsc::channel(1);
        let left = Arc::new(AtomicU64::new(bytes.unwrap_or(u64::MAX)));
        (Self { left, spent }, told)
    }

    /// How many of `wanted` bytes may be printed.
    fn take(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let less = |left: u64| Some(left.saturating_sub(wanted));
        let before = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .unwrap_or(0);
        if before < wanted {
            // One telling is enough.
            let _ = self.spent.try_send(());
        }
        usize::try_from(before.min(wanted)).unwrap_or(0)
    }
}

/// Copies on a thread of its own, because the streams of a person's terminal cannot be waited for without changing
/// them for whoever shares them. The receiver answers once all is copied.
pub(super) fn copy(
    from: OwnedFd,
    mut to: impl Write + Send + 'static,
    budget: Budget,
) -> std::io::Result<oneshot::Receiver<()>> {
    let (done, all) = oneshot::channel();
    let mut from = File::from(from);
    let work = move || {
        let mut chunk = vec![0; CHUNK];
        loop {
            match from.read(&mut chunk) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // The other side of a terminal that nobody holds any more is an error, not an end.
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let count = budget.take(count);
                    let printed = to
                        .write_all(chunk.get(..count).unwrap_or_default())
                        .and_then(|()| to.flush());
                    match printed {
                        Ok(()) if count > 0 => {}
                        // Nobody reads on, as a program would be told by a signal.
                        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                            eprintln!(
                                "bailiwick: what the program prints cannot be written: {error}"
                            );
                            break;
                        }
                        _ => break,
                    }
                }
            }
        }
        let _ = done.send(());
    };
    std::thread::Builder::new()
        .name("relay".to_owned())
        .spawn(work)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_budget_is_printed_and_the_excess_is_told() {
        let (budget, mut told) = Budget::new(Some(10));
        assert_eq!((budget.take(4), budget.clone().take(6)), (4, 6));
        assert!(told.try_recv().is_err());
        assert_eq!((budget.take(1), budget.take(5)), (0, 0));
        told.try_recv().unwrap();
        assert_eq!(Budget::new(None).0.take(usize::MAX), usize::MAX);
    }
}

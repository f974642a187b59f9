//! What a call leaves beside its result: refused operations, and what the guest printed.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bailiwick_wall::Denied;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// Most refused operations kept of one call; a plugin controls how many it tries.
const MAX_DENIED: usize = 64;
/// Most bytes kept of what an operation was refused for: as much as a path may be long.
const MAX_TARGET: usize = 4 << 10;
/// Most bytes of the guest's output kept of one call.
const MAX_LOG: usize = 64 << 10;

/// What a call leaves beside its result. Text from inside is data: readers escape it.
#[derive(Debug, Clone, Default)]
pub struct Aside {
    /// Refused operations, at most 64.
    pub denied: Vec<Denied>,
    /// How many more were refused.
    pub denied_dropped: u64,
    /// What the guest wrote to stdout and stderr, at most 64 KiB. Empty unless `write_to_logs` is granted.
    pub log: Vec<u8>,
    /// How many more bytes it wrote.
    pub log_dropped: u64,
}

/// A shared handle on an [`Aside`].
#[derive(Clone, Default)]
pub(crate) struct Notes {
    aside: Arc<Mutex<Aside>>,
    keep_log: bool,
}

impl Notes {
    pub(crate) fn new(keep_log: bool) -> Self {
        Self {
            aside: Arc::default(),
            keep_log,
        }
    }

    pub(crate) fn denied(
        &self,
        operation: impl Into<String>,
        target: impl Into<String>,
        reason: impl Into<String>,
    ) {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        if aside.denied.len() < MAX_DENIED {
            aside.denied.push(Denied {
                operation: operation.into(),
                target: bounded(target.into()),
                reason: bounded(reason.into()),
                times: 1,
            });
        } else {
            aside.denied_dropped += 1;
        }
    }

    pub(crate) fn take(&self) -> Aside {
        std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn print(&self, bytes: &[u8]) {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        let room = if self.keep_log {
            MAX_LOG.saturating_sub(aside.log.len())
        } else {
            0
        };
        let (kept, dropped) = bytes.split_at(room.min(bytes.len()));
        aside.log.extend_from_slice(kept);
        if self.keep_log {
            aside.log_dropped += u64::try_from(dropped.len()).unwrap_or(u64::MAX);
        }
    }
}

/// The guest chooses what it is refused.
fn bounded(mut text: String) -> String {
    if text.len() > MAX_TARGET {
        text.truncate(text.floor_char_boundary(MAX_TARGET));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

impl IsTerminal for Notes {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Notes {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Notes {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.print(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_refusals_is_bounded() {
        let notes = Notes::new(false);
        for _ in 0..100 {
            notes.denied("read_files", "ü".repeat(1 << 20), "x".repeat(1 << 20));
        }
        let aside = notes.take();
        assert_eq!((aside.denied.len(), aside.denied_dropped), (64, 36));
        for denied in aside.denied {
            assert!(denied.target.len() <= MAX_TARGET + 3 && denied.target.ends_with('…'));
            assert!(denied.reason.len() <= MAX_TARGET + 3);
        }
    }
}

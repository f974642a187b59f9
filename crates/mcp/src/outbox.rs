//! The writing side of a connection, shared by whoever has a line to send.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

/// Writes whole lines, in order, one write each where the stream takes it. Dropping a pending [`send`](Self::send)
/// never tears a line: what is left of it goes out before the next one. A peer that does not read makes senders wait.
pub(crate) struct Outbox {
    half: Mutex<Half>,
}

struct Half {
    sink: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    line: Vec<u8>,
    sent: usize,
}

impl Outbox {
    pub(crate) fn new(sink: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            half: Mutex::new(Half {
                sink: Some(Box::new(sink)),
                line: Vec::new(),
                sent: 0,
            }),
        }
    }

    /// Sends a line that ends in its line end.
    pub(crate) async fn send(&self, line: Vec<u8>) -> io::Result<()> {
        let mut half = self.half.lock().await;
        half.flush().await?;
        half.line = line;
        half.sent = 0;
        half.flush().await
    }

    /// Closes the stream, which the peer sees as the end of its input.
    pub(crate) async fn close(&self) {
        let sink = self.half.lock().await.sink.take();
        if let Some(mut sink) = sink {
            // The peer may be gone already; there is nothing left to tell it.
            let _ = sink.shutdown().await;
        }
    }
}

impl Half {
    async fn flush(&mut self) -> io::Result<()> {
        let result = self.write_rest().await;
        if result.is_err() {
            self.sink = None;
        }
        result
    }

    async fn write_rest(&mut self) -> io::Result<()> {
        let Some(sink) = &mut self.sink else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        while let Some(rest) = self.line.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let wrote = sink.write(rest).await?;
            if wrote == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.sent = self.sent.saturating_add(wrote);
        }
        sink.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_dropped_send_does_not_tear_a_line() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let outbox = Outbox::new(ours);
        let torn = outbox.send(b"0123456789\n".to_vec());
        assert!(
            tokio::time::timeout(Duration::from_millis(20), torn)
                .await
                .is_err()
        );
        let reading = tokio::spawn(async move {
            let mut all = String::new();
            theirs.read_to_string(&mut all).await.map(|_| all)
        });
        outbox.send(b"next\n".to_vec()).await.unwrap();
        drop(outbox);
        assert_eq!(reading.await.unwrap().unwrap(), "0123456789\nnext\n");
    }

    #[tokio::test]
    async fn a_broken_pipe_stays_broken() {
        let (ours, theirs) = tokio::io::duplex(4);
        drop(theirs);
        let outbox = Outbox::new(ours);
        assert!(outbox.send(b"a\n".to_vec()).await.is_err());
        assert!(outbox.send(b"b\n".to_vec()).await.is_err());
    }
}

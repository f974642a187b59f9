//! An output stream that ends where a file would grow too large.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Passes on what the cap leaves room for.
pub(super) struct Capped {
    pub(super) inner: DynOutputStream,
    pub(super) room: Room,
}

/// How much more may be written.
pub(super) enum Room {
    /// This many bytes, for a stream that writes from a fixed place.
    Left(u64),
    /// Until the file has this size, for a stream that appends: others may append as well.
    UpTo(Arc<File>, u64),
}

impl Room {
    fn left(&self) -> u64 {
        match self {
            Self::Left(left) => *left,
            Self::UpTo(file, size) => {
                let now = file.metadata().map_or(u64::MAX, |meta| meta.len());
                size.saturating_sub(now)
            }
        }
    }
}

fn too_large() -> StreamError {
    StreamError::LastOperationFailed(io::Error::from(io::ErrorKind::FileTooLarge).into())
}

#[async_trait]
impl OutputStream for Capped {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let rest = self.room.left().checked_sub(len).ok_or_else(too_large)?;
        if let Room::Left(left) = &mut self.room {
            *left = rest;
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let permit = self.inner.check_write()?;
        match usize::try_from(self.room.left()).unwrap_or(usize::MAX) {
            0 => Err(too_large()),
            left => Ok(permit.min(left)),
        }
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Capped {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

    use super::*;

    #[test]
    fn a_stream_ends_at_its_cap() {
        let pipe = MemoryOutputPipe::new(100);
        let mut stream = Capped {
            inner: Box::new(pipe.clone()),
            room: Room::Left(5),
        };
        assert_eq!(stream.check_write().unwrap(), 5);
        stream.write(Bytes::from_static(b"abc")).unwrap();
        assert!(stream.write(Bytes::from_static(b"def")).is_err());
        stream.room = Room::Left(0);
        assert!(stream.check_write().is_err());
        let file = tempfile::tempfile().unwrap();
        file.set_len(7).unwrap();
        stream.room = Room::UpTo(Arc::new(file), 10);
        assert_eq!(stream.check_write().unwrap(), 3);
        assert_eq!(pipe.contents().as_ref(), b"abc");
    }
}

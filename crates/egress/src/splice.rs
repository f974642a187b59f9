//! Both ways between two TCP connections: by copying while little is said, through a pipe in the kernel
//! (splice(2)) once it becomes a transfer.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::net::Shutdown;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes that a connection has for copying, each way.
const BUFFER: usize = 8 << 10;
/// Bytes in one direction from which on it is a transfer. A pipe costs two descriptors and some pages.
const TRANSFER: usize = 128 << 10;
/// Size asked of a pipe; the system may give less.
const PIPE: usize = 1 << 20;
/// Longest silence in both directions, as long as TCP's own keep-alive waits.
const SILENCE: Duration = Duration::from_hours(2);

/// Carries bytes both ways until both sides have ended, or one has failed. Each end is passed on alone, so
/// that one side may end while the other still speaks; a failure is passed on as a reset, never as an end.
pub(crate) async fn both(a: &TcpStream, b: &TcpStream) -> io::Result<()> {
    let moved = AtomicU64::new(0);
    let done = tokio::try_join!(one_way(a, b, &moved), one_way(b, a, &moved));
    if done.is_err() {
        let _ = (a.set_zero_linger(), b.set_zero_linger());
    }
    done.map(|_| ())
}

async fn one_way(from: &TcpStream, to: &TcpStream, moved: &AtomicU64) -> io::Result<()> {
    if !copy(from, to, moved, TRANSFER).await? {
        match Pipe::new() {
            Ok(pipe) => transfer(from, to, moved, &pipe).await?,
            // No descriptors are left; slower is better than not at all.
            Err(_) => {
                copy(from, to, moved, usize::MAX).await?;
            }
        }
    }
    rustix::net::shutdown(to, Shutdown::Write)?;
    Ok(())
}

/// Copies until the end, and answers `true`, or until `most` bytes were copied.
async fn copy(
    from: &TcpStream,
    to: &TcpStream,
    moved: &AtomicU64,
    most: usize,
) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    let mut copied = 0usize;
    while copied < most {
        let reading = from.async_io(Interest::READABLE, || from.try_read(&mut buffer));
        let count = heard(moved, reading).await?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            return Ok(true);
        }
        while !rest.is_empty() {
            let written = to
                .async_io(Interest::WRITABLE, || to.try_write(rest))
                .await?;
            rest = rest.get(written..).unwrap_or_default();
        }
        copied = copied.saturating_add(count);
    }
    Ok(false)
}

/// A pipe that holds what is on its way.
struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    size: usize,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A user's pipes have a common bound; beyond it a small one does.
        let size = fcntl_setpipe_size(&into, PIPE).unwrap_or(64 << 10);
        Ok(Self { out, into, size })
    }
}

/// Moves bytes without copying them, until the end.
async fn transfer(
    from: &TcpStream,
    to: &TcpStream,
    moved: &AtomicU64,
    pipe: &Pipe,
) -> io::Result<()> {
    loop {
        // The pipe is empty here, so that "would block" can only mean that nothing has arrived.
        let reading = from.async_io(Interest::READABLE, || carry(from, &pipe.into, pipe.size));
        let mut count = heard(moved, reading).await?;
        if count == 0 {
            return Ok(());
        }
        while count > 0 {
            let writing = to.async_io(Interest::WRITABLE, || carry(&pipe.out, to, count));
            count = count.saturating_sub(writing.await?);
        }
    }
}

fn carry(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(splice(from, None, to, None, most, flags)?)
}

/// Waits for a read, however long, unless both directions are silent for [`SILENCE`].
async fn heard(
    moved: &AtomicU64,
    reading: impl Future<Output = io::Result<usize>>,
) -> io::Result<usize> {
    tokio::pin!(reading);
    loop {
        let before = moved.load(Ordering::Relaxed);
        match timeout(SILENCE, &mut reading).await {
            Ok(count) => {
                moved.fetch_add(1, Ordering::Relaxed);
                return count;
            }
            Err(_) if moved.load(Ordering::Relaxed) == before => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(_) => {}
        }
    }
}

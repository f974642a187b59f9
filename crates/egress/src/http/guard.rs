//! Follows a plugin's HTTP/1.1 connection message by message, ahead of the reader that serves it.
//!
//! Each head is let through only when it is whole and checked; bodies are followed to their end, so that
//! what comes next is known to be a head again and nothing can hide inside.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::{self, Ambiguous, Framing, MAX_HEAD};

/// Bytes read at once.
const READ: usize = 16 << 10;
/// Longest line that gives a chunk's size: sixteen digits and the line's end.
const MAX_SIZE_LINE: usize = 18;
/// All trailers of one request together.
const MAX_TRAILERS: usize = 16 << 10;

/// What is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Head,
    Body(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailers(usize),
    /// Another protocol, or a connection that is about to be closed.
    Beyond,
}

/// A stream whose requests are all unambiguous; otherwise it ends, with a short answer.
pub(super) struct Guard<S, F> {
    stream: S,
    /// Read and not handed on; what lies before `passed` may be, what lies before `start` was.
    ahead: Vec<u8>,
    start: usize,
    passed: usize,
    /// Up to where a line's end was looked for.
    seen: usize,
    at: At,
    tell: F,
    /// The answer to an ambiguous request, and how much of it is written.
    answer: Option<(Vec<u8>, usize)>,
}

impl<S, F: FnMut(Ambiguous)> Guard<S, F> {
    /// `tell` is called once, with the reason, where a request is refused.
    pub(super) fn new(stream: S, tell: F) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            start: 0,
            passed: 0,
            seen: 0,
            at: At::Head,
            tell,
            answer: None,
        }
    }

    fn refuse(&mut self, reason: Ambiguous) {
        (self.tell)(reason);
        let text = format!("refused by bailiwick: {reason}\n");
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        );
        self.answer = Some((answer.into_bytes(), 0));
    }

    /// Lets through as much as is known to be good.
    fn advance(&mut self) -> Result<(), Ambiguous> {
        while self.passed < self.ahead.len() {
            let have = self.ahead.len() - self.passed;
            let (pass, next) = match self.at {
                At::Beyond => (have, At::Beyond),
                At::Body(left) if left <= have => (left, At::Head),
                At::Body(left) => (have, At::Body(left - have)),
                At::Chunk(left) if left <= have => (left, At::ChunkEnd),
                At::Chunk(left) => (have, At::Chunk(left - have)),
                At::Head => match self.head()? {
                    Some(found) => found,
                    None => return Ok(()),
                },
                At::ChunkSize | At::ChunkEnd | At::Trailers(_) => match self.line()? {
                    Some(found) => found,
                    None => return Ok(()),
                },
            };
            self.passed += pass;
            self.seen = self.passed;
            self.at = next;
        }
        Ok(())
    }

    /// The end of the next line, CRLF included, from the last line's end that was looked at.
    fn line_end(&mut self) -> Result<Option<usize>, Ambiguous> {
        let rest = self.ahead.get(self.seen..).unwrap_or_default();
        let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
            self.seen = self.ahead.len();
            return Ok(None);
        };
        let end = self.seen + at + 1;
        self.seen = end;
        let line = self.ahead.get(self.passed..end).unwrap_or_default();
        if !line.ends_with(b"\r\n") {
            return Err(Ambiguous("a line does not end in CRLF"));
        }
        Ok(Some(end))
    }

    fn head(&mut self) -> Result<Option<(usize, At)>, Ambiguous> {
        while let Some(end) = self.line_end()? {
            let head = self.ahead.get(self.passed..end).unwrap_or_default();
            if head.len() == 2 || head.ends_with(b"\r\n\r\n") {
                let next = match head::check(head)? {
                    Framing::Length(0) => At::Head,
                    Framing::Length(length) => At::Body(size(length)?),
                    Framing::Chunked => At::ChunkSize,
                    Framing::Upgrade => At::Beyond,
                };
                return Ok(Some((head.len(), next)));
            }
        }
        if self.ahead.len() - self.passed > MAX_HEAD {
            return Err(Ambiguous("the head of the request is too long"));
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<(usize, At)>, Ambiguous> {
        let limit = match self.at {
            At::Trailers(before) => MAX_TRAILERS.saturating_sub(before),
            _ => MAX_SIZE_LINE,
        };
        let end = self.line_end()?.unwrap_or(self.ahead.len());
        let whole = self.ahead.get(self.passed..end).unwrap_or_default();
        if whole.len() > limit {
            return Err(Ambiguous("a line of a chunked body is too long"));
        }
        let Some(line) = whole.strip_suffix(b"\r\n") else {
            return Ok(None);
        };
        let next = match self.at {
            At::ChunkEnd if line.is_empty() => At::ChunkSize,
            At::ChunkSize => match chunk_size(line)? {
                0 => At::Trailers(0),
                length => At::Chunk(size(length)?),
            },
            At::Trailers(_) if line.is_empty() => At::Head,
            At::Trailers(before) => {
                head::check_trailer(line)?;
                At::Trailers(before + whole.len())
            }
            _ => return Err(Ambiguous("a chunk is longer than it says")),
        };
        Ok(Some((whole.len(), next)))
    }
}

fn size(length: u64) -> Result<usize, Ambiguous> {
    usize::try_from(length).map_err(|_| Ambiguous("a body is longer than memory"))
}

/// Hexadecimal digits and nothing else: extensions of chunks are read in more than one way.
fn chunk_size(line: &[u8]) -> Result<u64, Ambiguous> {
    let refuse = Ambiguous("the size of a chunk is not just hexadecimal digits");
    let plain = (1..=15).contains(&line.len()) && line.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(line).map_err(|_| refuse)?;
    u64::from_str_radix(text, 16)
        .ok()
        .filter(|_| plain)
        .ok_or(refuse)
}

impl<S: AsyncRead + Unpin, F: FnMut(Ambiguous) + Unpin> AsyncRead for Guard<S, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.start < this.passed {
                let end = this.passed.min(this.start + out.remaining());
                out.put_slice(this.ahead.get(this.start..end).unwrap_or_default());
                this.start = end;
                return Poll::Ready(Ok(()));
            }
            if this.answer.is_some() {
                return Poll::Ready(Ok(()));
            }
            this.ahead.drain(..this.passed);
            this.seen -= this.passed;
            (this.start, this.passed) = (0, 0);
            let before = this.ahead.len();
            this.ahead.resize(before + READ, 0);
            let mut buffer = ReadBuf::new(this.ahead.get_mut(before..).unwrap_or_default());
            let result = Pin::new(&mut this.stream).poll_read(cx, &mut buffer);
            let read = buffer.filled().len();
            this.ahead.truncate(before + read);
            ready!(result)?;
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Err(reason) = this.advance() {
                this.refuse(reason);
            }
        }
    }
}

impl<S: AsyncWrite + Unpin, F: Unpin> AsyncWrite for Guard<S, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// The reader behind shuts down when it finds the end; only then is it sure that no answer of its
    /// own is under way.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some((answer, written)) = &mut this.answer {
            while let Some(rest) = answer.get(*written..).filter(|rest| !rest.is_empty()) {
                let count = ready!(Pin::new(&mut this.stream).poll_write(cx, rest))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                *written += count;
            }
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// What is let through of `bytes` that arrive in pieces of `size`, and why it ended.
    async fn through(bytes: &str, size: usize) -> (String, Option<&'static str>) {
        let pieces: Vec<_> = bytes.as_bytes().chunks(size).collect();
        let mut builder = tokio_test_pieces(&pieces);
        let mut reason = None;
        let mut out = Vec::new();
        let mut guard = Guard::new(&mut builder, |why: Ambiguous| reason = Some(why.0));
        guard.read_to_end(&mut out).await.unwrap();
        (String::from_utf8(out).unwrap(), reason)
    }

    struct Pieces(std::collections::VecDeque<Vec<u8>>);

    fn tokio_test_pieces(pieces: &[&[u8]]) -> Pieces {
        Pieces(pieces.iter().map(|piece| piece.to_vec()).collect())
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(piece) = self.0.pop_front() {
                out.put_slice(&piece);
            }
            Poll::Ready(Ok(()))
        }
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const SIZED: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /";
    const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[tokio::test]
    async fn messages_pass_however_they_are_cut() {
        let all = format!(
            "{GET}{SIZED}{CHUNKED}a\r\n0123456789\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n{GET}{CHUNKED}0\r\n\r\n{GET}"
        );
        for size in [1, 2, 3, 7, 64, 10_000] {
            assert_eq!(through(&all, size).await, (all.clone(), None), "{size}");
        }
    }

    #[tokio::test]
    async fn nothing_after_an_ambiguity_passes() {
        for (good, bad) in [
            (SIZED, "Smuggled: 1\r\n\r\n"),
            (GET, "GET / HTTP/1.0\r\n\r\n"),
            (GET, "GET / HTTP/1.1\nHost: a\n\n"),
        ] {
            for size in [1, 5, 10_000] {
                let (passed, reason) = through(&format!("{good}{bad}{GET}"), size).await;
                assert_eq!(passed, good);
                assert!(reason.is_some());
            }
        }
        for body in [
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3;x=y\r\nabc\r\n0\r\n\r\n",
            "3 \r\nabc\r\n0\r\n\r\n",
            "+3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "\r\n0\r\n\r\n",
            "11111111111111111\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "0\r\nContent-Length: 1\r\n\r\n",
            "0\r\n x: y\r\n\r\n",
            "-1\r\n\r\n",
        ] {
            for size in [1, 5, 10_000] {
                let (passed, reason) = through(&format!("{CHUNKED}{body}{GET}"), size).await;
                assert!(reason.is_some(), "{body:?}");
                assert!(!passed.contains("GET"), "{body:?} let {passed:?} through");
            }
        }
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_cut_off() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: y\r\n".repeat(12_000));
        let (passed, reason) = through(&long, 1000).await;
        assert_eq!(passed, "");
        assert!(reason.is_some());
    }
}

//! The stdio framing: one message a line, over any byte stream, in bounded memory.

use std::io;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read at once.
const CHUNK: usize = 8 << 10;
/// A buffer that one long line has made larger than this is given back once it is empty.
const KEPT: usize = 1 << 20;

/// One line without its line end, or the news that one was too long.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line of at most the limit, not empty. A carriage return before the line end is still in it.
    Text(&'a [u8]),
    /// The line is over the limit. Its bytes are skipped as they arrive; reading goes on at the next line.
    TooLong,
}

/// Splits a byte stream into lines. Dropping a pending [`next`](Self::next) loses nothing.
#[derive(Debug)]
pub struct LineReader<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    limit: usize,
    skipping: bool,
    ended: bool,
}

enum Step {
    Found(Range<usize>),
    TooLong,
    End,
    More,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// A reader that accepts lines of at most `limit` bytes.
    pub fn new(source: R, limit: usize) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            limit,
            skipping: false,
            ended: false,
        }
    }

    /// The next line that is not empty; `None` at the end of the stream. Bytes after the last line end are a line of
    /// their own: a JSON object that is complete cannot be the beginning of another one.
    ///
    /// # Errors
    /// Whatever reading the stream gives.
    pub async fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            match self.step() {
                Step::Found(range) => {
                    return Ok(self.buffer.get(range).map(Line::Text));
                }
                Step::TooLong => return Ok(Some(Line::TooLong)),
                Step::End => return Ok(None),
                Step::More => self.fill().await?,
            }
        }
    }

    fn step(&mut self) -> Step {
        loop {
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(at) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.buffer.len();
                return self.without_line_end();
            };
            let line = self.start..self.scanned.saturating_add(at);
            self.start = line.end.saturating_add(1);
            self.scanned = self.start;
            if std::mem::take(&mut self.skipping) || self.is_blank(&line) {
                continue;
            }
            return if line.len() > self.limit {
                Step::TooLong
            } else {
                Step::Found(line)
            };
        }
    }

    fn without_line_end(&mut self) -> Step {
        let rest = self.start..self.buffer.len();
        if self.skipping || (rest.len() > self.limit) {
            self.buffer.clear();
            (self.start, self.scanned) = (0, 0);
            return match (std::mem::replace(&mut self.skipping, true), self.ended) {
                (false, _) => Step::TooLong,
                (true, false) => Step::More,
                (true, true) => Step::End,
            };
        }
        if !self.ended {
            return Step::More;
        }
        self.start = rest.end;
        if self.is_blank(&rest) {
            Step::End
        } else {
            Step::Found(rest)
        }
    }

    fn is_blank(&self, range: &Range<usize>) -> bool {
        let line = self.buffer.get(range.clone()).unwrap_or_default();
        line.iter().all(u8::is_ascii_whitespace)
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.start == self.buffer.len() && self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
        } else if self.start > 0 {
            self.buffer.drain(..self.start);
        }
        self.scanned = self.scanned.saturating_sub(self.start);
        self.start = 0;
        self.buffer.reserve(CHUNK);
        if self.source.read_buf(&mut self.buffer).await? == 0 {
            self.ended = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(input: &[u8], limit: usize) -> Vec<Option<Vec<u8>>> {
        lines_by(input, limit, 64 << 10)
    }

    fn lines_by(input: &[u8], limit: usize, piece: usize) -> Vec<Option<Vec<u8>>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut from, to) = tokio::io::duplex(piece);
            let feed = async move {
                tokio::io::AsyncWriteExt::write_all(&mut from, input)
                    .await
                    .unwrap();
            };
            let read = async {
                let mut reader = LineReader::new(to, limit);
                let mut lines = Vec::new();
                while let Some(line) = reader.next().await.unwrap() {
                    lines.push(match line {
                        Line::Text(text) => Some(text.to_vec()),
                        Line::TooLong => None,
                    });
                }
                lines
            };
            tokio::join!(feed, read).1
        })
    }

    #[test]
    fn lines_are_split_and_blank_ones_skipped() {
        let wanted = vec![
            Some(b"a".to_vec()),
            Some(b"b\r".to_vec()),
            Some(b"c".to_vec()),
        ];
        assert_eq!(lines(b"a\n\n \t\nb\r\nc", 10), wanted);
        assert!(lines(b"", 10).is_empty());
        assert!(lines(b"\n\n  ", 10).is_empty());
    }

    #[test]
    fn reading_goes_on_after_a_line_that_is_too_long() {
        let mut input = vec![b'x'; 100_000];
        input.extend_from_slice(b"\nok\n");
        assert_eq!(lines(&input, 100), vec![None, Some(b"ok".to_vec())]);
        assert_eq!(lines(&vec![b'x'; 100_000], 100), vec![None]);
        assert_eq!(
            lines(b"1234\n12345\n1\n", 4),
            vec![Some(b"1234".to_vec()), None, Some(b"1".to_vec())]
        );
    }

    #[test]
    fn memory_stays_bounded_under_an_endless_line() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let endless = tokio::io::repeat(b'x').take(50 << 20);
            let mut reader = LineReader::new(endless, 10_000);
            assert_eq!(reader.next().await.unwrap(), Some(Line::TooLong));
            assert_eq!(reader.next().await.unwrap(), None);
            assert!(reader.buffer.capacity() < 64 << 10);
        });
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            input in proptest::collection::vec(prop_oneof![1 => Just(b'\n'), 4 => any::<u8>()], 0..400),
            limit in 1usize..40,
            piece in 1usize..60,
        ) {
            let visible = |byte: u8| if byte != b'\n' && byte.is_ascii_whitespace() { b'x' } else { byte };
            let input: Vec<u8> = input.into_iter().map(visible).collect();
            let wanted: Vec<Option<Vec<u8>>> = input
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| (line.len() <= limit).then(|| line.to_vec()))
                .collect();
            prop_assert_eq!(lines_by(&input, limit, piece), wanted);
        }
    }
}

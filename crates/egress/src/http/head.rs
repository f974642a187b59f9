//! A strict reader of HTTP/1.1 request heads (RFC 9112), in front of the lenient one.
//!
//! Whoever forwards requests must agree with whoever receives them on where each request begins and
//! ends. Whatever two readers might take differently is refused here, so nobody can disagree about it.

/// Longest head of a request, line ends included, in bytes; the plugin writes it.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// Most header fields of one request.
pub(super) const MAX_FIELDS: usize = 100;

/// How the body that follows a head is delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes; none where neither `Content-Length` nor `Transfer-Encoding` is there.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The request asks for another protocol: what follows is no HTTP unless that is refused.
    Upgrade,
}

/// Why a request cannot be read in one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Ambiguous(pub &'static str);

type Checked<T> = Result<T, Ambiguous>;

/// Checks one whole head, from the request line to the empty line, and says what follows it.
///
/// # Errors
/// Anything but `METHOD SP target SP HTTP/1.1`, CRLF at every line's end, fields of the form
/// `name: value`, at most one `Content-Length` of digits, or one `Transfer-Encoding: chunked`, never both,
/// exactly one `Host`.
pub fn check(head: &[u8]) -> Checked<Framing> {
    if head.len() > MAX_HEAD {
        return Err(Ambiguous("the head of the request is too long"));
    }
    let inner = head
        .strip_suffix(b"\r\n\r\n")
        .ok_or(Ambiguous("the head does not end in an empty line"))?;
    let mut lines = Lines(Some(inner));
    let method = request_line(lines.next().unwrap_or_default())?;
    let mut fields = Fields::default();
    for (number, line) in lines.enumerate() {
        if number >= MAX_FIELDS {
            return Err(Ambiguous("the request has too many header fields"));
        }
        fields.take(line)?;
    }
    fields.framing(method)
}

/// Checks one field line of a trailer, without its line end.
///
/// # Errors
/// What [`check`] refuses, and fields that say how the message is delimited.
pub(crate) fn check_trailer(line: &[u8]) -> Checked<()> {
    let (name, _) = field(line)?;
    let framing: [&[u8]; 4] = [
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"connection",
    ];
    if framing.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Err(Ambiguous("a trailer cannot say how the message is framed"));
    }
    Ok(())
}

/// Splits at CRLF alone; other line ends stay inside the lines, where they are refused.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.take()?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let Some(end) = end else { return Some(rest) };
        let (line, after) = rest.split_at_checked(end)?;
        self.0 = after.get(2..);
        Some(line)
    }
}

fn request_line(line: &[u8]) -> Checked<&[u8]> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Ambiguous(
            "the request line is not `METHOD target HTTP/1.1`",
        ));
    };
    if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return Err(Ambiguous("the method is not of upper-case letters"));
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(Ambiguous(
            "the request target holds what is to be percent-encoded",
        ));
    }
    if target.contains(&b'#') {
        return Err(Ambiguous("the request target holds a fragment"));
    }
    match version {
        b"HTTP/1.1" => Ok(method),
        b"HTTP/2.0" => Err(Ambiguous(
            "HTTP/2 is spoken only where TLS has agreed on it",
        )),
        _ => Err(Ambiguous("only HTTP/1.1 is spoken here")),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn field(line: &[u8]) -> Checked<(&[u8], &[u8])> {
    if line
        .first()
        .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    {
        return Err(Ambiguous("a header field goes on in a second line"));
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = colon
        .and_then(|at| line.split_at_checked(at))
        .ok_or(Ambiguous("a header field has no colon"))?;
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Ambiguous(
            "the name of a header field holds a character that none has",
        ));
    }
    let value = value.get(1..).unwrap_or_default();
    let plain = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if !value.iter().all(plain) {
        return Err(Ambiguous(
            "the value of a header field holds a control character",
        ));
    }
    Ok((name, value.trim_ascii()))
}

#[derive(Default)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
    upgrade: bool,
}

impl Fields {
    fn take(&mut self, line: &[u8]) -> Checked<()> {
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            return self.take_length(value);
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Ambiguous("`Transfer-Encoding` is not just `chunked`"));
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        } else if looks_like_framing(name) {
            return Err(Ambiguous(
                "a header field is named nearly as one that frames the message",
            ));
        }
        Ok(())
    }

    fn take_length(&mut self, value: &[u8]) -> Checked<()> {
        let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        match number.filter(|_| digits && self.length.is_none()) {
            Some(number) => {
                self.length = Some(number);
                Ok(())
            }
            None => Err(Ambiguous(
                "`Content-Length` is there twice or is not a number",
            )),
        }
    }

    fn framing(self, method: &[u8]) -> Checked<Framing> {
        if self.hosts != 1 {
            return Err(Ambiguous("the request does not have exactly one `Host`"));
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Ambiguous(
                "`Content-Length` and `Transfer-Encoding` are both there",
            )),
            (None, false) if self.upgrade || method == b"CONNECT" => Ok(Framing::Upgrade),
            (_, _) if self.upgrade => Err(Ambiguous("a request to upgrade has a body")),
            (None, true) => Ok(Framing::Chunked),
            (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// `Content_Length` and its like, which CGI-style servers read as `Content-Length`.
fn looks_like_framing(name: &[u8]) -> bool {
    let plain: Vec<u8> = name
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect();
    plain == b"contentlength" || plain == b"transferencoding"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framing(head: &str) -> Checked<Framing> {
        check(head.as_bytes())
    }

    #[test]
    fn ordinary_requests_pass() {
        assert_eq!(
            framing("GET / HTTP/1.1\r\nHost: a\r\nAccept:*/*\r\nX:\r\n\r\n"),
            Ok(Framing::Length(0))
        );
        assert_eq!(
            framing("POST /x?a=b HTTP/1.1\r\nhost: a\r\ncontent-length:  12 \r\n\r\n"),
            Ok(Framing::Length(12))
        );
        assert_eq!(
            framing("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"),
            Ok(Framing::Chunked)
        );
        assert_eq!(
            framing("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"),
            Ok(Framing::Upgrade)
        );
    }

    #[test]
    fn what_two_readers_may_take_differently_is_refused() {
        for head in [
            // Both lengths, twice the same length, lists, signs, other forms of numbers.
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 4\r\n\r\n",
            // Disguises of Transfer-Encoding.
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n",
            // Line ends and characters.
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            // Hosts.
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nX: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            // Request lines.
            "GET /\r\n\r\n",
            "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            // A body of an upgrade would be read as the other protocol.
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n",
        ] {
            assert!(framing(head).is_err(), "{head:?} passed");
        }
    }

    #[test]
    fn long_heads_are_refused() {
        let many = "X: y\r\n".repeat(MAX_FIELDS);
        let long = "y".repeat(MAX_HEAD);
        assert!(framing(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).is_err());
        assert!(framing(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")).is_err());
    }

    #[test]
    fn trailers_do_not_frame() {
        assert_eq!(check_trailer(b"grpc-status: 0"), Ok(()));
        for line in [
            "Content-Length: 3",
            "transfer-encoding: chunked",
            "Host: b",
            " x: y",
            "x",
        ] {
            assert!(check_trailer(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        /// Near misses of requests, so that some pass.
        #[test]
        fn what_passes_reads_alike_to_the_reader_behind(
            head in "(GET|POST|GE T) (/|/x|x) HTTP/1\\.[01]\r\n(Host: a\r\n|Host : a\r\n|[ -~]{0,9}:[ -~]{0,9}\r\n|Content-Length: [0-9 ,]{0,3}\r\n|Transfer-Encoding: (chunked|x)\r\n|X: [\\x00-\\x20]{0,2}\r?\n){0,4}\r\n"
        ) {
            if let Ok(framing) = check(head.as_bytes()) {
                let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
                let mut request = httparse::Request::new(&mut fields);
                let parsed = request.parse(head.as_bytes()).unwrap();
                prop_assert_eq!(parsed, httparse::Status::Complete(head.len()));
                prop_assert_eq!(request.version, Some(1));
                let lengths = request.headers.iter().filter(|field| {
                    field.name.eq_ignore_ascii_case("content-length")
                });
                prop_assert!(lengths.count() <= 1);
                let chunked = request.headers.iter().any(|field| {
                    field.name.eq_ignore_ascii_case("transfer-encoding")
                });
                prop_assert_eq!(chunked, framing == Framing::Chunked);
            }
        }
    }
}

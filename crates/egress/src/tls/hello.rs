//! The ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2) and the server name in it (RFC 6066 §3).
//!
//! Read strictly, because another reader of the same bytes, the server, must find the same name: a second
//! name, a repeated extension, a length that does not fit is refused.

use bailiwick_capability::DnsName;

use crate::bytes::Bytes;

/// Longest ClientHello: post-quantum key shares take 1 to 2 KiB, tickets some more.
const MAX_HELLO: usize = 32 << 10;
/// Longest record before encryption (RFC 8446 §5.1).
const MAX_RECORD: usize = 1 << 14;
/// Most records that one hello may be cut into.
const MAX_RECORDS: usize = 64;

/// First byte of TLS.
pub(crate) const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// What the bytes so far turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reading {
    /// Right so far.
    Incomplete,
    /// No ClientHello, or not one that every reader understands alike.
    Wrong(&'static str),
    /// A whole ClientHello.
    Hello(Hello),
}

/// What matters of a ClientHello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The name that it asks for.
    pub(crate) server_name: Option<DnsName>,
    /// Whether it carries a second, encrypted one (RFC 9849 and its drafts), or pretends to.
    pub(crate) encrypted: bool,
}

/// Reads what a client sent first.
pub(crate) fn read(bytes: &[u8]) -> Reading {
    let message = match defragment(bytes) {
        Ok(Some(message)) => message,
        Ok(None) => return Reading::Incomplete,
        Err(why) => return Reading::Wrong(why),
    };
    match hello(&message) {
        Ok(hello) => Reading::Hello(hello),
        Err(why) => Reading::Wrong(why),
    }
}

/// Puts the handshake message together from its records; none while bytes are missing.
fn defragment(bytes: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut rest = Bytes(bytes);
    let mut message = Vec::new();
    for _ in 0..MAX_RECORDS {
        let Some(record) = record(&mut rest)? else {
            return Ok(None);
        };
        message.extend(record);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err("the first message is no ClientHello");
        }
        let [_, a, b, c, body @ ..] = message.as_slice() else {
            continue;
        };
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if len > MAX_HELLO {
            return Err("the ClientHello is too long");
        }
        if body.len() > len {
            return Err("a record holds more than the ClientHello");
        }
        if body.len() == len {
            return Ok(Some(body.to_vec()));
        }
    }
    Err("the ClientHello is cut into too many records")
}

/// The content of the next record; none while bytes are missing.
fn record<'a>(rest: &mut Bytes<'a>) -> Result<Option<&'a [u8]>, &'static str> {
    const NO_TLS: &str = "not TLS";
    match rest.0 {
        [] | [HANDSHAKE] => return Ok(None),
        [HANDSHAKE, 3, ..] => {}
        _ => return Err(NO_TLS),
    }
    let Some([_, _, minor, high, low]) = rest.0.first_chunk::<5>() else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if *minor > 4 || !(1..=MAX_RECORD).contains(&len) {
        return Err(NO_TLS);
    }
    let mut whole = *rest;
    whole.take(5);
    let Some(content) = whole.take(len) else {
        return Ok(None);
    };
    *rest = whole;
    Ok(Some(content))
}

/// Reads the body of a ClientHello.
fn hello(body: &[u8]) -> Result<Hello, &'static str> {
    const WRONG: &str = "the ClientHello is malformed";
    let mut bytes = Bytes(body);
    let before = |bytes: &mut Bytes<'_>| {
        let version = bytes.number()?;
        bytes.take(32)?;
        let session = bytes.short()?;
        let ciphers = bytes.long()?.0.len();
        let compressions = bytes.short()?.len();
        let right = version >> 8 == 3
            && session.len() <= 32
            && ciphers >= 2
            && ciphers.is_multiple_of(2)
            && compressions >= 1;
        right.then_some(())
    };
    before(&mut bytes).ok_or(WRONG)?;
    let mut hello = Hello {
        server_name: None,
        encrypted: false,
    };
    if bytes.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = bytes.long().ok_or(WRONG)?;
    if !bytes.0.is_empty() {
        return Err(WRONG);
    }
    let mut seen = std::collections::BTreeSet::new();
    while !extensions.0.is_empty() {
        let kind = extensions.number().ok_or(WRONG)?;
        let data = extensions.long().ok_or(WRONG)?;
        if !seen.insert(kind) {
            return Err("the ClientHello repeats an extension");
        }
        if kind == SERVER_NAME {
            hello.server_name = Some(server_name(data)?);
        }
        hello.encrypted |= hides_the_name(kind);
    }
    Ok(hello)
}

/// Encrypted ClientHello as published and in drafts, and what came before it, ESNI.
fn hides_the_name(extension: u16) -> bool {
    matches!(extension, 0xfe08..=0xfe0f | 0xff02 | 0xff03 | 0xffce)
}

fn server_name(mut data: Bytes<'_>) -> Result<DnsName, &'static str> {
    const WRONG: &str = "the server name is malformed";
    let mut list = data.long().ok_or(WRONG)?;
    let kind = list.byte().ok_or(WRONG)?;
    let name = list.long().ok_or(WRONG)?.0;
    if kind != HOST_NAME || !list.0.is_empty() || !data.0.is_empty() {
        return Err(WRONG);
    }
    // A trailing dot is forbidden here (RFC 6066 §3), and what is not plain ASCII servers may read as they like.
    let plain = name
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(b));
    if !plain || name.ends_with(b".") {
        return Err(WRONG);
    }
    let name = std::str::from_utf8(name).map_err(|_| WRONG)?;
    DnsName::parse(name).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests;

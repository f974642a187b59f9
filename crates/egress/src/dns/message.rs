//! DNS messages (RFC 1035), as much of them as a resolver needs that asks nobody.
//!
//! Read strictly: one question, no records but one OPT (RFC 6891), nothing after it, no compressed names.

use std::net::{Ipv4Addr, Ipv6Addr};

use bailiwick_capability::DnsName;

use crate::bytes::Bytes;

/// Longest message read: what RFC 9715 recommends for UDP.
pub(crate) const MAX_MESSAGE: usize = 1232;

const HEADER: usize = 12;
const MAX_NAME: usize = 255;
const OPT: u16 = 41;
const SOA: u16 = 6;

/// Seconds for which a client may keep an address. It never changes while the plugin runs.
const TTL: u32 = 60;
/// Seconds for which a client may keep that there is none.
const NEGATIVE_TTL: u32 = 5;

/// Record types that are told apart.
pub(crate) const A: u16 = 1;
pub(crate) const PTR: u16 = 12;
pub(crate) const AAAA: u16 = 28;
/// The class of the internet.
pub(crate) const IN: u16 = 1;

/// How an answer ends (RFC 1035 §4.1.1, RFC 6891 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

/// What a datagram turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Received<'a> {
    /// No query at all: nobody waits for an answer.
    Noise,
    /// A query that is answered with an error alone.
    Wrong {
        /// Its identifier.
        id: u16,
        /// The error.
        code: Code,
    },
    /// A question.
    Question(Question<'a>),
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question<'a> {
    id: u16,
    recursion_desired: bool,
    /// The bytes of the question: sent back as they came, because some resolvers hide a nonce in the case.
    section: &'a [u8],
    edns: Option<u8>,
    /// What is asked about.
    pub(crate) name: Asked,
    /// Record type.
    pub(crate) kind: u16,
    /// Class.
    pub(crate) class: u16,
}

/// A name in a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A host name.
    Host(DnsName),
    /// Another name, escaped: no host has it.
    Other(String),
}

/// An address in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
}

/// Reads one message.
pub(crate) fn read(message: &[u8]) -> Received<'_> {
    let mut bytes = Bytes(message);
    let (Some(id), Some(flags)) = (bytes.number(), bytes.number()) else {
        return Received::Noise;
    };
    let is_answer = flags & 0x8000 != 0;
    if is_answer || message.len() < HEADER || message.len() > MAX_MESSAGE {
        return Received::Noise;
    }
    let wrong = |code| Received::Wrong { id, code };
    if flags & 0x7800 != 0 {
        return wrong(Code::NotImp);
    }
    match question(id, flags, bytes) {
        Some(Question {
            edns: Some(version),
            ..
        }) if version != 0 => wrong(Code::BadVers),
        Some(question) => Received::Question(question),
        None => wrong(Code::FormErr),
    }
}

/// Reads what follows identifier and flags.
fn question(id: u16, flags: u16, mut bytes: Bytes<'_>) -> Option<Question<'_>> {
    let counts = (
        bytes.number()?,
        bytes.number()?,
        bytes.number()?,
        bytes.number()?,
    );
    let (1, 0, 0, more @ 0..=1) = counts else {
        return None;
    };
    let start = bytes.0;
    let name = name(&mut bytes)?;
    let (kind, class) = (bytes.number()?, bytes.number()?);
    let section = start.get(..start.len() - bytes.0.len())?;
    let edns = if more == 1 {
        Some(opt(&mut bytes)?)
    } else {
        None
    };
    bytes.0.is_empty().then_some(Question {
        id,
        recursion_desired: flags & 0x0100 != 0,
        section,
        edns,
        name,
        kind,
        class,
    })
}

/// Reads an OPT record and answers its version. Its options are not for us.
fn opt(bytes: &mut Bytes<'_>) -> Option<u8> {
    let (root, kind, _size) = (bytes.byte()?, bytes.number()?, bytes.number()?);
    let (_extended_code, version, _flags) = (bytes.byte()?, bytes.byte()?, bytes.number()?);
    let len = bytes.number()?;
    bytes.take(usize::from(len))?;
    (root == 0 && kind == OPT).then_some(version)
}

/// Reads a name; a label longer than 63 bytes would be a pointer, and there is nothing to point at yet.
fn name(bytes: &mut Bytes<'_>) -> Option<Asked> {
    let (mut labels, mut len): (Vec<&[u8]>, usize) = (Vec::new(), 1);
    loop {
        let label = match bytes.byte()? {
            0 => break,
            size @ 1..=63 => bytes.take(usize::from(size))?,
            _ => return None,
        };
        len += label.len() + 1;
        if len > MAX_NAME {
            return None;
        }
        labels.push(label);
    }
    // Only plain letters, digits and hyphens (L1): a dot or a NUL inside a label would make another name.
    let plain = |label: &&[u8]| {
        label
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let shown: Vec<String> = labels
        .iter()
        .map(|label| label.escape_ascii().to_string())
        .collect();
    let shown = shown.join(".");
    if labels.iter().all(plain)
        && let Ok(host) = DnsName::parse(&shown)
    {
        return Some(Asked::Host(host));
    }
    Some(Asked::Other(shown))
}

impl Question<'_> {
    /// An answer with one address, or without any.
    pub(crate) fn answer(&self, code: Code, record: Option<Record>) -> Vec<u8> {
        let negative = record.is_none() && matches!(code, Code::NoError | Code::NxDomain);
        let mut out = head(self.id, self.recursion_desired, code);
        for count in [
            1,
            u16::from(record.is_some()),
            u16::from(negative),
            u16::from(self.edns.is_some()),
        ] {
            put(&mut out, count);
        }
        out.extend(self.section);
        if let Some(record) = record {
            address(&mut out, record);
        }
        if negative {
            soa(&mut out);
        }
        if self.edns.is_some() {
            put_opt(&mut out, Code::NoError);
        }
        out
    }
}

/// An answer that is an error alone.
pub(crate) fn error(id: u16, code: Code) -> Vec<u8> {
    let mut out = head(id, false, code);
    let opt = code == Code::BadVers;
    for count in [0, 0, 0, u16::from(opt)] {
        put(&mut out, count);
    }
    if opt {
        put_opt(&mut out, code);
    }
    out
}

fn head(id: u16, recursion_desired: bool, code: Code) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    put(&mut out, id);
    // An answer; recursion available: stub resolvers want to hear that.
    let flags = 0x8080 | (u16::from(recursion_desired) << 8) | (code as u16 & 0xf);
    put(&mut out, flags);
    out
}

fn address(out: &mut Vec<u8>, record: Record) {
    let (kind, data) = match record {
        Record::A(address) => (A, address.octets().to_vec()),
        Record::Aaaa(address) => (AAAA, address.octets().to_vec()),
    };
    // The name: where the question begins.
    put(out, 0xc000 | 12);
    resource(out, kind, TTL, &data);
}

/// The root's start of authority: how long a client may keep a negative answer (RFC 2308).
fn soa(out: &mut Vec<u8>) {
    let mut data = vec![0, 0];
    for number in [1, 3600, 600, 86400, NEGATIVE_TTL] {
        data.extend(number.to_be_bytes());
    }
    out.push(0);
    resource(out, SOA, NEGATIVE_TTL, &data);
}

fn resource(out: &mut Vec<u8>, kind: u16, ttl: u32, data: &[u8]) {
    put(out, kind);
    put(out, IN);
    out.extend(ttl.to_be_bytes());
    put(out, u16::try_from(data.len()).unwrap_or_default());
    out.extend(data);
}

fn put_opt(out: &mut Vec<u8>, code: Code) {
    out.push(0);
    put(out, OPT);
    put(out, MAX_MESSAGE as u16);
    out.extend([(code as u16 >> 4) as u8, 0, 0, 0, 0, 0]);
}

fn put(out: &mut Vec<u8>, number: u16) {
    out.extend(number.to_be_bytes());
}

#[cfg(test)]
mod tests;

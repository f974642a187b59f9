//! Hosts: parsed once into lower-case A-labels or addresses; the same value is matched and dialled.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::CapabilityError;

/// Longest DNS name and label, in bytes (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A DNS name: lower-case letters, digits and hyphens in labels, without a trailing dot (RFC 5890 A-labels).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// Reads a name; Unicode labels become A-labels (UTS #46).
    ///
    /// # Errors
    /// Anything that is not a host name: control characters, `%`, spaces, `_`, empty or over-long labels,
    /// and names that end in a number, which resolvers may take for addresses.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        let refuse = |why: &str| {
            Err(CapabilityError::new(
                format!("`{}` is not a host name: {why}", text.escape_debug()),
                "write a name such as `api.example.com`",
            ))
        };
        if text.len() > 4 * MAX_NAME
            || text
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || "%\\/@:?#*_".contains(c))
        {
            return refuse("it holds a character that no host name has");
        }
        let Ok(ascii) = idna::domain_to_ascii_strict(text.strip_suffix('.').unwrap_or(text)) else {
            return refuse("it has no valid ASCII form");
        };
        if ascii.is_empty() || ascii.len() > MAX_NAME {
            return refuse("it is empty or too long");
        }
        if !ascii.split('.').all(is_label) {
            return refuse("each label has 1 to 63 letters, digits or inner hyphens");
        }
        if ascii.rsplit('.').next().is_some_and(looks_numeric) {
            return refuse("its last label is a number");
        }
        Ok(Self(ascii))
    }

    /// The name, lower-case, without a trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its first label; none for a single label.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0
            .split_once('.')
            .map(|(_, rest)| Self(rest.to_owned()))
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The WHATWG URL standard's "ends in a number": such hosts are parsed as IPv4 by some clients.
fn looks_numeric(label: &str) -> bool {
    label.bytes().all(|b| b.is_ascii_digit())
        || label
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One host: a name or an address literal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name.
    Name(DnsName),
    /// An address literal.
    Ip(IpAddr),
}

impl Host {
    /// Reads a name, an IPv4 address or a bracketed IPv6 address.
    ///
    /// # Errors
    /// As [`DnsName::parse`]; IPv6 without brackets; IPv4-mapped IPv6, which is to be written as IPv4.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        if let Some(inner) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let Ok(ip) = inner.parse::<Ipv6Addr>() else {
                return Err(CapabilityError::new(
                    format!("`{}` is not an IPv6 address", text.escape_debug()),
                    "write it such as `[2001:db8::1]`, without a zone",
                ));
            };
            if let Some(v4) = ip.to_ipv4_mapped() {
                return Err(CapabilityError::new(
                    format!("`{text}` is an IPv4 address in IPv6 form"),
                    format!("write `{v4}`"),
                ));
            }
            return Ok(Self::Ip(IpAddr::V6(ip)));
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(IpAddr::V4(ip)));
        }
        DnsName::parse(text).map(Self::Name)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A host, or every host exactly one label below a name (`*.example.com`, as in certificates).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Host),
    /// One label more than this name.
    Suffix(DnsName),
}

impl HostPattern {
    /// Reads `host` or `*.name`.
    ///
    /// # Errors
    /// As [`Host::parse`]; a star anywhere else; a star before a single label, which is a whole top-level domain.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        let Some(rest) = text.strip_prefix("*.") else {
            return Host::parse(text).map(Self::Exact);
        };
        let name = DnsName::parse(rest)?;
        if name.parent().is_none() {
            return Err(CapabilityError::new(
                format!("`{text}` spans a whole top-level domain"),
                "name at least two labels, such as `*.example.com`",
            ));
        }
        Ok(Self::Suffix(name))
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Suffix(a), Self::Suffix(b)) => a == b,
            (Self::Suffix(a), Self::Exact(Host::Name(b))) => b
                .as_str()
                .split_once('.')
                .is_some_and(|(_, rest)| rest == a.as_str()),
            _ => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Suffix(name) => write!(f, "*.{name}"),
        }
    }
}

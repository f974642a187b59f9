//! Network scopes: where a plugin may connect, and where it may listen.

use std::collections::BTreeSet;
use std::fmt;

use crate::{CapabilityError, HostPattern, UrlPath};

/// How a connection is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP without TLS.
    Http,
    /// Any protocol over TCP.
    Tcp,
}

impl Scheme {
    /// Its name in URLs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }

    /// The port that the scheme implies.
    #[must_use]
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Tcp => None,
        }
    }
}

/// An HTTP method: 1 to 16 upper-case letters (RFC 9110 §9, the case-sensitive common ones).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(String);

impl Method {
    /// Reads a method.
    ///
    /// # Errors
    /// Anything but 1 to 16 upper-case ASCII letters.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        if (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase()) {
            return Ok(Self(text.to_owned()));
        }
        Err(CapabilityError::new(
            format!("`{}` is not an HTTP method", text.escape_debug()),
            "write upper-case methods such as `GET,POST`",
        ))
    }

    /// The method's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a plugin may connect: scheme, host, port, and for HTTP a path prefix and methods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetScope {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
    path: Option<UrlPath>,
    methods: Option<BTreeSet<Method>>,
}

impl NetScope {
    /// Puts a scope together. No path means every path, no methods mean every method.
    ///
    /// # Errors
    /// Port 0, an empty set of methods, and paths or methods on `tcp`.
    pub fn new(
        scheme: Scheme,
        host: HostPattern,
        port: u16,
        path: Option<UrlPath>,
        methods: Option<BTreeSet<Method>>,
    ) -> Result<Self, CapabilityError> {
        if port == 0 {
            return Err(CapabilityError::new(
                "port 0 cannot be connected to",
                "name a port from 1 to 65535",
            ));
        }
        if methods.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(CapabilityError::new(
                "an empty list of methods grants nothing",
                "name methods, or leave them out",
            ));
        }
        if scheme == Scheme::Tcp && (path.is_some() || methods.is_some()) {
            return Err(CapabilityError::new(
                "`tcp` knows no paths or methods",
                "write `tcp://host:port`",
            ));
        }
        let path = path.filter(|path| path.as_str() != "/");
        Ok(Self {
            scheme,
            host,
            port,
            path,
            methods,
        })
    }

    /// Reads `scheme://host[:port][/path] [METHOD,METHOD]`.
    ///
    /// # Errors
    /// What is not of that form; user names, queries and fragments.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        let (url, methods) = match text.split_once(' ') {
            Some((url, methods)) => (url, Some(parse_methods(methods)?)),
            None => (text, None),
        };
        let (scheme, rest) = split_scheme(url)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => (rest.get(..at).unwrap_or(rest), rest.get(at..)),
            None => (rest, None),
        };
        let (host, port) = split_port(authority)?;
        let Some(port) = port.or(scheme.default_port()) else {
            return Err(CapabilityError::new(
                format!("`{url}` names no port"),
                "write `tcp://host:port`",
            ));
        };
        let path = match path {
            Some("/") if scheme == Scheme::Tcp => None,
            other => other.map(UrlPath::parse).transpose()?,
        };
        Self::new(scheme, HostPattern::parse(host)?, port, path, methods)
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host or host pattern.
    #[must_use]
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path prefix; none means every path.
    #[must_use]
    pub fn path(&self) -> Option<&UrlPath> {
        self.path.as_ref()
    }

    /// The methods; none means every method.
    #[must_use]
    pub fn methods(&self) -> Option<&BTreeSet<Method>> {
        self.methods.as_ref()
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.contains(&other.host)
            && covers(self.path.as_ref(), other.path.as_ref(), UrlPath::contains)
            && covers(
                self.methods.as_ref(),
                other.methods.as_ref(),
                BTreeSet::is_superset,
            )
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && comparable(&self.host, &other.host, HostPattern::contains)
            && (self.path.as_ref().zip(other.path.as_ref()))
                .is_none_or(|(a, b)| comparable(a, b, UrlPath::contains))
            && (self.methods.as_ref().zip(other.methods.as_ref()))
                .is_none_or(|(a, b)| !a.is_disjoint(b))
    }

    pub(crate) fn meet(&self, other: &Self) -> Option<Self> {
        if self.scheme != other.scheme || self.port != other.port {
            return None;
        }
        let host = narrower(&self.host, &other.host, HostPattern::contains)?;
        let path = match (&self.path, &other.path) {
            (Some(a), Some(b)) => Some(narrower(a, b, UrlPath::contains)?),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        let methods = match (&self.methods, &other.methods) {
            (Some(a), Some(b)) => Some(a & b).filter(|both| !both.is_empty()).map(Some)?,
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        Some(Self {
            scheme: self.scheme,
            host,
            port: self.port,
            path,
            methods,
        })
    }
}

fn covers<T>(wide: Option<&T>, narrow: Option<&T>, contains: fn(&T, &T) -> bool) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => contains(wide, narrow),
    }
}

/// Whether one of two contains the other.
pub(crate) fn comparable<T>(a: &T, b: &T, contains: fn(&T, &T) -> bool) -> bool {
    contains(a, b) || contains(b, a)
}

/// The narrower of two where one contains the other.
pub(crate) fn narrower<T: Clone>(a: &T, b: &T, contains: fn(&T, &T) -> bool) -> Option<T> {
    if contains(a, b) {
        Some(b.clone())
    } else if contains(b, a) {
        Some(a.clone())
    } else {
        None
    }
}

fn split_scheme(url: &str) -> Result<(Scheme, &str), CapabilityError> {
    [Scheme::Https, Scheme::Http, Scheme::Tcp]
        .into_iter()
        .find_map(|scheme| {
            let rest = url.strip_prefix(scheme.as_str())?.strip_prefix("://")?;
            Some((scheme, rest))
        })
        .ok_or_else(|| {
            CapabilityError::new(
                format!(
                    "`{}` does not start with `https://`, `http://` or `tcp://`",
                    url.escape_debug()
                ),
                "write the scheme, such as `https://api.example.com`",
            )
        })
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), CapabilityError> {
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(at) = authority.rfind(':').filter(|at| *at >= after_bracket) else {
        return Ok((authority, None));
    };
    let digits = authority.get(at + 1..).unwrap_or_default();
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(port) if plain => Ok((authority.get(..at).unwrap_or_default(), Some(port))),
        _ => Err(CapabilityError::new(
            format!("`{}` is not a port", digits.escape_debug()),
            "name a port from 1 to 65535",
        )),
    }
}

fn parse_methods(text: &str) -> Result<BTreeSet<Method>, CapabilityError> {
    text.split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(Method::parse)
        .collect()
}

impl fmt::Display for NetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.scheme.default_port() != Some(self.port) {
            write!(f, ":{}", self.port)?;
        }
        if let Some(path) = &self.path {
            write!(f, "{path}")?;
        }
        if let Some(methods) = &self.methods {
            let names: Vec<_> = methods.iter().map(Method::as_str).collect();
            write!(f, " {}", names.join(","))?;
        }
        Ok(())
    }
}

/// A loopback port to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenScope {
    port: u16,
}

impl ListenScope {
    /// Reads `127.0.0.1:PORT` or `localhost:PORT`.
    ///
    /// # Errors
    /// Any other address, and port 0.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        let (host, port) = split_port(text)?;
        match (host, port) {
            ("127.0.0.1" | "localhost", Some(port)) if port != 0 => Ok(Self { port }),
            _ => Err(CapabilityError::new(
                format!("`{}` is not a loopback port", text.escape_debug()),
                "write `127.0.0.1:8080`; nothing else may be listened on",
            )),
        }
    }

    /// The port.
    #[must_use]
    pub fn port(self) -> u16 {
        self.port
    }
}

impl fmt::Display for ListenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "127.0.0.1:{}", self.port)
    }
}

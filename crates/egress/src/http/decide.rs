//! Each request as a point of the lattice: what is decided is what is sent.

use std::collections::BTreeSet;

use bailiwick_capability::{Host, HostPattern, Method, NetScope, Scheme, UrlPath};
use http::header::HOST;
use http::request::Parts;

use crate::context::Context;
use crate::rules::Dialled;

/// A request that the grant permits.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// Scheme, host, port, path and method. No path where the text has no single reading: then every path
    /// is granted, and every path is meant.
    pub(super) scope: NetScope,
    /// The host that is dialled.
    pub(super) host: Host,
    /// The port that is dialled.
    pub(super) port: u16,
    /// The scheme.
    pub(super) scheme: Scheme,
    /// The path as it is sent.
    pub(super) path: String,
}

impl Point {
    /// The whole destination, whatever the path and method.
    pub(super) fn destination(&self) -> Option<NetScope> {
        let host = HostPattern::Exact(self.host.clone());
        NetScope::new(self.scheme, host, self.port, None, None).ok()
    }

    /// As `host` or `host:port`, for `Host` and `:authority`.
    pub(super) fn authority(&self) -> String {
        if self.scheme.default_port() == Some(self.port) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(super) struct Denied {
    /// What was asked for, without its query.
    pub(super) target: String,
    /// Why not.
    pub(super) reason: String,
}

/// Decides a request that came over a connection to `dialled`. `server` is the host that TLS was made for.
pub(super) fn decide(
    context: &Context,
    dialled: &Dialled,
    scheme: Scheme,
    server: Option<&Host>,
    request: &Parts,
) -> Result<Point, Denied> {
    let shown = |host: &dyn std::fmt::Display| {
        let (method, path) = (&request.method, request.uri.path());
        format!("{method} {}://{host}{path}", scheme.as_str())
    };
    let unnamed = |reason: String| Denied {
        target: shown(&dialled.shown()),
        reason,
    };
    let method = method(request).map_err(unnamed)?;
    let (host, port) = named(request, scheme).map_err(unnamed)?;
    let expected = match server {
        Some(server) => Some(server).filter(|server| **server == host),
        None => dialled.host_named(&host),
    };
    let Some(host) = expected.filter(|_| port == dialled.port).cloned() else {
        return Err(unnamed(format!(
            "the request is for `{host}:{port}`, which is not what was connected to"
        )));
    };
    let path = UrlPath::parse(request.uri.path());
    let sent = path
        .as_ref()
        .map_or_else(|_| request.uri.path().to_owned(), ToString::to_string);
    let scope = NetScope::new(
        scheme,
        HostPattern::Exact(host.clone()),
        port,
        path.as_ref().ok().cloned(),
        Some(BTreeSet::from([method])),
    );
    let point = scope.map(|scope| Point {
        scope,
        host,
        port,
        scheme,
        path: sent,
    });
    let point = point.map_err(|error| unnamed(error.to_string()))?;
    if context.rules.permits_scope(&point.scope) {
        return Ok(point);
    }
    Err(Denied {
        target: shown(&point.authority()),
        reason: match path {
            Ok(_) => "not granted".to_owned(),
            Err(error) => format!("not granted for every path, and {error}"),
        },
    })
}

fn method(request: &Parts) -> Result<Method, String> {
    let method = Method::parse(request.method.as_str()).map_err(|error| error.to_string())?;
    match method.as_str() {
        "CONNECT" | "TRACE" => Err(format!("`{}` is never passed on", method.as_str())),
        _ => Ok(method),
    }
}

/// Host and port that a request names: by its target, by `Host`, or by both alike.
fn named(request: &Parts, scheme: Scheme) -> Result<(Host, u16), String> {
    let uri = &request.uri;
    if uri
        .scheme_str()
        .is_some_and(|named| named != scheme.as_str())
    {
        return Err("the request names another scheme than it came by".to_owned());
    }
    let mut hosts = request.headers.get_all(HOST).iter();
    let header = hosts.next().map(|value| value.to_str().unwrap_or_default());
    if hosts.next().is_some() {
        return Err("the request has more than one `Host`".to_owned());
    }
    let target = uri.authority().map(http::uri::Authority::as_str);
    let read = |text: &str| authority(text, scheme);
    match (target.map(read).transpose()?, header.map(read).transpose()?) {
        (Some(a), Some(b)) if a != b => {
            Err("the target of the request and its `Host` differ".to_owned())
        }
        (Some(named), _) | (None, Some(named)) => Ok(named),
        (None, None) => Err("the request names no host".to_owned()),
    }
}

fn authority(text: &str, scheme: Scheme) -> Result<(Host, u16), String> {
    let behind = text.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match text.get(behind..).and_then(|rest| rest.find(':')) {
        Some(colon) => text.split_at(behind + colon),
        None => (text, ""),
    };
    let host = Host::parse(host).map_err(|error| error.to_string())?;
    let digits = port.strip_prefix(':');
    let port = match digits {
        None => scheme.default_port(),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        Some(_) => None,
    };
    let port = port.ok_or_else(|| format!("`{}` names no port", text.escape_debug()))?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l01_one_reading_of_an_authority() {
        for (text, host, port) in [
            ("A.Example", "a.example", 443),
            ("a.example.:8443", "a.example", 8443),
            ("[2001:DB8::1]:99", "[2001:db8::1]", 99),
            ("192.0.2.1", "192.0.2.1", 443),
        ] {
            let expected = (Host::parse(host).unwrap(), port);
            assert_eq!(authority(text, Scheme::Https), Ok(expected));
        }
        for text in [
            "",
            ":",
            "a.example:",
            "a.example:x",
            "a.example:+1",
            "a.example:1:2",
            "me@a.example",
            "a.example/x",
            "a\0.example",
            "a b",
            "2001:db8::1",
            "[::1",
            "a.example:70000",
            "a%2eexample",
            "0x7f.1",
            "[::ffff:1.2.3.4]",
        ] {
            assert!(authority(text, Scheme::Https).is_err(), "{text:?}");
        }
    }
}

//! What the grant means for a connection and for a request on it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailiwick_capability::{
    Capability, DnsName, Grant, Granted, Host, HostPattern, Kind, Method, NetScope, Scheme, Scope,
    UrlPath,
};
use bailiwick_wall::{Secret, WallError};

/// What the plugin connected to: the one value that is matched, resolved and dialled (L1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialled {
    /// A name that DNS in there answered, or an address that was granted as such.
    pub(crate) host: Host,
    /// Another host that this address stands for: `localhost` and `127.0.0.1` where both are granted.
    pub(crate) also: Option<Host>,
    /// The port.
    pub(crate) port: u16,
}

impl Dialled {
    /// The host among those that were dialled which is `named`, as by SNI or a `Host` header (L5).
    pub(crate) fn host_named(&self, named: &Host) -> Option<&Host> {
        std::iter::once(&self.host)
            .chain(&self.also)
            .find(|host| *host == named)
    }

    /// As `host:port`, for denials.
    pub(crate) fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Treatment {
    /// Nothing there is granted.
    Refuse,
    /// `tcp`: whatever is spoken.
    Splice,
    /// The plugin speaks first, and its first byte tells which of the granted ones it speaks.
    Speak {
        /// Whether plain HTTP is granted; each request is decided.
        http: bool,
        /// Whether TLS is granted, and how far it is looked into.
        tls: Option<Tls>,
    },
}

/// What becomes of a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// The whole host is granted: SNI must be the dialled name, the rest is not looked into.
    Splice,
    /// Paths or methods are granted, holes are cut, or a secret goes there: each request is decided.
    Terminate,
}

/// The network part of a grant, and the secrets that may go where.
#[derive(Debug)]
pub(crate) struct Rules {
    grant: Grant,
    secrets: Vec<Secret>,
}

impl Rules {
    /// Takes the network atoms of `grant`.
    ///
    /// # Errors
    /// An atom that [`crate::hold`] refuses; a secret whose destination is also granted as `tcp`, where
    /// nothing could be put in.
    pub(crate) fn new(grant: &Grant, secrets: Vec<Secret>) -> Result<Self, WallError> {
        let grant = Grant::new(grant.of_kind(Kind::NetworkAccess).cloned());
        Ok(Self { grant, secrets })
    }

    /// The scopes of the network atoms.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &NetScope> {
        self.grant.atoms().iter().filter_map(net_scope)
    }

    /// The secrets, with the placeholders and bindings.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// What becomes of a connection to `host` (or what it stands for) and its port.
    pub(crate) fn treatment(&self, dialled: &Dialled) -> Treatment {
        let _ = dialled;
        Treatment::Refuse
    }

    /// Whether one request is granted; as [`Grant::permits`] on a point.
    pub(crate) fn permits(
        &self,
        scheme: Scheme,
        host: &Host,
        port: u16,
        method: &Method,
        path: &UrlPath,
    ) -> bool {
        let http = scheme != Scheme::Tcp;
        let scope = NetScope::new(
            scheme,
            HostPattern::Exact(host.clone()),
            port,
            http.then(|| path.clone()),
            http.then(|| BTreeSet::from([method.clone()])),
        );
        scope
            .and_then(|scope| Capability::new(Kind::NetworkAccess, Scope::Net(scope)))
            .is_ok_and(|point| self.grant.permits(&point))
    }
}

fn net_scope(atom: &Granted) -> Option<&NetScope> {
    match atom.capability().scope() {
        Scope::Net(net) => Some(net),
        _ => None,
    }
}

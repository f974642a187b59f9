//! What the grant means for a connection and for a request on it.

use std::collections::BTreeSet;

use bailiwick_capability::{
    Capability, DnsName, Grant, Granted, Host, HostPattern, Kind, NetScope, Scheme, Scope,
};
use bailiwick_wall::{HeldAtom, Hold, Secret, WallError};

use crate::hold::hold;

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
    /// The hosts that this may be: one, or two that share an address.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Host> {
        std::iter::once(&self.host).chain(&self.also)
    }

    /// The host among those that were dialled which is `named`, as by SNI or a `Host` header (L5).
    pub(crate) fn host_named(&self, named: &Host) -> Option<&Host> {
        self.hosts().find(|host| *host == named)
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
    /// `tcp`: whatever is spoken. It is the widest there is, so what else is granted there adds nothing.
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

/// How much of one scheme on one host and port is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Nothing,
    Part,
    Whole,
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
        let atoms = Grant::new(grant.of_kind(Kind::NetworkAccess).cloned());
        let not = |atom: &Granted| match hold(atom, grant) {
            Hold::Fully { .. } => None,
            not @ Hold::Not { .. } => Some(HeldAtom {
                atom: atom.clone(),
                hold: not,
            }),
        };
        let refused: Vec<_> = atoms.atoms().iter().filter_map(not).collect();
        if !refused.is_empty() {
            return Err(WallError::Refused(refused));
        }
        let rules = Self {
            grant: atoms,
            secrets,
        };
        rules.nothing_bypasses_secrets()?;
        Ok(rules)
    }

    fn nothing_bypasses_secrets(&self) -> Result<(), WallError> {
        let bound = |secret: &'_ Secret| secret.binding.to.clone();
        for (secret, to) in self
            .secrets
            .iter()
            .flat_map(|secret| bound(secret).into_iter().map(move |to| (secret, to)))
        {
            let as_tcp = scope(Scheme::Tcp, to.host().clone(), to.port());
            let bypass = as_tcp.and_then(|tcp| {
                let mut atoms = self.grant.atoms().iter();
                atoms.find(|atom| part(atom, &tcp)).cloned()
            });
            if let Some(atom) = bypass {
                return Err(WallError::Build {
                    what: format!("the secret `{}`", secret.name),
                    why: format!(
                        "it is bound to `{to}`, and `{atom}` is granted at the same place: a tcp connection is not looked \
                         into, so nothing could be put in; grant only one of them"
                    ),
                });
            }
        }
        Ok(())
    }

    /// The scopes of the network atoms.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &NetScope> {
        self.grant.atoms().iter().filter_map(net_scope)
    }

    /// The secrets, with the placeholders and bindings.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// What becomes of a connection to this host and port.
    pub(crate) fn treatment(&self, host: &Host, port: u16) -> Treatment {
        if self.reach(Scheme::Tcp, host, port) == Reach::Whole {
            return Treatment::Splice;
        }
        let http = self.reach(Scheme::Http, host, port) != Reach::Nothing;
        let tls = match self.reach(Scheme::Https, host, port) {
            Reach::Nothing => None,
            Reach::Whole if !self.has_secret(host, port) => Some(Tls::Splice),
            Reach::Whole | Reach::Part => Some(Tls::Terminate),
        };
        if http || tls.is_some() {
            Treatment::Speak { http, tls }
        } else {
            Treatment::Refuse
        }
    }

    /// Whether anything at all is granted on a host of this name, so that DNS may answer.
    pub(crate) fn knows(&self, name: &DnsName) -> bool {
        let host = Host::Name(name.clone());
        let ports: BTreeSet<u16> = self.scopes().map(NetScope::port).collect();
        ports
            .into_iter()
            .any(|port| self.treatment(&host, port) != Treatment::Refuse)
    }

    /// Whether TLS to anywhere may have to be terminated.
    pub(crate) fn may_terminate(&self) -> bool {
        let narrow = |atom: &Granted| {
            net_scope(atom).is_some_and(|net| {
                net.scheme() == Scheme::Https
                    && (net.path().is_some() || net.methods().is_some() || !atom.holes().is_empty())
            })
        };
        let bound = || {
            let to = self.secrets.iter().flat_map(|secret| &secret.binding.to);
            let mut https = to.filter(|to| to.scheme() == Scheme::Https);
            https.next().is_some()
        };
        self.grant.atoms().iter().any(narrow) || bound()
    }

    fn has_secret(&self, host: &Host, port: u16) -> bool {
        let Some(point) = scope(Scheme::Https, HostPattern::Exact(host.clone()), port) else {
            return true;
        };
        let to = self.secrets.iter().flat_map(|secret| &secret.binding.to);
        to.filter_map(|to| access(to.clone()))
            .any(|to| to.meet(&point).is_some())
    }

    fn reach(&self, scheme: Scheme, host: &Host, port: u16) -> Reach {
        let Some(whole) = scope(scheme, HostPattern::Exact(host.clone()), port) else {
            return Reach::Nothing;
        };
        if self.grant.permits(&whole) {
            Reach::Whole
        } else if self.grant.atoms().iter().any(|atom| part(atom, &whole)) {
            Reach::Part
        } else {
            Reach::Nothing
        }
    }

    /// Whether all of a scope is granted; a request is one whose path and methods are one each.
    pub(crate) fn permits_scope(&self, scope: &NetScope) -> bool {
        access(scope.clone()).is_some_and(|point| self.grant.permits(&point))
    }
}

/// Every path and method of a scheme on a host and port.
fn scope(scheme: Scheme, host: HostPattern, port: u16) -> Option<Capability> {
    access(NetScope::new(scheme, host, port, None, None).ok()?)
}

fn access(scope: NetScope) -> Option<Capability> {
    Capability::new(Kind::NetworkAccess, Scope::Net(scope)).ok()
}

/// Whether the atom grants some part of `whole`.
fn part(atom: &Granted, whole: &Capability) -> bool {
    atom.capability()
        .meet(whole)
        .is_some_and(|both| !atom.holes().iter().any(|hole| hole.contains(&both)))
}

fn net_scope(atom: &Granted) -> Option<&NetScope> {
    match atom.capability().scope() {
        Scope::Net(net) => Some(net),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_capability::{Method, UrlPath};
    use bailiwick_wall::{Binding, Place, SecretValue};
    use proptest::prelude::*;

    use super::*;

    fn grant(atoms: &[&str]) -> Grant {
        Grant::new(
            atoms
                .iter()
                .map(|atom| format!("network_access:{atom}").parse().unwrap()),
        )
    }

    fn rules(atoms: &[&str]) -> Rules {
        Rules::new(&grant(atoms), Vec::new()).unwrap()
    }

    fn secret(to: &str) -> Secret {
        Secret {
            name: "key".to_owned(),
            placeholder: "placeholder".to_owned(),
            value: SecretValue::new(b"value".to_vec()).unwrap(),
            binding: Binding {
                to: vec![NetScope::parse(to).unwrap()],
                places: vec![Place::Basic],
                variable: "KEY".to_owned(),
            },
        }
    }

    fn treat(rules: &Rules, host: &str, port: u16) -> Treatment {
        rules.treatment(&Host::parse(host).unwrap(), port)
    }

    const TERMINATE: Treatment = Treatment::Speak {
        http: false,
        tls: Some(Tls::Terminate),
    };
    const SPLICE_TLS: Treatment = Treatment::Speak {
        http: false,
        tls: Some(Tls::Splice),
    };

    #[test]
    fn each_scheme_is_treated_as_narrowly_as_it_was_granted() {
        let rules = rules(&[
            "https://whole.example",
            "https://path.example/v1/",
            "https://method.example GET",
            "https://*.wild.example",
            "http://plain.example:8080",
            "https://plain.example:8080/x",
            "tcp://db.example:5432",
            "https://cut.example except https://cut.example/admin",
            "tcp://*.many.example:99 except tcp://bad.many.example:99",
        ]);
        for (host, port, expected) in [
            ("whole.example", 443, SPLICE_TLS),
            ("whole.example", 80, Treatment::Refuse),
            ("sub.whole.example", 443, Treatment::Refuse),
            ("path.example", 443, TERMINATE),
            ("method.example", 443, TERMINATE),
            ("cut.example", 443, TERMINATE),
            ("a.wild.example", 443, SPLICE_TLS),
            ("wild.example", 443, Treatment::Refuse),
            ("a.b.wild.example", 443, Treatment::Refuse),
            ("db.example", 5432, Treatment::Splice),
            ("good.many.example", 99, Treatment::Splice),
            ("bad.many.example", 99, Treatment::Refuse),
            (
                "plain.example",
                8080,
                Treatment::Speak {
                    http: true,
                    tls: Some(Tls::Terminate),
                },
            ),
        ] {
            assert_eq!(treat(&rules, host, port), expected, "{host}:{port}");
        }
    }

    #[test]
    fn tcp_is_the_union_of_all_that_is_spoken_over_it() {
        let rules = rules(&["tcp://a.example:443", "https://a.example/v1/"]);
        assert_eq!(treat(&rules, "a.example", 443), Treatment::Splice);
    }

    #[test]
    fn where_a_secret_goes_tls_is_terminated() {
        let grant = grant(&["https://a.example", "https://b.example"]);
        let rules = Rules::new(&grant, vec![secret("https://a.example/login")]).unwrap();
        assert_eq!(treat(&rules, "a.example", 443), TERMINATE);
        assert_eq!(treat(&rules, "b.example", 443), SPLICE_TLS);
        assert!(rules.may_terminate() && !self::rules(&["https://b.example"]).may_terminate());
    }

    #[test]
    fn a_secret_whose_destination_is_open_as_tcp_is_an_error() {
        let grant = grant(&["https://a.example", "tcp://*.example.com:443"]);
        let error = Rules::new(&grant, vec![secret("https://x.example.com")]).unwrap_err();
        assert!(
            error.to_string().contains("tcp://*.example.com:443"),
            "{error}"
        );
        assert!(Rules::new(&grant, vec![secret("https://a.example")]).is_ok());
    }

    #[test]
    fn l02_no_atoms_grant_nothing() {
        let nothing = rules(&[]);
        assert_eq!(treat(&nothing, "a.example", 443), Treatment::Refuse);
        assert!(!nothing.knows(&DnsName::parse("a.example").unwrap()));
    }

    #[test]
    fn a_name_that_is_all_hole_is_not_known() {
        let rules = rules(&["https://*.example.com except https://bad.example.com"]);
        assert!(rules.knows(&DnsName::parse("good.example.com").unwrap()));
        assert!(!rules.knows(&DnsName::parse("bad.example.com").unwrap()));
    }

    fn scope_text() -> impl Strategy<Value = String> {
        let host = prop::sample::select(vec![
            "a.example.com",
            "b.example.com",
            "*.example.com",
            "example.com",
            "localhost",
            "127.0.0.1",
            "[::1]",
        ]);
        let port = prop::sample::select(vec![80u16, 443]);
        let rest = prop::sample::select(vec!["", "", "/v1/", "/v1/a", "/v1/ GET", " GET,POST"]);
        let scheme = prop::sample::select(vec!["https", "http", "tcp"]);
        (scheme, host, port, rest).prop_map(|(scheme, host, port, rest)| {
            let rest = if scheme == "tcp" { "" } else { rest };
            format!("{scheme}://{host}:{port}{rest}")
        })
    }

    fn atom() -> impl Strategy<Value = Granted> {
        (scope_text(), prop::collection::vec(scope_text(), 0..3)).prop_filter_map(
            "an atom that is all hole",
            |(scope, holes)| {
                let capability = |text: &String| format!("network_access:{text}").parse().unwrap();
                Granted::with_holes(capability(&scope), holes.iter().map(capability))
            },
        )
    }

    /// Every way in which the wall would let a request through, by the grant alone.
    fn points(host: &Host, port: u16) -> Vec<(Scheme, Capability)> {
        let mut points = Vec::new();
        for scheme in [Scheme::Https, Scheme::Http] {
            for path in ["/", "/v1/", "/v1/a", "/v1/a/b", "/v2"] {
                for method in ["GET", "POST", "PUT"] {
                    let scope = NetScope::new(
                        scheme,
                        HostPattern::Exact(host.clone()),
                        port,
                        Some(UrlPath::parse(path).unwrap()),
                        Some(BTreeSet::from([Method::parse(method).unwrap()])),
                    );
                    points.push((scheme, access(scope.unwrap()).unwrap()));
                }
            }
        }
        let tcp = scope(Scheme::Tcp, HostPattern::Exact(host.clone()), port).unwrap();
        points.push((Scheme::Tcp, tcp));
        points
    }

    proptest! {
        #[test]
        fn a_treatment_is_never_wider_than_the_grant_and_refuses_nothing_of_it(
            atoms in prop::collection::vec(atom(), 0..5),
            host in prop::sample::select(vec!["a.example.com", "example.com", "x.a.example.com", "localhost", "127.0.0.1", "[::1]"]),
            port in prop::sample::select(vec![80u16, 443, 8080]),
        ) {
            let grant = Grant::new(atoms);
            let rules = Rules::new(&grant, Vec::new()).unwrap();
            let host = Host::parse(host).unwrap();
            let treatment = rules.treatment(&host, port);
            for (scheme, point) in points(&host, port) {
                let permitted = grant.permits(&point);
                let unseen = matches!(
                    (treatment, scheme),
                    (Treatment::Splice, Scheme::Tcp)
                        | (Treatment::Speak { tls: Some(Tls::Splice), .. }, Scheme::Https)
                );
                prop_assert!(!unseen || permitted, "{} by {:?}", point, treatment);
                let reachable = match (treatment, scheme) {
                    (Treatment::Splice, _) => true,
                    (Treatment::Speak { http, .. }, Scheme::Http) => http,
                    (Treatment::Speak { tls, .. }, Scheme::Https) => tls.is_some(),
                    _ => false,
                };
                prop_assert!(reachable || !permitted, "{} is granted, not reached by {:?}", point, treatment);
            }
        }
    }
}

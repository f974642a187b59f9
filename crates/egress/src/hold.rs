//! What is said of each atom before anything starts.

use std::net::{IpAddr, Ipv4Addr};

use bailiwick_capability::{Grant, Granted, Host, HostPattern, Kind, NetScope, Scheme, Scope};
use bailiwick_wall::Hold;

/// The port of the resolver inside.
pub(crate) const DNS_PORT: u16 = 53;

/// What becomes of an atom of `network_access` or `use_secret` inside `grant`; other kinds are refused.
///
/// A wildcard is held by deciding each name when it is asked for and again when it is dialled, a hole by
/// deciding each connection (`tcp`) or each request.
pub fn hold(atom: &Granted, grant: &Grant) -> Hold {
    match (atom.capability().kind(), atom.capability().scope()) {
        (Kind::NetworkAccess, Scope::Net(net)) => connection(atom, net, grant),
        (Kind::NetworkAccess, _) => not(
            "the whole of network_access is every address and protocol there is; name the hosts, such as \
             `https://api.example.com` or `tcp://db.example.com:5432`",
        ),
        (Kind::UseSecret, Scope::Name(_)) if atom.holes().is_empty() => fully(
            "the plugin holds a placeholder; the value is put in on the way to its bound destination alone",
        ),
        (Kind::UseSecret, _) => {
            not("secrets are used one by one: name it, such as `use_secret:github_token`")
        }
        _ => not("the egress serves connections and secrets alone"),
    }
}

fn connection(atom: &Granted, net: &NetScope, grant: &Grant) -> Hold {
    if net.port() == DNS_PORT {
        return not("port 53 inside is the wall's own resolver, which answers granted names alone");
    }
    if let HostPattern::Exact(Host::Ip(address)) = net.host()
        && let Some(why) = undiallable(*address)
    {
        return not(why);
    }
    if listens(net.port(), grant) {
        return not(
            "the plugin listens on this port itself, and inside there is one loopback device for both; use another \
             port for either",
        );
    }
    let looked_into = net.path().is_some() || net.methods().is_some() || !atom.holes().is_empty();
    fully(match net.scheme() {
        Scheme::Tcp => {
            "a resolver that answers granted names alone; each connection decided, resolved, checked and dialled by \
             the host"
        }
        Scheme::Http => "each request decided; its name resolved, checked and dialled by the host",
        Scheme::Https if looked_into => {
            "TLS terminated by an authority that this plugin alone trusts; each request decided; its name resolved, \
             checked and dialled by the host"
        }
        Scheme::Https => {
            "the TLS server name must be the granted one; resolved, checked and dialled by the host; what is inside \
             TLS is not read"
        }
    })
}

/// Whether `grant` lets the plugin listen on `port`.
fn listens(port: u16, grant: &Grant) -> bool {
    grant
        .of_kind(Kind::NetworkListen)
        .any(|atom| match atom.capability().scope() {
            Scope::Listen(listen) => listen.port() == port,
            _ => true,
        })
}

/// Why an address literal cannot be put on the loopback device and dialled.
fn undiallable(address: IpAddr) -> Option<&'static str> {
    let multicast = "a connection to a multicast or broadcast address does not exist";
    Some(match address {
        _ if address.is_unspecified() => {
            "the unspecified address stands for every address of a machine; name the one that is meant, such as \
             `127.0.0.1`"
        }
        _ if address.is_multicast() => multicast,
        IpAddr::V4(Ipv4Addr::BROADCAST) => multicast,
        IpAddr::V4(v4) if matches!(v4.octets(), [198, 18..=19, ..]) => {
            "198.18.0.0/15 stands for granted names inside the wall (RFC 2544); grant the name instead"
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            "a link-local IPv6 address means nothing without an interface; name a routable one"
        }
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            "an IPv4 address in IPv6 form; write it as IPv4"
        }
        _ => return None,
    })
}

fn fully(how: &str) -> Hold {
    Hold::Fully {
        how: how.to_owned(),
    }
}

fn not(why: &str) -> Hold {
    Hold::Not {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(atoms: &[&str]) -> Vec<bool> {
        let atoms: Vec<Granted> = atoms.iter().map(|atom| atom.parse().unwrap()).collect();
        let grant = Grant::new(atoms.clone());
        let fully = |atom| matches!(hold(atom, &grant), Hold::Fully { .. });
        atoms.iter().map(fully).collect()
    }

    #[test]
    fn what_cannot_be_held_exactly_is_refused() {
        for refused in [
            "network_access",
            "network_access:tcp://0.0.0.0:80",
            "network_access:tcp://[::]:80",
            "network_access:tcp://224.0.0.1:80",
            "network_access:tcp://255.255.255.255:80",
            "network_access:tcp://198.18.0.9:80",
            "network_access:tcp://[fe80::1]:80",
            "network_access:tcp://[ff02::1]:80",
            "network_access:tcp://a.example:53",
            "use_secret",
            "read_files:/etc/hosts",
            "network_listen:127.0.0.1:8080",
        ] {
            assert_eq!(held(&[refused]), [false], "{refused}");
        }
        for held_exactly in [
            "network_access:https://a.example",
            "network_access:https://*.example.com/v1/ GET",
            "network_access:tcp://*.example.com:5432 except tcp://a.example.com:5432",
            "network_access:http://localhost:3000",
            "network_access:tcp://127.0.0.1:5432",
            "network_access:tcp://169.254.169.254:80",
            "network_access:tcp://[2606:4700::1111]:443",
            "use_secret:github_token",
        ] {
            assert_eq!(held(&[held_exactly]), [true], "{held_exactly}");
        }
    }

    #[test]
    fn a_port_that_the_plugin_listens_on_is_not_dialled() {
        let both = [
            "network_access:http://localhost:8080",
            "network_access:http://localhost:8081",
            "network_listen:127.0.0.1:8080",
        ];
        assert_eq!(held(&both), [false, true, false]);
    }
}

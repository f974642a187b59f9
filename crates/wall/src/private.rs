//! Names that a person says are of a private network.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use bailiwick_capability::{DnsName, Grant, Host, HostPattern, Kind, Scope};

use crate::misleads;

/// Where names of a private network may lead, as the person whose machine it is has written it down. No plugin and no
/// policy adds to it.
///
/// A name in here leads to these addresses alone: whoever answers DNS can point it at no other, public ones included.
/// It counts only where the grant names it literally; a wildcard never leads into a private network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrivateNames(BTreeMap<DnsName, Vec<Prefix>>);

/// A range of addresses, as `10.1.2.0/24` or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    base: IpAddr,
    bits: u32,
}

/// The widest ranges that say anything.
const WIDEST_V4: u32 = 8;
const WIDEST_V6: u32 = 16;

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPrefix(String);

impl fmt::Display for NoPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoPrefix {}

impl FromStr for Prefix {
    type Err = NoPrefix;

    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        let no = |why: &str| NoPrefix(format!("`{text}` {why}"));
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| {
            (base, Some(bits.parse::<u32>().ok()))
        });
        let base: IpAddr = base
            .parse()
            .map_err(|_| no("is no address: write `10.1.2.3` or `10.1.2.0/24`"))?;
        let (most, widest) = match base {
            IpAddr::V4(_) => (32, WIDEST_V4),
            IpAddr::V6(_) => (128, WIDEST_V6),
        };
        let bits = bits
            .unwrap_or(Some(most))
            .filter(|bits| (widest..=most).contains(bits))
            .ok_or_else(|| no(&format!("needs a length of {widest} to {most}")))?;
        let prefix = Self { base, bits };
        if prefix.masked(base) != prefix.number(base) {
            return Err(no("has bits beyond its length"));
        }
        if let Some(why) = never(base) {
            return Err(no(&format!(
                "is {why}, where no name may lead; grant such an address itself"
            )));
        }
        Ok(prefix)
    }
}

impl Prefix {
    fn number(self, address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
            IpAddr::V6(address) => u128::from(address),
        }
    }

    fn masked(self, address: IpAddr) -> u128 {
        self.number(address) & u128::MAX << (128 - self.bits)
    }

    /// Whether `address` lies in it. An IPv4 address in IPv6 form lies in no range.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4()
            && self.masked(address) == self.number(self.base)
            && never(address).is_none()
    }
}

/// What is no machine of a network, or gives credentials away.
fn never(address: IpAddr) -> Option<&'static str> {
    let metadata_v4 = Ipv4Addr::new(168, 63, 129, 16);
    let metadata_v6 = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        _ if address.is_unspecified() => Some("unspecified"),
        _ if address.is_multicast() => Some("multicast"),
        IpAddr::V4(v4) if v4.is_link_local() => {
            Some("link-local, where cloud metadata services live")
        }
        IpAddr::V4(v4) if v4.octets() >= [240, 0, 0, 0] => Some("reserved"),
        IpAddr::V4(v4) if v4 == metadata_v4 => Some("a cloud metadata service"),
        IpAddr::V6(v6) if v6 == metadata_v6 => Some("a cloud metadata service"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("link-local"),
        _ => None,
    }
}

impl PrivateNames {
    /// These names with the ranges of each.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = (DnsName, Vec<Prefix>)>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Those that `grant` names literally.
    #[must_use]
    pub fn granted_in(&self, grant: &Grant) -> Self {
        let mut granted = Self::default();
        for atom in grant.of_kind(Kind::NetworkAccess) {
            let Scope::Net(scope) = atom.capability().scope() else {
                continue;
            };
            if let HostPattern::Exact(Host::Name(name)) = scope.host()
                && let Some(ranges) = self.0.get(name)
            {
                granted.0.insert(name.clone(), ranges.clone());
            }
        }
        granted
    }

    /// Why a granted name may not lead to `address`; none where it may.
    #[must_use]
    pub fn misleads(&self, name: &DnsName, address: IpAddr) -> Option<&'static str> {
        match self.0.get(name) {
            Some(ranges) if ranges.iter().any(|range| range.contains(address)) => None,
            Some(_) => Some("none of the addresses that `private_names` has for it"),
            None => misleads(name, address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_capability::Granted;

    fn names() -> PrivateNames {
        let name = DnsName::parse("db.internal").unwrap();
        let ranges = ["10.1.2.0/24", "fd00:1::/32", "192.168.7.9"];
        PrivateNames::new([(name, ranges.map(|range| range.parse().unwrap()).to_vec())])
    }

    fn grant(atom: &str) -> Grant {
        let atom: bailiwick_capability::Capability = atom.parse().unwrap();
        Grant::new([Granted::whole(atom)])
    }

    #[test]
    fn l07_a_private_name_leads_where_a_person_said_and_nowhere_else() {
        let names = names().granted_in(&grant("network_access:tcp://db.internal:5432"));
        let name = DnsName::parse("DB.Internal.").unwrap();
        let misled = |address: &str| names.misleads(&name, address.parse().unwrap()).is_some();
        for good in ["10.1.2.0", "10.1.2.255", "fd00:1::7", "192.168.7.9"] {
            assert!(!misled(good), "{good}");
        }
        for bad in [
            "10.1.3.1",
            "127.0.0.1",
            "169.254.169.254",
            "192.168.7.8",
            "8.8.8.8",
            "::ffff:10.1.2.3",
            "64:ff9b::a01:203",
            "fd00:2::1",
            "::1",
        ] {
            assert!(misled(bad), "{bad}");
        }
        let other = DnsName::parse("other.internal").unwrap();
        let private = "10.1.2.3".parse().unwrap();
        assert!(names.misleads(&other, private).is_some());
    }

    #[test]
    fn l07_a_wildcard_never_leads_into_a_private_network() {
        let private = "10.1.2.3".parse().unwrap();
        let name = DnsName::parse("db.prod.internal").unwrap();
        let names = PrivateNames::new([(name.clone(), vec!["10.1.2.0/24".parse().unwrap()])]);
        let wide = names.granted_in(&grant("network_access:tcp://*.prod.internal:5432"));
        assert!(wide.misleads(&name, private).is_some());
        let literal = names.granted_in(&grant("network_access:tcp://db.prod.internal:5432"));
        assert!(literal.misleads(&name, private).is_none());
        assert!(PrivateNames::default().misleads(&name, private).is_some());
    }

    #[test]
    fn ranges_are_written_one_way() {
        for bad in [
            "10.1.2.3/24",
            "10.0.0.0/7",
            "0.0.0.0/8",
            "169.254.169.254",
            "169.254.0.0/16",
            "224.0.0.0/8",
            "fe80::/16",
            "fd00:ec2::254",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/x",
            "db.internal",
            "",
        ] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
        assert!("10.0.0.0/8".parse::<Prefix>().is_ok());
        assert!("127.0.0.1".parse::<Prefix>().is_ok());
    }
}

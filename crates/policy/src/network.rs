//! Address ranges in policies: `Network::"10.0.0.0/8"`.

use std::net::IpAddr;

/// A range of addresses of one family, in CIDR form with no bit set after the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cidr {
    base: IpAddr,
    prefix: u32,
}

impl Cidr {
    /// Reads the one way of writing a range: `10.0.0.0/8`, `fc00::/7`; none if it is not that.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        let prefix: u32 = prefix.parse().ok()?;
        let mapped = matches!(base, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
        let range = Self { base, prefix };
        let canonical = prefix <= width(base)
            && !mapped
            && masked(base, prefix) == bits(base)
            && range.to_string() == text;
        canonical.then_some(range)
    }

    pub(crate) fn contains(self, ip: IpAddr) -> bool {
        width(ip) == width(self.base) && masked(ip, self.prefix) == bits(self.base)
    }

    /// Whether every address of `other` is in `self`.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.base)
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

fn width(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn masked(ip: IpAddr, prefix: u32) -> u128 {
    let rest = width(ip).saturating_sub(prefix);
    let cleared = bits(ip).checked_shr(rest).unwrap_or(0);
    cleared.checked_shl(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses_and_no_others() {
        let holds =
            |range: &str, ip: &str| Cidr::parse(range).unwrap().contains(ip.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "255.1.2.3"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "fe80::1"));
        assert!(holds("169.254.169.254/32", "169.254.169.254"));
        assert!(holds("fc00::/7", "fdff::1"));
        assert!(!holds("fc00::/7", "fe00::1"));
        let wide = Cidr::parse("10.0.0.0/8").unwrap();
        assert!(wide.covers(Cidr::parse("10.1.0.0/16").unwrap()));
        assert!(!Cidr::parse("10.1.0.0/16").unwrap().covers(wide));
    }

    #[test]
    fn other_ways_of_writing_are_refused() {
        for text in [
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0",
            "10.0.0.0/+8",
            "FC00::/7",
            "::ffff:10.0.0.0/104",
            "",
        ] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }
}

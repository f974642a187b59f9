//! Which address inside stands for which granted name.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bailiwick_capability::{DnsName, Host, HostPattern};

use crate::rules::Rules;

/// Names that one plugin may have addresses for at once. Behind a wildcard it may invent as many as it likes.
pub(crate) const MAX_NAMES: usize = 8192;

/// Addresses of a /15.
const RANGE: u32 = 1 << 17;
/// The first one that stands for a name: .0.0 is the network, .0.1 the resolver.
const FIRST: u32 = 2;

/// Addresses that stand for names, each for one name as long as the plugin runs.
///
/// An address is never given to a second name: a connection that was opened for the first could
/// otherwise reach the second.
#[derive(Debug)]
pub(crate) struct Names {
    base: u32,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    offsets: BTreeMap<DnsName, u32>,
    names: Vec<DnsName>,
}

/// What a name has inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Address {
    /// This address stands for it.
    Is(Ipv4Addr),
    /// Nothing there is granted.
    NotGranted,
    /// It is granted, but more names than [`MAX_NAMES`] were asked for.
    TooMany,
}

impl Names {
    /// Gives the names that `rules` name exactly their addresses at once, so that no flood can keep them out.
    /// `base` is the first address of the range.
    pub(crate) fn new(rules: &Rules, base: Ipv4Addr) -> Self {
        let names = Self {
            base: u32::from(base),
            known: Mutex::default(),
        };
        for scope in rules.scopes() {
            if let HostPattern::Exact(Host::Name(name)) = scope.host()
                && rules.knows(name)
            {
                names.lock().offset(name, usize::MAX);
            }
        }
        names
    }

    /// The address of a name that DNS was asked about.
    pub(crate) fn address(&self, name: &DnsName, rules: &Rules) -> Address {
        if !rules.knows(name) {
            return Address::NotGranted;
        }
        match self.lock().offset(name, MAX_NAMES) {
            Some(offset) => Address::Is(Ipv4Addr::from(self.base.wrapping_add(offset))),
            None => Address::TooMany,
        }
    }

    /// The name that `address` stands for, when DNS has given it out.
    pub(crate) fn name(&self, address: Ipv4Addr) -> Option<DnsName> {
        let offset = u32::from(address).checked_sub(self.base)?;
        let index = usize::try_from(offset.checked_sub(FIRST)?).ok()?;
        self.lock().names.get(index).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn offset(&mut self, name: &DnsName, most: usize) -> Option<u32> {
        if let Some(offset) = self.offsets.get(name) {
            return Some(*offset);
        }
        if self.names.len() >= most {
            return None;
        }
        let offset = u32::try_from(self.names.len()).ok()?.checked_add(FIRST)?;
        if offset >= RANGE {
            return None;
        }
        self.offsets.insert(name.clone(), offset);
        self.names.push(name.clone());
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_capability::Grant;
    use proptest::prelude::*;

    use super::*;

    const BASE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

    fn rules() -> Rules {
        let atoms = [
            "network_access:https://*.example.com",
            "network_access:tcp://a.test:1",
        ];
        let grant = Grant::new(atoms.iter().map(|atom| atom.parse().unwrap()));
        Rules::new(&grant, Vec::new()).unwrap()
    }

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).unwrap()
    }

    fn given(names: &Names, rules: &Rules, text: &str) -> Option<Ipv4Addr> {
        match names.address(&name(text), rules) {
            Address::Is(address) => Some(address),
            Address::NotGranted | Address::TooMany => None,
        }
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_keeps_out_no_name_that_was_named() {
        let rules = rules();
        let names = Names::new(&rules, BASE);
        let (mut addresses, mut refused) = (std::collections::BTreeSet::new(), 0);
        for number in 0..2 * MAX_NAMES {
            match names.address(&name(&format!("n{number}.example.com")), &rules) {
                Address::Is(address) => assert!(addresses.insert(address), "{address} twice"),
                Address::TooMany => refused += 1,
                Address::NotGranted => panic!("n{number} is granted"),
            }
        }
        assert_eq!(addresses.len() + refused, 2 * MAX_NAMES);
        assert_eq!(addresses.len(), MAX_NAMES - 1);
        assert_eq!(
            given(&names, &rules, "a.test"),
            Some(Ipv4Addr::new(198, 18, 0, 2))
        );
        assert!(
            given(&names, &rules, "n7.example.com").is_some(),
            "known before the flood"
        );
    }

    #[test]
    fn addresses_that_nobody_was_given_stand_for_nothing() {
        let names = Names::new(&rules(), BASE);
        for address in [
            "198.18.0.0",
            "198.18.0.1",
            "198.18.0.3",
            "198.19.255.255",
            "198.17.255.255",
            "0.0.0.0",
            "255.255.255.255",
        ] {
            assert_eq!(names.name(address.parse().unwrap()), None, "{address}");
        }
        assert_eq!(
            names.name("198.18.0.2".parse().unwrap()),
            Some(name("a.test"))
        );
    }

    proptest! {
        #[test]
        fn an_address_leads_back_to_its_name_and_never_to_another(
            asked in prop::collection::vec("[a-c]{1,2}(\\.example\\.com|\\.test|)", 1..40)
        ) {
            let rules = rules();
            let names = Names::new(&rules, BASE);
            let mut first = std::collections::BTreeMap::new();
            for text in &asked {
                let asked = name(text);
                if let Address::Is(address) = names.address(&asked, &rules) {
                    prop_assert!(rules.knows(&asked));
                    prop_assert_eq!(names.name(address), Some(asked.clone()));
                    prop_assert_eq!(*first.entry(asked).or_insert(address), address);
                }
            }
            let different: std::collections::BTreeSet<_> = first.values().collect();
            prop_assert_eq!(different.len(), first.len());
        }
    }
}

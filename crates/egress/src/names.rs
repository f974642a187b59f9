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

//! Looking names up on the host's side, never on the plugin's.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use bailiwick_capability::DnsName;

/// Addresses of one name.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up for the host. Asked only about names that are granted (L6).
pub trait Resolve: Send + Sync {
    /// All addresses of `name`.
    fn resolve(&self, name: &DnsName) -> Addresses;
}

/// Why a granted name may not lead to `address`; none where it may.
///
/// `localhost` must be loopback; every other name must be public, so that whoever answers DNS cannot
/// point a granted name into the machine or its network (L7). An address that is granted as such is not asked about.
#[must_use]
pub fn misleads(name: &DnsName, address: IpAddr) -> Option<&'static str> {
    if name.as_str() == "localhost" {
        return (!address.is_loopback()).then_some("`localhost` that is not loopback");
    }
    crate::not_public(address)
}

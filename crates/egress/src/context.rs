//! What all connections of one plugin share.

use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_capability::{Host, Kind};
use bailiwick_wall::Denials;
use tokio::net::TcpStream;

use crate::dial::{DialError, Outside};
use crate::http::Terminator;
use crate::names::Names;
use crate::rules::Rules;

/// What all connections of one plugin share.
pub(crate) struct Context {
    pub(crate) rules: Rules,
    pub(crate) names: Names,
    pub(crate) outside: Outside,
    pub(crate) terminator: Terminator,
    pub(crate) denials: Denials,
    pub(crate) counts: Counts,
}

impl Context {
    /// Tells that something was refused. `target` as `scheme://host:port`, without a query.
    pub(crate) fn refuse(&self, target: &str, reason: &str) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        self.denials
            .add(Kind::NetworkAccess.as_str(), target, reason);
    }

    /// Dials a decided host, and tells where that was refused. `target` as for [`Context::refuse`].
    pub(crate) async fn dial(
        &self,
        host: &Host,
        port: u16,
        target: &str,
    ) -> Result<TcpStream, DialError> {
        let dialled = self.outside.dial(host, port).await;
        match &dialled {
            Ok(_) => {
                self.counts.connections.fetch_add(1, Ordering::Relaxed);
                self.denials.used(Kind::NetworkAccess.as_str(), target);
            }
            Err(misled @ DialError::Misled { .. }) => self.refuse(target, &misled.to_string()),
            Err(DialError::Failed(_)) => {}
        }
        dialled
    }
}

/// Running totals.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) questions: AtomicU64,
}

/// What an [`crate::Egress`] has served so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Connections that went out.
    pub connections: u64,
    /// Connections, requests and names that were refused.
    pub refused: u64,
    /// DNS questions that were answered, whatever the answer.
    pub questions: u64,
}

impl Counts {
    pub(crate) fn read(&self) -> Counters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            connections: read(&self.connections),
            refused: read(&self.refused),
            questions: read(&self.questions),
        }
    }
}

#[cfg(test)]
impl Context {
    /// For tests: `atoms` of `network_access`, the machine's resolver, names from 198.18.0.2 on.
    pub(crate) fn granting(atoms: &[&str]) -> Self {
        let atom = |atom: &&str| format!("network_access:{atom}").parse().unwrap();
        let grant = bailiwick_capability::Grant::new(atoms.iter().map(atom));
        let rules = Rules::new(&grant, Vec::new()).unwrap();
        let resolver = std::sync::Arc::new(crate::SystemResolver);
        Self {
            names: Names::new(&rules, std::net::Ipv4Addr::new(198, 18, 0, 0)),
            outside: Outside::new(resolver, &[], bailiwick_wall::PrivateNames::default()).unwrap(),
            terminator: Terminator::new(&rules, None, Vec::new()).unwrap(),
            denials: Denials::new(),
            counts: Counts::default(),
            rules,
        }
    }
}

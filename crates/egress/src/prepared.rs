//! What is made before the plugin starts, and what serves it while it runs.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_capability::{Grant, Host, HostPattern};
use bailiwick_wall::{Denials, PrivateNames, Resolve, Secret, WallError};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::accept;
use crate::broker::SecretUses;
use crate::context::{Context, Counters, Counts};
use crate::dial::{Outside, SystemResolver};
use crate::dns;
use crate::http::Terminator;
use crate::names::Names;
use crate::rules::Rules;

/// How the host goes out, and which addresses stand for names inside.
#[derive(Clone)]
pub struct Settings {
    /// Looks granted names up.
    pub resolver: Arc<dyn Resolve>,
    /// Names that may lead to private addresses.
    pub private: PrivateNames,
    /// Certificate authorities trusted besides those of the browsers and of the machine; DER.
    pub extra_roots: Vec<Vec<u8>>,
    /// First address of the /15 that stands for names inside: 198.18.0.0 (RFC 2544), where DNS is at .0.1.
    pub synthetic: Ipv4Addr,
    /// Told of each use of a secret beforehand; without it no secret is used.
    pub secret_uses: Option<Arc<dyn SecretUses>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resolver: Arc::new(SystemResolver),
            private: PrivateNames::default(),
            extra_roots: Vec::new(),
            synthetic: Ipv4Addr::new(198, 18, 0, 0),
            secret_uses: None,
        }
    }
}

/// Sockets that listen in the plugin's network namespace.
#[derive(Debug)]
pub struct Listeners {
    /// A UDP socket on the resolver's address, port 53.
    pub dns_udp: OwnedFd,
    /// A listening TCP socket on the resolver's address, port 53.
    pub dns_tcp: OwnedFd,
    /// A listening TCP socket on every address, for each port.
    pub tcp: Vec<(u16, OwnedFd)>,
}

/// All that a plugin's network needs, before the plugin starts.
pub struct Prepared {
    rules: Rules,
    outside: Outside,
    terminator: Terminator,
    synthetic: Ipv4Addr,
}

impl Prepared {
    /// Prepares the network part of `grant`; none where no `network_access` is granted.
    ///
    /// # Errors
    /// An atom that cannot be held exactly, as [`crate::hold`] says; a certificate authority that cannot
    /// be read or made.
    pub fn new(
        grant: &Grant,
        secrets: Vec<Secret>,
        settings: Settings,
    ) -> Result<Option<Self>, WallError> {
        let rules = Rules::new(grant, secrets)?;
        if rules.scopes().next().is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            outside: Outside::new(
                settings.resolver,
                &settings.extra_roots,
                settings.private.granted_in(grant),
            )?,
            terminator: Terminator::new(&rules, settings.secret_uses, settings.extra_roots)?,
            synthetic: settings.synthetic,
            rules,
        }))
    }

    /// The ports to listen on.
    #[must_use]
    pub fn ports(&self) -> BTreeSet<u16> {
        self.rules.scopes().map(|scope| scope.port()).collect()
    }

    /// The granted literal addresses, which are to be put on the loopback device.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let literal = |host: &HostPattern| match host {
            HostPattern::Exact(Host::Ip(address)) => Some(*address),
            _ => None,
        };
        let literals: BTreeSet<IpAddr> = self
            .rules
            .scopes()
            .filter_map(|scope| literal(scope.host()))
            .collect();
        literals.into_iter().collect()
    }

    /// Files that the plugin is shown in place of the host's.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        // The resolver right after the start of the range; and no search list, which would make other names.
        let [a, b, ..] = self.synthetic.octets();
        let resolver = format!("nameserver {a}.{b}.0.1\noptions timeout:5 attempts:2\n");
        let own = [
            ("/etc/resolv.conf", resolver.as_str()),
            ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
            (
                "/etc/nsswitch.conf",
                "passwd: files\ngroup: files\nhosts: files dns\n",
            ),
        ];
        own.into_iter()
            .map(|(place, text)| (PathBuf::from(place), text.as_bytes().to_vec()))
            .chain(self.terminator.files())
            .collect()
    }

    /// Variables of the plugin's environment.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        self.terminator.env()
    }

    /// Serves the plugin until the answer is dropped. Refusals go to `denials`.
    ///
    /// # Errors
    /// A descriptor that is no such socket; a call from outside a tokio runtime with I/O and time.
    pub fn serve(self, listeners: Listeners, denials: Denials) -> io::Result<Egress> {
        let context = Arc::new(Context {
            names: Names::new(&self.rules, self.synthetic),
            rules: self.rules,
            outside: self.outside,
            terminator: self.terminator,
            denials,
            counts: Counts::default(),
        });
        let udp = UdpSocket::from_std(unblocked(listeners.dns_udp)?)?;
        let tcp = TcpListener::from_std(unblocked(listeners.dns_tcp)?)?;
        let ports = listeners
            .tcp
            .into_iter()
            .map(|(port, listener)| Ok((port, TcpListener::from_std(unblocked(listener)?)?)));
        let ports = ports.collect::<io::Result<Vec<_>>>()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(dns::serve_udp(Arc::clone(&context), udp));
        tasks.spawn(dns::serve_tcp(Arc::clone(&context), tcp));
        let places = Arc::new(Semaphore::new(accept::CONNECTIONS));
        let listening = ports.len();
        for (port, listener) in ports {
            let (context, places) = (Arc::clone(&context), Arc::clone(&places));
            tasks.spawn(accept::serve(context, port, listener, places));
        }
        Ok(Egress {
            context,
            places,
            listening,
            _tasks: tasks,
        })
    }
}

/// The socket in the form that tokio takes.
fn unblocked<S: From<OwnedFd>>(socket: OwnedFd) -> io::Result<S> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket.into())
}

/// Serves one plugin's network; dropping it ends every connection.
pub struct Egress {
    context: Arc<Context>,
    places: Arc<Semaphore>,
    listening: usize,
    _tasks: JoinSet<()>,
}

/// How often connections that still carry something are looked for.
const GLANCE: Duration = Duration::from_millis(10);

impl Egress {
    /// Waits, once the plugin has ended, until what it sent last has gone out, at most for `patience`.
    pub async fn drain(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut quiet = 0;
        // Twice in a row: a connection may just be about to be accepted.
        while quiet < 2 && Instant::now() < deadline {
            tokio::time::sleep(GLANCE).await;
            // Each port holds one place for the next connection.
            let taken = accept::CONNECTIONS.saturating_sub(self.places.available_permits());
            quiet = if taken > self.listening { 0 } else { quiet + 1 };
        }
    }

    /// What was served so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.context.counts.read()
    }
}

//! From a decided host to a connected stream: resolve once, check every address, dial a checked one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_capability::{DnsName, Host};
use bailiwick_wall::{Addresses, Resolve, WallError, misleads};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Longest look-up of a name.
const RESOLVE: Duration = Duration::from_secs(10);
/// Longest wait for one of several addresses, before the next is tried.
const EACH: Duration = Duration::from_secs(5);
/// Longest wait for all addresses together.
const CONNECT: Duration = Duration::from_secs(20);
/// Addresses tried of one name; whoever answers DNS decides how many there are.
const MAX_ADDRESSES: usize = 16;

/// Where systems keep the certificate authorities that they trust, by distribution.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &DnsName) -> Addresses {
        // A trailing dot: the host's search list must not make another name of it.
        let name = format!("{name}.");
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// How the host itself goes out.
pub(crate) struct Outside {
    resolver: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
}

/// Why nothing was dialled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// A granted name leads where it may not: a denial.
    #[error("`{name}` leads to {address}, which is {why}; only a grant of that address itself opens it")]
    Misled {
        name: DnsName,
        address: IpAddr,
        why: &'static str,
    },
    /// The name has no address, or nobody is there: no denial, the network's own failure.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Outside {
    /// Trusts what browsers trust, what the machine trusts, and `extra_roots` (DER).
    pub(crate) fn new(
        resolver: Arc<dyn Resolve>,
        extra_roots: &[Vec<u8>],
    ) -> Result<Self, WallError> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.into(),
        };
        let bundle = BUNDLES.iter().map(Path::new).find(|path| path.is_file());
        if let Some(Ok(certificates)) = bundle.map(CertificateDer::pem_file_iter) {
            roots.add_parsable_certificates(certificates.filter_map(Result::ok));
        }
        let broken = |error: &dyn std::fmt::Display| WallError::Build {
            what: "the certificate authorities for going out".to_owned(),
            why: error.to_string(),
        };
        for der in extra_roots {
            roots
                .add(CertificateDer::from(der.clone()))
                .map_err(|error| broken(&error))?;
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            resolver,
            tls: Arc::new(tls),
        })
    }

    /// For TLS towards a destination; without ALPN.
    pub(crate) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// Connects to what was matched: the very same value.
    pub(crate) async fn dial(&self, host: &Host, port: u16) -> Result<TcpStream, DialError> {
        let addresses = self.addresses(host).await?;
        let until = Instant::now() + CONNECT;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            let connecting = TcpStream::connect(SocketAddr::new(address, port));
            match timeout_at(until, timeout(EACH, connecting)).await {
                Ok(Ok(Ok(stream))) => return Ok(stream),
                Ok(Ok(Err(error))) => last = error,
                Ok(Err(_)) => last = io::ErrorKind::TimedOut.into(),
                Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        }
        Err(last.into())
    }

    /// The addresses that may be dialled. One bad answer spoils all: it would be the attacker's choice.
    async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, DialError> {
        let name = match host {
            Host::Ip(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        let resolving = timeout(RESOLVE, self.resolver.resolve(name));
        let mut found = resolving
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        for address in &found {
            if let Some(why) = misleads(name, *address) {
                return Err(DialError::Misled {
                    name: name.clone(),
                    address: *address,
                    why,
                });
            }
        }
        found.truncate(MAX_ADDRESSES);
        Ok(found)
    }
}

//! From a decided host to a connected stream: resolve once, check every address, dial a checked one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_capability::{DnsName, Host};
use bailiwick_wall::{Addresses, PrivateNames, Resolve, WallError};
use rustix::net::sockopt;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Longest look-up of a name.
const RESOLVE: Duration = Duration::from_secs(10);
/// Look-ups at once, those included that nobody waits for any more: each holds a thread of the host's until
/// its servers answer, and those belong to whoever runs the granted zone.
const LOOKUPS: usize = 16;
/// Longest wait for one of several addresses, before the next is tried.
const EACH: Duration = Duration::from_secs(5);
/// Longest wait for all addresses together.
const CONNECT: Duration = Duration::from_secs(20);
/// Addresses tried of one name; whoever answers DNS decides how many there are.
const MAX_ADDRESSES: usize = 16;

/// Where systems keep the certificate authorities that they trust, by distribution.
pub(crate) const BUNDLES: &[&str] = &[
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
        if name.as_str() == "localhost" {
            let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Box::pin(async move { Ok(Vec::from(loopback)) });
        }
        let name = name.clone();
        Box::pin(async move {
            let table = std::fs::read_to_string("/etc/hosts");
            let own = listed(&table.unwrap_or_default(), &name);
            if !own.is_empty() {
                return Ok(own);
            }
            // A trailing dot: the host's search list must not make another name of it (L1). No line of the
            // machine's own table has one, so that was read before.
            let found = tokio::net::lookup_host((format!("{name}."), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The addresses of `name` in a table of names (hosts(5)).
fn listed(table: &str, name: &DnsName) -> Vec<IpAddr> {
    let lines = table
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line));
    let found = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        let is_it = |word: &str| DnsName::parse(word).is_ok_and(|other| other == *name);
        words.any(is_it).then_some(address)
    });
    found.collect()
}

/// How the host itself goes out.
pub(crate) struct Outside {
    resolver: Arc<dyn Resolve>,
    private: PrivateNames,
    lookups: Arc<Semaphore>,
    tls: Arc<ClientConfig>,
}

/// Why nothing was dialled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// A granted name leads where it may not: a denial.
    #[error(
        "`{name}` leads to {address}, which is {why}; only a grant of that address itself opens it, or `private_names` in \
         the configuration"
    )]
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
    /// Trusts what browsers trust, what the machine trusts, and `extra_roots` (DER). `private` are names that may lead
    /// to private addresses.
    pub(crate) fn new(
        resolver: Arc<dyn Resolve>,
        extra_roots: &[Vec<u8>],
        private: PrivateNames,
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
            private,
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
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
                Ok(Ok(Ok(stream))) => {
                    // A peer that went away without a word is noticed in the end.
                    let _ = sockopt::set_socket_keepalive(&stream, true);
                    return Ok(stream);
                }
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
        let mut found = timeout(RESOLVE, self.look_up(name))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        for address in &found {
            if let Some(why) = self.private.misleads(name, *address) {
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

    async fn look_up(&self, name: &DnsName) -> io::Result<Vec<IpAddr>> {
        let place = Arc::clone(&self.lookups).acquire_owned();
        let place = place.await.map_err(io::Error::other)?;
        let asking = self.resolver.resolve(name);
        let asked = tokio::spawn(async move {
            let found = asking.await;
            drop(place);
            found
        });
        asked.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_machine_s_own_table_is_read_by_whole_names() {
        let table = "127.0.0.1 localhost\n10.1.2.3 Api.Example.com api # ours\n::1 api.example.com.\nx api.example.com\n";
        let found = |name: &str| listed(table, &DnsName::parse(name).unwrap());
        let both: [IpAddr; 2] = ["10.1.2.3".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(found("api.example.com"), both);
        assert!(found("example.com").is_empty() && found("ours").is_empty());
    }

    /// Answers each time with the next list, and the last one for ever.
    struct Scripted(Mutex<Vec<Vec<&'static str>>>);

    impl Resolve for Scripted {
        fn resolve(&self, _: &DnsName) -> Addresses {
            let mut script = self.0.lock().unwrap();
            let now = if script.len() > 1 {
                script.remove(0)
            } else {
                script[0].clone()
            };
            let now = now.iter().map(|text| text.parse().unwrap()).collect();
            Box::pin(async move { Ok(now) })
        }
    }

    fn outside(script: &[&[&'static str]]) -> Outside {
        let script = script.iter().map(|answer| answer.to_vec()).collect();
        Outside::new(Arc::new(Scripted(Mutex::new(script))), &[], private()).unwrap()
    }

    /// `db.internal` is loopback here.
    fn private() -> PrivateNames {
        let name = DnsName::parse("db.internal").unwrap();
        PrivateNames::new([(name, vec!["127.0.0.0/8".parse().unwrap()])])
    }

    #[tokio::test]
    async fn l07_a_private_name_is_dialled_and_cannot_be_bound_anew() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let good = outside(&[&["127.0.0.1"]]);
        assert!(good.dial(&name("db.internal"), port).await.is_ok());
        for bad in [
            vec!["10.0.0.1"],
            vec!["127.0.0.1", "169.254.169.254"],
            vec!["93.184.216.34"],
            vec!["::1"],
            vec!["::ffff:127.0.0.1"],
        ] {
            let rebound = outside(&[&["127.0.0.1"], &bad]);
            assert!(rebound.addresses(&name("db.internal")).await.is_ok());
            let error = rebound.dial(&name("db.internal"), port).await.unwrap_err();
            assert!(
                matches!(error, DialError::Misled { .. }),
                "{bad:?}: {error}"
            );
        }
        let other = outside(&[&["127.0.0.1"]]);
        assert!(other.dial(&name("other.internal"), port).await.is_err());
    }

    fn name(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    #[tokio::test]
    async fn l07_one_bad_answer_spoils_all() {
        for bad in [
            "127.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.2",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "fd00:ec2::254",
            "fe80::1",
        ] {
            for answer in [vec![bad], vec!["93.184.216.34", bad], vec![bad, "1.1.1.1"]] {
                let outside = outside(&[&answer]);
                let error = outside.dial(&name("a.example"), 9).await.unwrap_err();
                assert!(
                    matches!(error, DialError::Misled { .. }),
                    "{answer:?}: {error}"
                );
            }
        }
    }

    #[tokio::test]
    async fn l07_a_name_that_is_bound_anew_is_checked_anew() {
        // Public when it was first asked for, the metadata service when it is dialled.
        let outside = outside(&[&["93.184.216.34"], &["169.254.169.254"]]);
        let first = outside.addresses(&name("a.example")).await.unwrap();
        assert_eq!(first, ["93.184.216.34".parse::<IpAddr>().unwrap()]);
        let again = outside.dial(&name("a.example"), 80).await.unwrap_err();
        assert!(again.to_string().contains("169.254.169.254"), "{again}");
    }

    /// Never answers, and counts who asked.
    #[derive(Clone, Default)]
    struct Silent(Arc<std::sync::atomic::AtomicUsize>);

    impl Resolve for Silent {
        fn resolve(&self, _: &DnsName) -> Addresses {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn servers_that_never_answer_hold_a_bounded_number_of_look_ups() {
        let silent = Silent::default();
        let outside = Arc::new(Outside::new(Arc::new(silent.clone()), &[], private()).unwrap());
        let asked = || silent.0.load(std::sync::atomic::Ordering::SeqCst);
        for _ in 0..3 {
            let dials: Vec<_> = (0..LOOKUPS)
                .map(|_| {
                    let outside = Arc::clone(&outside);
                    tokio::spawn(async move { outside.dial(&name("a.example"), 80).await.is_ok() })
                })
                .collect();
            while asked() < LOOKUPS {
                tokio::task::yield_now().await;
            }
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            // Whoever waited goes away; what was asked is still on its way.
            dials.iter().for_each(tokio::task::JoinHandle::abort);
        }
        assert_eq!(asked(), LOOKUPS);
    }

    #[tokio::test]
    async fn localhost_leads_to_loopback_alone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nobody listens on the first: the next is tried.
        let good = outside(&[&["127.1.2.3", "127.0.0.1"]]);
        assert!(good.dial(&name("localhost"), port).await.is_ok());
        let bad = outside(&[&["93.184.216.34"]]);
        let error = bad.dial(&name("localhost"), port).await.unwrap_err();
        assert!(matches!(error, DialError::Misled { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_granted_address_is_dialled_as_it_is() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let outside = outside(&[&["169.254.169.254"]]);
        let stream = outside.dial(&Host::Ip(address.ip()), address.port()).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_no_denial() {
        let error = outside(&[&[]])
            .dial(&name("a.example"), 80)
            .await
            .unwrap_err();
        assert!(matches!(error, DialError::Failed(_)), "{error}");
    }

    #[tokio::test]
    async fn the_machine_resolves_localhost_without_asking() {
        let found = SystemResolver
            .resolve(&DnsName::parse("localhost").unwrap())
            .await
            .unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && found.len() == 2);
    }
}

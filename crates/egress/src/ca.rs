//! The certificate authority of one session, which only its sandbox trusts.

mod keystore;
mod trust;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bailiwick_capability::{Host, HostPattern};
use bailiwick_wall::WallError;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use tokio_rustls::rustls::{ServerConfig, crypto};

pub(crate) use self::trust::{env, files};

/// How long the authority is valid. Its key is in the host's memory alone and ends with the session.
const AUTHORITY: time::Duration = time::Duration::days(30);
/// How long a certificate for one name is valid.
const LEAF: time::Duration = time::Duration::days(2);
/// How long a certificate for one name is used before a new one is made.
const RENEW: Duration = Duration::from_secs(24 * 60 * 60);
/// How far the plugin's clock may be behind.
const SKEW: time::Duration = time::Duration::hours(1);
/// Names with certificates at once; below a wildcard the plugin chooses them.
const MAX_LEAVES: usize = 1024;

/// Makes certificates for granted names. Its key is made anew for each session and never written anywhere.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    /// All certificates for names share one key.
    key: KeyPair,
    leaves: Mutex<HashMap<Host, (Instant, Arc<ServerConfig>)>>,
}

impl Authority {
    /// An authority for `hosts` and, as far as clients read name constraints (RFC 5280 §4.2.1.10), for no others.
    pub(crate) fn new<'a>(hosts: impl Iterator<Item = &'a HostPattern>) -> Result<Self, WallError> {
        let make = || -> Result<Self, rcgen::Error> {
            let key = KeyPair::generate()?;
            let mut params = params("bailiwick session authority", AUTHORITY);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.name_constraints = Some(constraints(hosts));
            let certificate = params.self_signed(&key)?;
            Ok(Self {
                pem: certificate.pem(),
                certificate: certificate.into(),
                issuer: Issuer::new(params, key),
                key: KeyPair::generate()?,
                leaves: Mutex::default(),
            })
        };
        make().map_err(|error| WallError::Build {
            what: "the certificate authority of the session".to_owned(),
            why: error.to_string(),
        })
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate in DER.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// How TLS towards the plugin is served for one host.
    ///
    /// # Errors
    /// A sentence for the operator, where no certificate can be made.
    pub(crate) fn server(&self, host: &Host) -> Result<Arc<ServerConfig>, String> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, config)) = leaves.get(host)
            && since.elapsed() < RENEW
        {
            return Ok(Arc::clone(config));
        }
        if leaves.len() >= MAX_LEAVES {
            leaves.clear();
        }
        let config = Arc::new(self.config(host)?);
        leaves.insert(host.clone(), (Instant::now(), Arc::clone(&config)));
        Ok(config)
    }

    fn config(&self, host: &Host) -> Result<ServerConfig, String> {
        let leaf = self.leaf(host).map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config
                    .with_no_client_auth()
                    .with_single_cert(vec![leaf], key)
            })
            .map_err(|error| error.to_string())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn leaf(&self, host: &Host) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = params("bailiwick session", LEAF);
        params.subject_alt_names = vec![match host {
            Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Host::Ip(address) => SanType::IpAddress(*address),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        // Of one issuer, no two certificates have the same number (RFC 5280 §4.1.2.2).
        params.serial_number = Some(serial()?);
        Ok(params.signed_by(&self.key, &self.issuer)?.into())
    }
}

fn params(name: &str, validity: time::Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    params.not_before = now - SKEW;
    params.not_after = now + validity;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A random number, positive (RFC 5280 §4.1.2.2).
fn serial() -> Result<SerialNumber, rcgen::Error> {
    let random = ring::rand::generate::<[u8; 16]>(&ring::rand::SystemRandom::new());
    let mut bytes = random
        .map_err(|_| rcgen::Error::RingUnspecified)?
        .expose()
        .to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    Ok(SerialNumber::from(bytes))
}

fn constraints<'a>(hosts: impl Iterator<Item = &'a HostPattern>) -> NameConstraints {
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for host in hosts {
        match host {
            HostPattern::Exact(Host::Name(name)) | HostPattern::Suffix(name) => {
                names.push(GeneralSubtree::DnsName(name.as_str().to_owned()));
            }
            HostPattern::Exact(Host::Ip(address)) => {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                let exactly = CidrSubnet::from_addr_prefix(*address, bits);
                addresses.push(GeneralSubtree::IpAddress(exactly));
            }
        }
    }
    // A kind of name that is not constrained is free, so an empty list names what nobody has.
    if names.is_empty() {
        names.push(GeneralSubtree::DnsName("invalid".to_owned()));
    }
    let mut excluded = Vec::new();
    if addresses.is_empty() {
        excluded.push(GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])));
        excluded.push(GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])));
    }
    names.dedup();
    names.extend(addresses);
    NameConstraints {
        permitted_subtrees: names,
        excluded_subtrees: excluded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::{ServerName, UnixTime};
    use tokio_rustls::rustls::RootCertStore;
    use tokio_rustls::rustls::client::WebPkiServerVerifier;
    use tokio_rustls::rustls::client::danger::ServerCertVerifier;

    fn authority(hosts: &[&str]) -> Authority {
        let hosts: Vec<_> = hosts
            .iter()
            .map(|host| HostPattern::parse(host).unwrap())
            .collect();
        Authority::new(hosts.iter()).unwrap()
    }

    fn trusted(authority: &Authority, host: &str, by: &Authority) -> bool {
        let host = Host::parse(host).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(by.certificate().clone()).unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .unwrap();
        let name = match &host {
            Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).unwrap(),
            Host::Ip(address) => ServerName::from(*address),
        };
        let leaf = authority.leaf(&host).unwrap();
        verifier
            .verify_server_cert(&leaf, &[], &name, &[], UnixTime::now())
            .is_ok()
    }

    #[test]
    fn an_authority_speaks_for_granted_hosts_alone() {
        let ours = authority(&["api.example.com", "*.wild.example", "192.0.2.7"]);
        for host in ["api.example.com", "a.wild.example", "192.0.2.7"] {
            assert!(trusted(&ours, host, &ours), "{host}");
        }
        for host in ["example.com", "evil.example", "192.0.2.8", "localhost"] {
            assert!(!trusted(&ours, host, &ours), "{host}");
        }
        let names = authority(&["api.example.com"]);
        assert!(!trusted(&names, "192.0.2.7", &names));
        let addresses = authority(&["192.0.2.7"]);
        assert!(!trusted(&addresses, "api.example.com", &addresses));
    }

    #[test]
    fn sessions_do_not_trust_each_other() {
        let (ours, theirs) = (authority(&["a.example"]), authority(&["a.example"]));
        assert!(!trusted(&theirs, "a.example", &ours));
    }

    #[test]
    fn a_name_has_one_certificate_and_names_are_bounded() {
        let ours = authority(&["*.wild.example"]);
        let host = Host::parse("a.wild.example").unwrap();
        assert!(Arc::ptr_eq(
            &ours.server(&host).unwrap(),
            &ours.server(&host).unwrap()
        ));
        for number in 0..MAX_LEAVES + 5 {
            let host = Host::parse(&format!("n{number}.wild.example")).unwrap();
            ours.server(&host).unwrap();
        }
        assert!(ours.leaves.lock().unwrap().len() <= MAX_LEAVES);
        assert_ne!(serial().unwrap(), serial().unwrap());
    }
}

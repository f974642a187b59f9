//! What makes programs inside trust the session's authority, whatever they are written in.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::Authority;
use super::keystore::{self, jks};
use crate::dial::BUNDLES;

/// Where the authority's own certificate is shown.
const SESSION: &str = "/etc/ssl/bailiwick/session.pem";
/// Where Java's trust store is shown.
const STORE: &str = "/etc/ssl/bailiwick/trust.jks";

/// Variables that name all trusted authorities, by who reads them.
const NAME_ALL: &[&str] = &[
    // Python's requests and pip; curl; git; the AWS clients; cargo; deno; nix; gRPC; gcloud; Ruby's bundler; httplib2.
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "NIX_SSL_CERT_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "BUNDLE_SSL_CA_CERT",
    "HTTPLIB2_CA_CERTS",
];

/// The files to be shown, by place: what the machine trusts, `extra` authorities (DER), and the session's
/// where there is one.
pub(crate) fn files(authority: Option<&Authority>, extra: &[Vec<u8>]) -> Vec<(PathBuf, Vec<u8>)> {
    let (places, mut trusted) = machine();
    if !trusted.ends_with(b"\n") {
        trusted.push(b'\n');
    }
    let ours: String = extra.iter().map(|der| as_pem(der)).collect();
    trusted.extend_from_slice(ours.as_bytes());
    let mut bundle = trusted.clone();
    let mut files = Vec::new();
    let session = authority.map(|authority| authority.pem().to_owned());
    if session.is_some() || !ours.is_empty() {
        let added = session.unwrap_or_default() + &ours;
        files.push((PathBuf::from(SESSION), added.into_bytes()));
    }
    if let Some(authority) = authority {
        bundle.extend_from_slice(authority.pem().as_bytes());
        let others: Vec<_> = CertificateDer::pem_slice_iter(&trusted)
            .filter_map(Result::ok)
            .collect();
        let store = jks(others.iter().chain([authority.certificate()]));
        files.push((PathBuf::from(STORE), store));
    }
    files.extend(places.into_iter().map(|place| (place, bundle.clone())));
    files
}

/// The variables to be set. Without an authority of ours only the place of the bundle is named.
pub(crate) fn env(authority: Option<&Authority>, extra: &[Vec<u8>]) -> Vec<(String, String)> {
    let (places, _) = machine();
    let Some(bundle) = places.first().and_then(|place| place.to_str()) else {
        return Vec::new();
    };
    // OpenSSL (so Python, Ruby, PHP), Go, rustls, .NET.
    let mut env = vec![("SSL_CERT_FILE".to_owned(), bundle.to_owned())];
    if authority.is_some() || !extra.is_empty() {
        let all = NAME_ALL
            .iter()
            .map(|name| ((*name).to_owned(), bundle.to_owned()));
        env.extend(all);
        env.push(("NODE_EXTRA_CA_CERTS".to_owned(), SESSION.to_owned()));
    }
    if authority.is_some() {
        let java = format!(
            "-Djavax.net.ssl.trustStore={STORE} -Djavax.net.ssl.trustStoreType=JKS \
             -Djavax.net.ssl.trustStorePassword={}",
            keystore::PASSWORD
        );
        env.push(("JAVA_TOOL_OPTIONS".to_owned(), java));
    }
    env
}

/// Where this machine keeps what it trusts, and that; else the usual place, and what browsers trust.
fn machine() -> (Vec<PathBuf>, Vec<u8>) {
    let read = |place: &&str| Some((PathBuf::from(*place), std::fs::read(place).ok()?));
    let found: Vec<_> = BUNDLES.iter().filter_map(read).collect();
    if let Some((_, bundle)) = found.first() {
        let bundle = bundle.clone();
        return (found.into_iter().map(|(place, _)| place).collect(), bundle);
    }
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    let pem: String = roots.iter().map(|der| as_pem(der)).collect();
    let places = BUNDLES.iter().take(1).map(PathBuf::from).collect();
    (places, pem.into_bytes())
}

/// One certificate in PEM (RFC 7468).
fn as_pem(der: &[u8]) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (number, digit) in encoded.chars().enumerate() {
        if number > 0 && number % 64 == 0 {
            pem.push('\n');
        }
        pem.push(digit);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_capability::HostPattern;
    use std::path::Path;

    fn bundle(
        files: &[(PathBuf, Vec<u8>)],
        env: &[(String, String)],
    ) -> Vec<CertificateDer<'static>> {
        let place = &env
            .iter()
            .find(|(name, _)| name == "SSL_CERT_FILE")
            .unwrap()
            .1;
        let bytes = &files
            .iter()
            .find(|(path, _)| path == Path::new(place))
            .unwrap()
            .1;
        CertificateDer::pem_slice_iter(bytes)
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn the_authority_is_trusted_only_where_something_is_terminated() {
        let host = HostPattern::parse("a.example").unwrap();
        let authority = Authority::new(std::iter::once(&host)).unwrap();
        let with = bundle(&files(Some(&authority), &[]), &env(Some(&authority), &[]));
        let without = bundle(&files(None, &[]), &env(None, &[]));
        assert!(with.contains(authority.certificate()));
        assert!(without.len() > 20 && with.len() == without.len() + 1);
        assert_eq!(env(None, &[]).len(), 1);
        assert!(
            files(None, &[])
                .iter()
                .all(|(place, _)| !place.starts_with("/etc/ssl/bailiwick"))
        );
    }

    #[test]
    fn every_variable_names_a_file_that_is_shown() {
        let host = HostPattern::parse("a.example").unwrap();
        let authority = Authority::new(std::iter::once(&host)).unwrap();
        let files = files(Some(&authority), &[]);
        for (name, value) in env(Some(&authority), &[]) {
            let place = value
                .split('=')
                .nth(1)
                .and_then(|rest| rest.split(' ').next());
            let place = Path::new(place.unwrap_or(&value)).to_owned();
            assert!(
                files.iter().any(|(shown, _)| *shown == place),
                "{name}: {value}"
            );
        }
        let keys = files
            .iter()
            .filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains("PRIVATE KEY"));
        assert_eq!(keys.count(), 0);
    }

    #[test]
    fn certificates_are_written_as_they_are_read() {
        let der = webpki_root_certs::TLS_SERVER_ROOT_CERTS[0].clone();
        assert_eq!(
            CertificateDer::from_pem_slice(as_pem(&der).as_bytes()).unwrap(),
            der
        );
    }
}

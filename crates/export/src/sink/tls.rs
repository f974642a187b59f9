//! Whom TLS trusts: what browsers trust, what the machine trusts, and what the configuration names.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Where systems keep the authorities that they trust.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

pub(super) fn config(extra: &[Vec<u8>]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.into(),
    };
    let bundle = BUNDLES.iter().map(Path::new).find(|path| path.is_file());
    if let Some(Ok(certificates)) = bundle.map(CertificateDer::pem_file_iter) {
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    for der in extra {
        roots
            .add(CertificateDer::from(der.clone()))
            .map_err(|error| format!("a certificate authority cannot be used: {error}"))?;
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

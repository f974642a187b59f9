//! Java's trust store: certificates in the JKS form, which every Java reads.
//!
//! Big-endian: magic, version, count; for each certificate its kind, alias, date, type and DER; then a SHA-1
//! over the password in UTF-16, a fixed phrase, and all of that.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use rustls_pki_types::CertificateDer;

const MAGIC: u32 = 0xFEED_FEED;
const VERSION: u32 = 2;
const TRUSTED_CERTIFICATE: u32 = 2;
const PHRASE: &[u8] = b"Mighty Aphrodite";
/// The password that Java's own trust store has. It guards nothing: what is in there is public.
pub(super) const PASSWORD: &str = "changeit";

/// A trust store of these certificates.
pub(super) fn jks<'a>(certificates: impl Iterator<Item = &'a CertificateDer<'static>>) -> Vec<u8> {
    let certificates: Vec<_> = certificates.collect();
    let mut out = Vec::new();
    for number in [MAGIC, VERSION, length(certificates.len())] {
        out.extend(number.to_be_bytes());
    }
    for (number, certificate) in certificates.into_iter().enumerate() {
        out.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        text(&mut out, &format!("c{number}"));
        out.extend(0_u64.to_be_bytes());
        text(&mut out, "X.509");
        out.extend(length(certificate.len()).to_be_bytes());
        out.extend_from_slice(certificate);
    }
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    digest.update(&password);
    digest.update(PHRASE);
    digest.update(&out);
    out.extend_from_slice(digest.finish().as_ref());
    out
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

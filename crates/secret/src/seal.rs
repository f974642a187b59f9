//! Sealing with age: the only place that knows the format.

use std::io::{Read as _, Write as _};
use std::iter::once;

use age::x25519::Identity;
use age::{DecryptError, Decryptor, Encryptor};
use zeroize::Zeroizing;

/// Seals `plain` for `identity`.
///
/// # Errors
/// A sentence.
pub(crate) fn seal(identity: &Identity, plain: &[u8]) -> Result<Vec<u8>, String> {
    let recipient = identity.to_public();
    let encryptor = Encryptor::with_recipients(once(&recipient as _))
        .map_err(|error| format!("cannot be sealed: {error}"))?;
    let mut sealed = Vec::with_capacity(plain.len() + 512);
    let write = |sealed: &mut Vec<u8>| {
        let mut writer = encryptor.wrap_output(sealed)?;
        writer.write_all(plain)?;
        writer.finish().map(drop)
    };
    write(&mut sealed).map_err(|error: std::io::Error| format!("cannot be sealed: {error}"))?;
    Ok(sealed)
}

/// Opens what was sealed for `identity`; wiped when dropped.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(crate) fn open(identity: &Identity, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let decryptor = Decryptor::new_buffered(sealed).map_err(|error| {
        format!("is no file sealed with age, or a damaged one ({error}): put a copy of the right file back")
    })?;
    let reader = decryptor.decrypt(once(identity as _));
    let mut reader = reader.map_err(|error| match error {
        DecryptError::NoMatchingKeys => {
            "is sealed for another identity: put the identity of this file back, or name it with \
             BAILIWICK_SECRETS_IDENTITY"
                .to_owned()
        }
        other => damaged(&other),
    })?;
    // What is sealed is shorter than its seal, so nothing grows and leaves copies behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    let room = u64::try_from(sealed.len()).unwrap_or(u64::MAX);
    reader
        .by_ref()
        .take(room)
        .read_to_end(&mut plain)
        .map_err(|error| damaged(&error))?;
    Ok(plain)
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!(
        "is damaged or was changed ({error}): put a copy of it back, or remove it and store the secrets anew"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_identity_alone() {
        let (ours, other) = (Identity::generate(), Identity::generate());
        for size in [0, 1, 65_535, 65_536, 65_537, 300_000] {
            let plain = vec![b'x'; size];
            let sealed = seal(&ours, &plain).unwrap();
            let opened = open(&ours, &sealed).unwrap();
            assert_eq!(*opened, plain);
            assert!(
                opened.capacity() >= size && opened.capacity() == sealed.len(),
                "it did not grow"
            );
            assert!(
                open(&other, &sealed)
                    .unwrap_err()
                    .contains("another identity")
            );
        }
    }

    #[test]
    fn every_change_of_a_byte_and_every_cut_is_noticed() {
        let ours = Identity::generate();
        let sealed = seal(&ours, b"a value").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&ours, &changed).is_err(), "byte {at}");
            assert!(open(&ours, &sealed[..at]).is_err(), "cut at {at}");
        }
        let mut longer = sealed;
        longer.push(0);
        assert!(open(&ours, &longer).is_err());
    }
}

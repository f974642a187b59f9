//! The encrypted session of the Secret Service: `dh-ietf1024-sha256-aes128-cbc-pkcs7`.
//!
//! The service could read every secret anyhow; this keeps values out of the bus daemon's memory and of whatever
//! watches the bus. Secret Service API 0.2, "Transfer of Secrets".

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _};
use hkdf::Hkdf;
use num_bigint::BigUint;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::SecretError;

/// The algorithm's name.
pub(super) const ALGORITHM: &str = "dh-ietf1024-sha256-aes128-cbc-pkcs7";
/// Bytes of the group's prime.
const GROUP: usize = 128;
const BLOCK: usize = 16;
const GENERATOR: u32 = 2;
/// The prime of the second Oakley group (RFC 2409 §6.2).
const PRIME: &str = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
                     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
                     ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff";

/// Our half of the exchange.
pub(super) struct Exchange {
    private: BigUint,
    prime: BigUint,
}

/// What both sides then share.
pub(super) struct Key(Zeroizing<[u8; BLOCK]>);

impl Exchange {
    pub(super) fn new() -> Result<Self, SecretError> {
        let mut random = Zeroizing::new([0_u8; GROUP]);
        getrandom::fill(random.as_mut_slice()).map_err(SecretError::random)?;
        let prime = BigUint::parse_bytes(PRIME.as_bytes(), 16).ok_or_else(|| {
            SecretError::Keyring("the group of its protocol cannot be read".to_owned())
        })?;
        Ok(Self {
            private: BigUint::from_bytes_be(random.as_slice()),
            prime,
        })
    }

    /// What the other side gets.
    pub(super) fn public(&self) -> Vec<u8> {
        BigUint::from(GENERATOR)
            .modpow(&self.private, &self.prime)
            .to_bytes_be()
    }

    /// The key, by what the other side sent; none where that is no element of the group that keeps anything secret.
    pub(super) fn key(&self, theirs: &[u8]) -> Option<Key> {
        let theirs = BigUint::from_bytes_be(theirs);
        let one = BigUint::from(1_u32);
        if theirs <= one || theirs >= &self.prime - &one {
            return None;
        }
        let shared = Zeroizing::new(theirs.modpow(&self.private, &self.prime).to_bytes_be());
        let mut padded = Zeroizing::new([0_u8; GROUP]);
        let begin = GROUP.checked_sub(shared.len())?;
        padded.get_mut(begin..)?.copy_from_slice(&shared);
        let mut key = Zeroizing::new([0_u8; BLOCK]);
        Hkdf::<Sha256>::new(None, padded.as_slice())
            .expand(&[], key.as_mut_slice())
            .ok()?;
        Some(Key(key))
    }
}

impl Key {
    /// The initialisation vector and what was encrypted with it.
    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>), SecretError> {
        let mut vector = [0_u8; BLOCK];
        getrandom::fill(&mut vector).map_err(SecretError::random)?;
        let cipher = cbc::Encryptor::<Aes128>::new(self.0.as_slice().into(), &vector.into());
        Ok((
            vector.to_vec(),
            cipher.encrypt_padded_vec_mut::<Pkcs7>(plain),
        ))
    }

    /// The text; none where it was not encrypted with this key. Wiped when dropped.
    pub(super) fn decrypt(&self, vector: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let vector: [u8; BLOCK] = vector.try_into().ok()?;
        let cipher = cbc::Decryptor::<Aes128>::new(self.0.as_slice().into(), &vector.into());
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let length = cipher.decrypt_padded_mut::<Pkcs7>(&mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_share_a_key_and_nobody_else() {
        let (ours, theirs, other) = (
            Exchange::new().unwrap(),
            Exchange::new().unwrap(),
            Exchange::new().unwrap(),
        );
        let key = ours.key(&theirs.public()).unwrap();
        let same = theirs.key(&ours.public()).unwrap();
        let wrong = other.key(&ours.public()).unwrap();
        for size in [0, 1, 15, 16, 17, 5000] {
            let plain = vec![b'x'; size];
            let (vector, sealed) = key.encrypt(&plain).unwrap();
            assert_eq!(*same.decrypt(&vector, &sealed).unwrap(), plain);
            assert_ne!(
                wrong.decrypt(&vector, &sealed).map(|text| text.to_vec()),
                Some(plain)
            );
            assert!(same.decrypt(&vector[1..], &sealed).is_none());
            assert!(same.decrypt(&vector, &sealed[1..]).is_none());
        }
    }

    #[test]
    fn a_key_that_everybody_could_guess_is_refused() {
        let ours = Exchange::new().unwrap();
        let prime = ours.prime.clone();
        for weak in [
            BigUint::from(0_u32),
            BigUint::from(1_u32),
            &prime - 1_u32,
            prime.clone(),
            &prime + 1_u32,
        ] {
            assert!(ours.key(&weak.to_bytes_be()).is_none());
        }
        assert_eq!(prime.bits(), 1024);
    }
}

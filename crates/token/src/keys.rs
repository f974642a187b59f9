//! The gate's signing key.

use std::fmt;

use biscuit_auth::{Algorithm, KeyPair, PrivateKey};
use zeroize::Zeroizing;

use crate::TokenError;

/// An Ed25519 key pair. Deliberately neither `Debug` nor `Display`, `Clone` nor serialisable.
pub struct Keys(pub(crate) KeyPair);

impl Keys {
    /// A new pair from the system's random source.
    #[must_use]
    pub fn generate() -> Self {
        Self(KeyPair::new())
    }

    /// The pair of a private key of 32 bytes, as [`Keys::private_bytes`] gave it.
    ///
    /// # Errors
    /// [`TokenError::BadKey`] for another length.
    pub fn from_private_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        // The library's message may quote what it was given.
        let key = PrivateKey::from_bytes(bytes, Algorithm::Ed25519)
            .map_err(|_| TokenError::BadKey(format!("{} bytes of private key", bytes.len())))?;
        Ok(Self(KeyPair::from(&key)))
    }

    /// The private key, 32 bytes, wiped when dropped: for the key file and nothing else.
    #[must_use]
    pub fn private_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.0.private().to_bytes()
    }

    /// The half that verifies.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public())
    }
}

/// The half of a key that verifies; shown as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(crate) biscuit_auth::PublicKey);

impl PublicKey {
    /// Reads 32 bytes.
    ///
    /// # Errors
    /// [`TokenError::BadKey`] for what is no point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        biscuit_auth::PublicKey::from_bytes(bytes, Algorithm::Ed25519)
            .map(Self)
            .map_err(|error| TokenError::BadKey(error.to_string()))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// A hint by which a token names its key: it tells a foreign token from an altered one, and proves nothing.
    pub(crate) fn hint(&self) -> u32 {
        self.to_bytes()
            .iter()
            .take(4)
            .fold(0, |hint, byte| (hint << 8) | u32::from(*byte))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A key that no longer mints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retired {
    /// The key.
    pub key: PublicKey,
    /// Since when, in seconds since 1970. What claims to be minted later is refused: only a thief could have made it.
    pub at: i64,
}

/// The keys whose tokens are accepted: the one that mints, and those that did, until their tokens expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    current: PublicKey,
    retired: Vec<Retired>,
}

impl Trusted {
    /// The key that mints now, and its predecessors.
    #[must_use]
    pub fn new(current: PublicKey, retired: Vec<Retired>) -> Self {
        Self { current, retired }
    }

    /// The key that a token's hint names, and since when it is retired.
    pub(crate) fn named(&self, hint: Option<u32>) -> Option<(PublicKey, Option<i64>)> {
        let hint = hint?;
        if self.current.hint() == hint {
            return Some((self.current, None));
        }
        self.retired
            .iter()
            .find(|retired| retired.key.hint() == hint)
            .map(|retired| (retired.key, Some(retired.at)))
    }
}

impl From<PublicKey> for Trusted {
    fn from(current: PublicKey) -> Self {
        Self::new(current, Vec::new())
    }
}

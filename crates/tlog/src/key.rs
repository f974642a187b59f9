//! Note keys: of logs (Ed25519, type 0x01, C2SP signed-note) and of witnesses (type 0x04, C2SP tlog-cosignature).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};

/// The signature type byte of plain Ed25519.
pub(crate) const ED25519: u8 = 0x01;
/// The signature type byte of timestamped Ed25519 cosignatures.
pub(crate) const COSIGNATURE: u8 = 0x04;
/// What a signer's key begins with, so that it is never taken for a verifier's.
const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

/// A key that is not one; the text itself is never shown, since it may be the private one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+id+base64` (for a private key after `PRIVATE+KEY+`).
    #[error("the key is not of the form name+0123abcd+base64 with an Ed25519 key of 32 bytes")]
    Form,
    /// A private key where a verifier key belongs, or the other way round.
    #[error("this is a private key where a verifier key belongs, or the other way round")]
    WrongSide,
    /// An empty name, or one with a space, a plus or a control character.
    #[error("a key's name must not be empty nor hold spaces, plus signs or control characters")]
    Name,
    /// The id in the text is not that of the key and name.
    #[error("the key's id does not belong to its name and bytes: it was altered or copied wrongly")]
    Id,
    /// Another type of key than was expected.
    #[error(
        "the key is of type {found:#04x}, where {expected:#04x} belongs: a log's key has type 0x01, a witness's 0x04"
    )]
    Algorithm {
        /// The type that belongs here.
        expected: u8,
        /// The type that it has.
        found: u8,
    },
}

/// The public half of a note key of one signature type, printed and parsed as `name+id+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct NotePublicKey<const TYPE: u8> {
    name: String,
    id: u32,
    key: ed25519_dalek::VerifyingKey,
}

/// The private half of a note key. It has no `Debug`, `Display` or serialisation; `to_secret_text` is the one way out,
/// for the key file.
pub struct NotePrivateKey<const TYPE: u8> {
    public: NotePublicKey<TYPE>,
    key: ed25519_dalek::SigningKey,
}

/// Verifies what a log signs: plain Ed25519 signatures of notes (type 0x01).
pub type VerifierKey = NotePublicKey<ED25519>;
/// Signs a log's checkpoints (type 0x01).
pub type SigningKey = NotePrivateKey<ED25519>;
/// Verifies what a witness cosigns (type 0x04).
pub type WitnessKey = NotePublicKey<COSIGNATURE>;
/// Cosigns checkpoints of logs (type 0x04).
pub type WitnessSigningKey = NotePrivateKey<COSIGNATURE>;

/// Whether `name` may name a key: not empty, no Unicode space, no plus, no control character.
#[must_use]
pub fn is_valid_key_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl<const TYPE: u8> NotePublicKey<TYPE> {
    fn new(name: &str, key: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        if !is_valid_key_name(name) {
            return Err(KeyError::Name);
        }
        let mut hasher = Sha256::new();
        hasher.update(name.as_bytes());
        hasher.update([b'\n', TYPE]);
        hasher.update(key.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let id = digest
            .first_chunk::<4>()
            .map_or(0, |id| u32::from_be_bytes(*id));
        Ok(Self {
            name: name.to_owned(),
            id,
            key,
        })
    }

    /// The key's name: for a log's key the log's origin, for a witness's its own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id: the first four bytes of the hash of name, type and key.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The bare Ed25519 key (RFC 8032), which names or types do not change: two keys with the same one are one signer.
    #[must_use]
    pub fn public_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl<const TYPE: u8> fmt::Display for NotePublicKey<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = encode_key(TYPE, self.key.as_bytes());
        write!(f, "{}+{:08x}+{encoded}", self.name, self.id)
    }
}

impl<const TYPE: u8> fmt::Debug for NotePublicKey<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const TYPE: u8> FromStr for NotePublicKey<TYPE> {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(PRIVATE_PREFIX) {
            return Err(KeyError::WrongSide);
        }
        let (name, id, bytes) = parse_key(text, TYPE)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Form)?;
        // A key of small order accepts signatures that nobody made.
        if key.is_weak() {
            return Err(KeyError::Form);
        }
        let verifier = Self::new(name, key)?;
        if verifier.id == id {
            Ok(verifier)
        } else {
            Err(KeyError::Id)
        }
    }
}

impl<const TYPE: u8> NotePrivateKey<TYPE> {
    /// A key from 32 bytes of good randomness.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        Ok(Self {
            public: NotePublicKey::new(name, key.verifying_key())?,
            key,
        })
    }

    /// Reads what [`NotePrivateKey::to_secret_text`] wrote.
    ///
    /// # Errors
    /// Says what is wrong with it without showing it.
    pub fn from_secret_text(text: &str) -> Result<Self, KeyError> {
        let rest = text
            .strip_prefix(PRIVATE_PREFIX)
            .ok_or(KeyError::WrongSide)?;
        let (name, id, seed) = parse_key(rest, TYPE)?;
        let signing = Self::from_seed(name, &seed)?;
        if signing.public.id == id {
            Ok(signing)
        } else {
            Err(KeyError::Id)
        }
    }

    /// The secret itself, as `PRIVATE+KEY+name+id+base64`, to be kept in a file that only its owner reads.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let encoded = encode_key(TYPE, self.key.as_bytes());
        format!(
            "{PRIVATE_PREFIX}{}+{:08x}+{encoded}",
            self.public.name, self.public.id
        )
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &NotePublicKey<TYPE> {
        &self.public
    }

    pub(crate) fn signature(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

fn encode_key(algorithm: u8, bytes: &[u8; 32]) -> String {
    let mut typed = vec![algorithm];
    typed.extend_from_slice(bytes);
    STANDARD.encode(typed)
}

fn parse_key(text: &str, expected: u8) -> Result<(&str, u32, [u8; 32]), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Form);
    };
    let hex = id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !hex {
        return Err(KeyError::Form);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| KeyError::Form)?;
    let typed = STANDARD.decode(encoded).map_err(|_| KeyError::Form)?;
    let (algorithm, key) = typed.split_first().ok_or(KeyError::Form)?;
    if *algorithm != expected {
        return Err(KeyError::Algorithm {
            expected,
            found: *algorithm,
        });
    }
    Ok((name, id, key.try_into().map_err(|_| KeyError::Form)?))
}

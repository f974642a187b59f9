//! Signed notes with Ed25519 keys (C2SP signed-note).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _};
use sha2::{Digest as _, Sha256};

/// The signature type byte of plain Ed25519.
const ED25519: u8 = 0x01;
/// What a signer's key begins with, so that it is never taken for a verifier's.
const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";
const SIGNATURE_PREFIX: &str = "— ";
/// A note comes from anyone: enough for a log and many witnesses with post-quantum signatures, no more.
const MAX_NOTE_BYTES: usize = 1 << 18;
const MAX_SIGNATURES: usize = 64;

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
    /// Another algorithm than Ed25519.
    #[error("the key is not an Ed25519 note key (type 0x01)")]
    Algorithm,
}

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// No signature of the key asked for.
    #[error("the note is not signed by {name} (key id {id:08x})")]
    NotSigned {
        /// The key's name.
        name: String,
        /// The key's id.
        id: u32,
    },
    /// A signature that claims to be of this key does not hold.
    #[error("the signature by {name} does not hold: the note was changed after signing")]
    BadSignature {
        /// The key's name.
        name: String,
    },
}

/// The public half of a note key, printed and parsed as `name+id+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    key: ed25519_dalek::VerifyingKey,
}

/// The private half of a note key. It has no `Debug`, `Display` or serialisation; [`SigningKey::to_secret_text`] is
/// the one way out, for the key file.
pub struct SigningKey {
    verifier: VerifierKey,
    key: ed25519_dalek::SigningKey,
}

/// A parsed note, not yet verified: [`SignedNote::verify`] gives its text out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: u32,
    bytes: Vec<u8>,
}

/// Whether `name` may name a key: not empty, no Unicode space, no plus, no control character.
#[must_use]
pub fn is_valid_key_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl VerifierKey {
    fn new(name: &str, key: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        if !is_valid_key_name(name) {
            return Err(KeyError::Name);
        }
        let mut hasher = Sha256::new();
        hasher.update(name.as_bytes());
        hasher.update([b'\n', ED25519]);
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

    /// The key's name; for a log's key, the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id: the first four bytes of the hash of name, type and key.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = encode_key(self.key.as_bytes());
        write!(f, "{}+{:08x}+{encoded}", self.name, self.id)
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(PRIVATE_PREFIX) {
            return Err(KeyError::WrongSide);
        }
        let (name, id, bytes) = parse_key(text)?;
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

impl SigningKey {
    /// A key from 32 bytes of good randomness.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        Ok(Self {
            verifier: VerifierKey::new(name, key.verifying_key())?,
            key,
        })
    }

    /// Reads what [`SigningKey::to_secret_text`] wrote.
    ///
    /// # Errors
    /// Says what is wrong with it without showing it.
    pub fn from_secret_text(text: &str) -> Result<Self, KeyError> {
        let rest = text
            .strip_prefix(PRIVATE_PREFIX)
            .ok_or(KeyError::WrongSide)?;
        let (name, id, seed) = parse_key(rest)?;
        let signing = Self::from_seed(name, &seed)?;
        if signing.verifier.id == id {
            Ok(signing)
        } else {
            Err(KeyError::Id)
        }
    }

    /// The secret itself, as `PRIVATE+KEY+name+id+base64`, to be kept in a file that only its owner reads.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let encoded = encode_key(self.key.as_bytes());
        format!(
            "{PRIVATE_PREFIX}{}+{:08x}+{encoded}",
            self.verifier.name, self.verifier.id
        )
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs `text` and gives the whole note.
    ///
    /// # Errors
    /// [`NoteError::Form`] when `text` is not what a note may hold: it ends in a newline and has no other control
    /// character.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_characters(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Form("its text does not end in a newline"));
        }
        let signature = self.key.sign(text.as_bytes());
        let mut bytes = self.verifier.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&signature.to_bytes());
        let name = &self.verifier.name;
        Ok(format!(
            "{text}\n{SIGNATURE_PREFIX}{name} {}\n",
            STANDARD.encode(bytes)
        ))
    }
}

impl FromStr for SignedNote {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, Self::Err> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Form("it is longer than 256 KiB"));
        }
        check_characters(note)?;
        let split = note
            .rfind("\n\n")
            .ok_or(NoteError::Form("no empty line before the signatures"))?;
        let (text, rest) = note.split_at_checked(split + 1).unwrap_or((note, ""));
        let lines = rest
            .strip_prefix('\n')
            .and_then(|rest| rest.strip_suffix('\n'));
        let lines = lines.ok_or(NoteError::Form("it does not end in a signature line"))?;
        let signatures: Vec<_> = lines
            .split('\n')
            .map(|line| {
                parse_signature(line).ok_or(NoteError::Form("a signature line is malformed"))
            })
            .collect::<Result<_, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Form("it has more than 64 signatures"));
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }
}

impl SignedNote {
    /// The note's text, with its final newline, once `key` is seen to have signed it. Signatures of other keys are
    /// ignored.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] or [`NoteError::BadSignature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<&str, NoteError> {
        let mut signed = false;
        for signature in self
            .signatures
            .iter()
            .filter(|s| s.name == key.name && s.id == key.id)
        {
            let bad = || NoteError::BadSignature {
                name: key.name.clone(),
            };
            let bytes = Signature::from_slice(&signature.bytes).map_err(|_| bad())?;
            key.key
                .verify_strict(self.text.as_bytes(), &bytes)
                .map_err(|_| bad())?;
            signed = true;
        }
        if signed {
            Ok(&self.text)
        } else {
            Err(NoteError::NotSigned {
                name: key.name.clone(),
                id: key.id,
            })
        }
    }
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Form("it holds a control character"));
    }
    Ok(())
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    if !is_valid_key_name(name) || signature.is_empty() {
        return None;
    }
    Some(NoteSignature {
        name: name.to_owned(),
        id: u32::from_be_bytes(*id),
        bytes: signature.to_vec(),
    })
}

fn encode_key(bytes: &[u8; 32]) -> String {
    let mut typed = vec![ED25519];
    typed.extend_from_slice(bytes);
    STANDARD.encode(typed)
}

fn parse_key(text: &str) -> Result<(&str, u32, [u8; 32]), KeyError> {
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
    if *algorithm != ED25519 {
        return Err(KeyError::Algorithm);
    }
    Ok((name, id, key.try_into().map_err(|_| KeyError::Form)?))
}

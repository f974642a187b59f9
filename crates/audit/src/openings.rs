//! Commitments to strings that a person may want erased, and what opens them. Pure: salts are handed in.
//!
//! In the leaf stands `sealed:` and, in base64url without padding, SHA-256 over `DOMAIN`, a salt of 32 random bytes
//! and the string. Salt and string together are the *opening*; they are kept beside the tree. Without the opening the
//! commitment says nothing, not even to whoever guesses the string: the salt cannot be guessed. With it, anybody can
//! see that it is what the tree was signed over. An opening can so be removed, and nothing else changes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;
/// What a commitment begins with in the leaf.
pub const SEALED_PREFIX: &str = "sealed:";
/// What is hashed before the salt, so that no other hash of ours can be taken for a commitment.
const DOMAIN: &[u8] = b"bailiwick audit sealed string v1\0";
/// Characters of a commitment's base64url.
const ENCODED_CHARS: usize = 43;
/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// The hash that stands in a leaf in the place of a string. Printed and parsed as `sealed:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commitment(pub [u8; 32]);

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SEALED_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for Commitment {
    type Err = OpeningError;

    fn from_str(text: &str) -> Result<Self, OpeningError> {
        let encoded = text
            .strip_prefix(SEALED_PREFIX)
            .filter(|encoded| encoded.len() == ENCODED_CHARS)
            .ok_or(OpeningError::Commitment)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| OpeningError::Commitment)?;
        let bytes = bytes.try_into().map_err(|_| OpeningError::Commitment)?;
        Ok(Self(bytes))
    }
}

/// A string with the salt that it was committed to with.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    salt: [u8; SALT_BYTES],
    value: String,
}

impl Opening {
    /// Commits to `value`. The salt has to be random and used for no other value.
    #[must_use]
    pub fn new(salt: [u8; SALT_BYTES], value: impl Into<String>) -> Self {
        Self {
            salt,
            value: value.into(),
        }
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    /// The string.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What stands in the leaf.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(self.salt);
        hash.update(self.value.as_bytes());
        Commitment(hash.finalize().into())
    }
}

/// Without the value: what is printed ends up in places from which nobody erases it.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opening").field(&self.commitment()).finish()
    }
}

/// Why bytes are no openings, or text no commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// Not `sealed:` and 43 characters of base64url.
    #[error("not a commitment: expected `sealed:` and 32 bytes as base64url without padding")]
    Commitment,
    /// It ends inside of an opening.
    #[error("the openings end in the middle of one")]
    Truncated,
    /// A value is no text.
    #[error("an opening's value is not UTF-8")]
    NotUtf8,
    /// Entries of a bundle out of order, twice, or without openings.
    #[error("the openings of a bundle are not in the order of its entries")]
    Order,
    /// Not a file of openings.
    #[error("this is no file of openings, or one of a newer Bailiwick")]
    Magic,
}

/// The openings of one entry as bytes: each its salt, the length of its value (4 bytes, big-endian) and its value.
#[must_use]
pub fn encode_openings(openings: &[Opening]) -> Vec<u8> {
    let mut out = Vec::new();
    for opening in openings {
        // Values are parts of an entry, which has a limit far below.
        let length = u32::try_from(opening.value.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&opening.salt);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(opening.value.as_bytes());
    }
    out
}

/// Reads what [`encode_openings`] wrote, and nothing else.
///
/// # Errors
/// [`OpeningError::Truncated`] and [`OpeningError::NotUtf8`].
pub fn decode_openings(mut bytes: &[u8]) -> Result<Vec<Opening>, OpeningError> {
    let mut openings = Vec::new();
    while !bytes.is_empty() {
        let (salt, rest) = bytes
            .split_first_chunk::<SALT_BYTES>()
            .ok_or(OpeningError::Truncated)?;
        let (value, rest) = split_sized(rest)?;
        let value = std::str::from_utf8(value).map_err(|_| OpeningError::NotUtf8)?;
        openings.push(Opening::new(*salt, value));
        bytes = rest;
    }
    Ok(openings)
}

/// What a file of openings begins with.
const FILE_MAGIC: &[u8] = b"bailiwick openings 1\n";

/// The openings of a bundle's entries as one file: the magic line, then for each entry that has openings its index in
/// the bundle (1 byte), the length of what follows (4 bytes, big-endian) and [`encode_openings`].
#[must_use]
pub fn encode_bundle_openings(entries: &[(u8, Vec<Opening>)]) -> Vec<u8> {
    let mut out = FILE_MAGIC.to_vec();
    for (index, openings) in entries.iter().filter(|(_, openings)| !openings.is_empty()) {
        let bytes = encode_openings(openings);
        out.push(*index);
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    out
}

/// Reads what [`encode_bundle_openings`] wrote, and nothing else.
///
/// # Errors
/// Every [`OpeningError`] but [`OpeningError::Commitment`].
pub fn decode_bundle_openings(bytes: &[u8]) -> Result<Vec<(u8, Vec<Opening>)>, OpeningError> {
    let mut rest = bytes.strip_prefix(FILE_MAGIC).ok_or(OpeningError::Magic)?;
    let mut entries: Vec<(u8, Vec<Opening>)> = Vec::new();
    while let Some((index, sized)) = rest.split_first() {
        let (openings, after) = split_sized(sized)?;
        let openings = decode_openings(openings)?;
        if openings.is_empty() || entries.last().is_some_and(|(last, _)| last >= index) {
            return Err(OpeningError::Order);
        }
        entries.push((*index, openings));
        rest = after;
    }
    Ok(entries)
}

fn split_sized(bytes: &[u8]) -> Result<(&[u8], &[u8]), OpeningError> {
    let (length, rest) = bytes
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(OpeningError::Truncated)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    rest.split_at_checked(length).ok_or(OpeningError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn openings() -> impl Strategy<Value = Vec<Opening>> {
        let opening =
            (any::<[u8; 32]>(), ".{0,20}").prop_map(|(salt, value)| Opening::new(salt, value));
        prop::collection::vec(opening, 0..5)
    }

    fn bundle() -> impl Strategy<Value = Vec<(u8, Vec<Opening>)>> {
        prop::collection::btree_map(any::<u8>(), openings(), 0..6).prop_map(|entries| {
            let some = entries
                .into_iter()
                .filter(|(_, openings)| !openings.is_empty());
            some.collect()
        })
    }

    /// Computed with Python's hashlib, so that others can do it from the words above.
    #[test]
    fn the_commitment_is_what_the_documentation_says() {
        let opening = Opening::new([7; 32], "ann");
        assert_eq!(
            opening.commitment().to_string(),
            "sealed:ctTB9Hs1rmjD7aL-ArXI6XbF7rRF2ZvLP8cIIpfzaKk"
        );
    }

    #[test]
    fn a_commitment_has_one_spelling() {
        let text = Opening::new([7; 32], "ann").commitment().to_string();
        assert!(text.parse::<Commitment>().is_ok());
        let (all_but_last, _) = text.split_at(text.len() - 1);
        let spellings = ('!'..='~').filter(|last| {
            format!("{all_but_last}{last}")
                .parse::<Commitment>()
                .is_ok()
        });
        // The last character carries four bits: sixteen different hashes, none of them twice.
        assert_eq!(spellings.count(), 16);
        for wrong in [
            "sealed:",
            "sealed:AAAA",
            "ann",
            &format!("{text}="),
            &format!(" {text}"),
        ] {
            assert_eq!(
                wrong.parse::<Commitment>(),
                Err(OpeningError::Commitment),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_opening_does_not_print_its_value() {
        let shown = format!("{:?}", Opening::new([7; 32], "canary-ann"));
        assert!(
            shown.contains("Commitment") && !shown.contains("canary"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn openings_round_trip_and_no_other_bytes_are_read(list in openings(), cut: prop::sample::Index) {
            let bytes = encode_openings(&list);
            prop_assert_eq!(decode_openings(&bytes), Ok(list.clone()));
            let cut = cut.index(bytes.len() + 1);
            if let Ok(read) = decode_openings(&bytes[..cut]) {
                prop_assert_eq!(encode_openings(&read), &bytes[..cut]);
            }
        }

        #[test]
        fn files_of_openings_round_trip(entries in bundle(), at: prop::sample::Index, byte: u8) {
            let mut bytes = encode_bundle_openings(&entries);
            prop_assert_eq!(decode_bundle_openings(&bytes), Ok(entries.clone()));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = decode_bundle_openings(&bytes) {
                prop_assert_eq!(encode_bundle_openings(&read), bytes, "one spelling alone");
            }
        }

        #[test]
        fn another_salt_or_value_is_another_commitment(
            salt: [u8; 32], value in ".{0,20}", other_salt: [u8; 32], other in ".{0,20}",
        ) {
            let one = Opening::new(salt, value.clone());
            let two = Opening::new(other_salt, other.clone());
            let same = salt == other_salt && value == other;
            prop_assert_eq!(one.commitment() == two.commitment(), same);
            prop_assert_eq!(one.commitment().to_string().parse(), Ok(one.commitment()));
        }
    }
}

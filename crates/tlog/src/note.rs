//! Signed notes (C2SP signed-note).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::key::{SigningKey, VerifierKey};

const SIGNATURE_PREFIX: &str = "— ";
/// A note comes from anyone: enough for a log and many witnesses with post-quantum signatures, no more.
pub const MAX_NOTE_BYTES: usize = 1 << 18;
/// Most signatures of a note; the specification asks for at least 16.
const MAX_SIGNATURES: usize = 64;

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

/// A parsed note, not yet verified: [`SignedNote::verify`] gives its text out. Printed as it was parsed.
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

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&signature_line(&self.name, self.id, &self.bytes))
    }
}

impl SigningKey {
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
        let key = self.verifier();
        let line = signature_line(key.name(), key.id(), &self.signature(text.as_bytes()));
        Ok(format!("{text}\n{line}"))
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
            .ok_or(NoteError::Form("it does not end in a signature line"))?;
        Ok(Self {
            text: text.to_owned(),
            signatures: parse_lines(lines)?,
        })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|line| write!(f, "{line}"))
    }
}

impl SignedNote {
    /// The note's text, with its final newline, once `key` is seen to have signed it. Signatures of other keys are
    /// ignored.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] or [`NoteError::BadSignature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<&str, NoteError> {
        self.check(key.name(), key.id(), |signature| {
            key.holds(self.text.as_bytes(), signature).then_some(())
        })?;
        Ok(&self.text)
    }

    /// The note's text, whoever signed it or did not: to find out whose key to verify it with, and for nothing else.
    #[must_use]
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// Adds signature lines, such as a witness answers with. A line that is there already stays once; one of the same
    /// key in another form takes its place.
    ///
    /// # Errors
    /// [`NoteError::Form`] when they are no signature lines, or too many.
    pub fn add_lines(&mut self, lines: &str) -> Result<(), NoteError> {
        check_characters(lines)?;
        let added = parse_lines(lines)?;
        self.signatures
            .retain(|known| !added.iter().any(|new| new.is_of(&known.name, known.id)));
        self.signatures.extend(added);
        if self.signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Form("it has more than 64 signatures"));
        }
        Ok(())
    }

    /// Adds the lines of several answers ([`SignedNote::add_lines`]).
    ///
    /// # Errors
    /// As [`SignedNote::add_lines`].
    pub fn add_lines_of(
        &mut self,
        answers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), NoteError> {
        answers
            .into_iter()
            .try_for_each(|lines| self.add_lines(lines.as_ref()))
    }

    /// The same note with the signatures of the keys with these names and ids alone.
    #[must_use]
    pub fn with_only(&self, keys: &[(&str, u32)]) -> Self {
        let known =
            |signature: &&NoteSignature| keys.iter().any(|(name, id)| signature.is_of(name, *id));
        Self {
            text: self.text.clone(),
            signatures: self.signatures.iter().filter(known).cloned().collect(),
        }
    }

    /// Runs `holds` on every signature under this name and id: one has to be there, and all have to hold. Gives the
    /// greatest of what `holds` gave.
    pub(crate) fn check<T: Ord>(
        &self,
        name: &str,
        id: u32,
        holds: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, NoteError> {
        let mut found = None;
        for signature in self.signatures.iter().filter(|line| line.is_of(name, id)) {
            let held = holds(&signature.bytes).ok_or_else(|| NoteError::BadSignature {
                name: name.to_owned(),
            })?;
            found = found.max(Some(held));
        }
        found.ok_or_else(|| NoteError::NotSigned {
            name: name.to_owned(),
            id,
        })
    }
}

impl NoteSignature {
    fn is_of(&self, name: &str, id: u32) -> bool {
        self.name == name && self.id == id
    }
}

/// One signature line with its newline.
pub(crate) fn signature_line(name: &str, id: u32, signature: &[u8]) -> String {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(signature);
    format!("{SIGNATURE_PREFIX}{name} {}\n", STANDARD.encode(bytes))
}

pub(crate) fn check_characters(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Form("it holds a control character"));
    }
    Ok(())
}

fn parse_lines(lines: &str) -> Result<Vec<NoteSignature>, NoteError> {
    let lines = lines
        .strip_suffix('\n')
        .ok_or(NoteError::Form("it does not end in a signature line"))?;
    let mut signatures = Vec::new();
    for line in lines.split('\n') {
        if signatures.len() == MAX_SIGNATURES {
            return Err(NoteError::Form("it has more than 64 signatures"));
        }
        let signature = parse_signature(line);
        signatures.push(signature.ok_or(NoteError::Form("a signature line is malformed"))?);
    }
    Ok(signatures)
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    // The specification's rule for names: narrower ones, such as ours for keys, would refuse notes for the sake of
    // lines that have to be ignored.
    let named = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+');
    if !named || signature.is_empty() {
        return None;
    }
    Some(NoteSignature {
        name: name.to_owned(),
        id: u32::from_be_bytes(*id),
        bytes: signature.to_vec(),
    })
}

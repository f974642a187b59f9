//! Secrets as items of the system's keyring, by the freedesktop Secret Service.

mod ring;
mod session;

use std::path::Path;

pub(crate) use ring::Ring;

use crate::error::SecretError;
use crate::private;

/// Says that the secrets of this folder are in the keyring, and under which id.
pub(crate) const MARKER: &str = "secrets.keyring";
/// Bytes of an id.
const ID: usize = 16;

/// A new id, which tells the items of one folder from those of another.
pub(crate) fn new_id() -> Result<String, SecretError> {
    let mut id = [0_u8; ID];
    getrandom::fill(&mut id).map_err(SecretError::random)?;
    Ok(hex::encode(id))
}

/// The id that the marker holds; none where there is no marker.
pub(crate) fn recall(marker: &Path) -> Result<Option<String>, SecretError> {
    let Some(bytes) = private::read(marker, 256)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let id = text.trim_end();
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if id.len() != 2 * ID || !id.bytes().all(plain) {
        let why = "should hold the id of these secrets in the keyring, and does not: put a copy of it back";
        return Err(SecretError::file(marker, why));
    }
    Ok(Some(id.to_owned()))
}

/// Writes the marker unless it is there.
pub(crate) fn remember(marker: &Path, ring: &Ring) -> Result<(), SecretError> {
    if recall(marker)?.as_deref() == Some(ring.id()) {
        return Ok(());
    }
    let aside = marker.with_extension("keyring.new");
    private::replace(marker, &aside, format!("{}\n", ring.id()).as_bytes())
}

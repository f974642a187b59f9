//! The key of an index: what its rows are authenticated with, and its values hidden by.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use hmac::{Hmac, Mac as _};
use rustix::fs::OFlags;
use sha2::Sha256;

use crate::error::IndexError;

const KEY_BYTES: usize = 32;
/// What each use of the key begins with, so that none can stand for another.
const OF_TERMS: &[u8] = b"bailiwick index term v1\0";
const OF_ROWS: &[u8] = b"bailiwick index row v1\0";

/// 32 random bytes in a file of their owner's alone, outside of the folder of the index.
#[derive(Clone)]
pub struct IndexKey {
    terms: Hmac<Sha256>,
    rows: Hmac<Sha256>,
}

impl IndexKey {
    /// Reads the key, or makes it. Without the key that it was made with an index says nothing, and is made anew.
    ///
    /// # Errors
    /// When the file is a link, not ours, open to others, or not a key.
    pub fn load_or_create(path: &Path) -> Result<Self, IndexError> {
        match Self::load(path) {
            Err(None) => {}
            Err(Some(error)) => return Err(error),
            Ok(key) => return Ok(key),
        }
        let failed = |error: std::io::Error| wrong(path, &error);
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| wrong(path, &error))?;
        // Whole or not at all, also for two that make it at the same time: written aside, then linked into its place.
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        let aside = Path::new(&aside);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(aside)
            .map_err(failed)?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        let linked = std::fs::hard_link(aside, path);
        std::fs::remove_file(aside).map_err(failed)?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Self::load(path).map_err(|error| {
                error.unwrap_or_else(|| wrong(path, &"it was removed as soon as it was made"))
            }),
        }
    }

    /// `Err(None)` where there is none.
    fn load(path: &Path) -> Result<Self, Option<IndexError>> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags).unwrap_or_default())
            .open(path);
        let file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(None),
            Err(error) => return Err(Some(wrong(path, &error))),
        };
        let bytes = read(&file).map_err(|why| Some(wrong(path, &why)))?;
        Ok(Self::from_bytes(&bytes))
    }

    /// A key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        // HMAC fills a key up with zeros to a block of the hash; so filled, it is a key by its type.
        let mut block = [0; 64];
        block
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        let under = |domain: &[u8]| {
            let mut mac = <Hmac<Sha256> as hmac::Mac>::new((&block).into());
            mac.update(domain);
            mac
        };
        Self {
            terms: under(OF_TERMS),
            rows: under(OF_ROWS),
        }
    }

    /// What stands for a value of a field.
    pub(crate) fn fingerprint(&self, field: u8, value: &[u8]) -> u64 {
        let mut mac = self.terms.clone();
        mac.update(&[field]);
        mac.update(value);
        let hash = mac.finalize().into_bytes();
        hash.first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// The tag of a row.
    pub(crate) fn tag(&self, row: &[&[u8]]) -> [u8; 32] {
        self.over(row).finalize().into_bytes().into()
    }

    /// Whether a row is one of ours, compared in constant time.
    pub(crate) fn holds(&self, row: &[&[u8]], tag: &[u8]) -> bool {
        self.over(row).verify_slice(tag).is_ok()
    }

    fn over(&self, row: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.rows.clone();
        for part in row {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

impl std::fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IndexKey(…)")
    }
}

fn read(file: &File) -> Result<[u8; KEY_BYTES], String> {
    let found = file.metadata().map_err(|error| error.to_string())?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err("it is not a file of ours: remove it for a new one".to_owned());
    }
    if found.mode() & 0o077 != 0 {
        return Err("others may read it: remove it for a new one".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(KEY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    bytes
        .try_into()
        .map_err(|_| format!("it does not have {KEY_BYTES} bytes: remove it for a new one"))
}

fn wrong(path: &Path, why: &dyn std::fmt::Display) -> IndexError {
    IndexError::Key {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

//! The log's key files.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use bailiwick_tlog::{SigningKey, VerifierKey};

use crate::error::AuditError;
use crate::layout::{Folders, private, read_text_if_there, replace, sync_folder};

/// Name of the signing key's file in the log's folder, unless [`crate::Options::key_file`] says otherwise.
pub const SIGNING_KEY_FILE: &str = "signing.key";
/// Name of the verifier key's file in the log's folder: one line, to be given to whoever verifies the log.
pub const VERIFIER_KEY_FILE: &str = "verifier.key";

/// The verifier key that lies beside a log. Whoever does not trust the folder takes the key from elsewhere.
///
/// # Errors
/// When the file is missing or no key.
pub fn read_verifier_key(dir: &Path) -> Result<VerifierKey, AuditError> {
    let path = dir.join(VERIFIER_KEY_FILE);
    let bad = |why: String| AuditError::Key {
        path: path.clone(),
        why,
    };
    let text = read_text_if_there(&path)?.ok_or_else(|| bad("there is no such file".to_owned()))?;
    text.trim_end()
        .parse()
        .map_err(|error: bailiwick_tlog::KeyError| bad(error.to_string()))
}

/// The signing key, made anew if `may_create` and there is none.
pub(crate) fn load_or_create(
    dir: &Path,
    file: &Path,
    may_create: bool,
) -> Result<SigningKey, AuditError> {
    let key = match fs::symlink_metadata(file) {
        Ok(meta) => {
            check_private(file, &meta)?;
            let text = read_text_if_there(file)?.unwrap_or_default();
            SigningKey::from_secret_text(text.trim_end()).map_err(|error| AuditError::Key {
                path: file.to_owned(),
                why: error.to_string(),
            })?
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(AuditError::io("read", file)(error));
        }
        Err(_) if may_create => create(file)?,
        Err(_) => {
            let why = "there is no such file, and the log beside it was signed with one. Put the key back, or start \
                a new log elsewhere"
                .to_owned();
            return Err(AuditError::Key {
                path: file.to_owned(),
                why,
            });
        }
    };
    write_verifier(dir, key.verifier())?;
    Ok(key)
}

#[cfg(unix)]
fn check_private(path: &Path, meta: &fs::Metadata) -> Result<(), AuditError> {
    use std::os::unix::fs::PermissionsExt as _;
    if !meta.file_type().is_file() {
        let why = "it is not a plain file; links are not followed to a key".to_owned();
        return Err(AuditError::Key {
            path: path.to_owned(),
            why,
        });
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AuditError::LooseKey {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_path: &Path, _meta: &fs::Metadata) -> Result<(), AuditError> {
    Ok(())
}

/// Makes a key under a name that no other log has, so that entries of two logs can never be mixed up.
fn create(file: &Path) -> Result<SigningKey, AuditError> {
    let bad = |why: String| AuditError::Key {
        path: file.to_owned(),
        why,
    };
    let (mut seed, mut id) = ([0_u8; 32], [0_u8; 8]);
    getrandom::fill(&mut seed).map_err(|error| bad(format!("no randomness: {error}")))?;
    getrandom::fill(&mut id).map_err(|error| bad(format!("no randomness: {error}")))?;
    let name = format!("bailiwick.local/{:016x}", u64::from_be_bytes(id));
    let key = SigningKey::from_seed(&name, &seed).map_err(|error| bad(error.to_string()))?;
    let mut handle = private(OpenOptions::new().write(true).create_new(true))
        .open(file)
        .map_err(AuditError::io("create", file))?;
    handle
        .write_all(format!("{}\n", key.to_secret_text()).as_bytes())
        .map_err(AuditError::io("write", file))?;
    handle.sync_all().map_err(AuditError::io("flush", file))?;
    if let Some(folder) = file.parent() {
        sync_folder(folder)?;
    }
    Ok(key)
}

fn write_verifier(dir: &Path, key: &VerifierKey) -> Result<(), AuditError> {
    let path = dir.join(VERIFIER_KEY_FILE);
    let line = format!("{key}\n");
    if read_text_if_there(&path)?.as_deref() == Some(&line) {
        return Ok(());
    }
    let mut folders = Folders::default();
    replace(&path, line.as_bytes(), &mut folders)?;
    folders.sync(dir)
}

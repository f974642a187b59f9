//! The log's key files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bailiwick_tlog::{SigningKey, VerifierKey};

use crate::disk::{Disk, Found, OpenAs, write_all_at};
use crate::error::AuditError;
use crate::folders::{Folders, sync_folder};
use crate::layout::{TEMPORARY, read_text_if_there, read_text_on, remove_if_there};

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
    disk: &dyn Disk,
    dir: &Path,
    file: &Path,
    may_create: bool,
) -> Result<SigningKey, AuditError> {
    let key = match disk.look(file) {
        Ok(found) => load(disk, file, found)?,
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(AuditError::io("read", file)(error));
        }
        Err(_) if may_create => match create(disk, file)? {
            Some(key) => key,
            // Another gate that starts for the first time was quicker.
            None => load(
                disk,
                file,
                disk.look(file).map_err(AuditError::io("read", file))?,
            )?,
        },
        Err(_) => {
            let why = "there is no such file, and the log beside it was signed with one. Put the key back, or start \
                a new log elsewhere";
            return Err(unusable(file, why));
        }
    };
    write_verifier(disk, dir, key.verifier())?;
    Ok(key)
}

fn load(disk: &dyn Disk, file: &Path, found: Found) -> Result<SigningKey, AuditError> {
    if !found.is_file {
        let why = "it is not a plain file; links are not followed to a key";
        return Err(unusable(file, why));
    }
    if found.mode & 0o077 != 0 {
        return Err(AuditError::LooseKey {
            path: file.to_owned(),
            mode: found.mode,
        });
    }
    let text = read_text_on(disk, file)?.unwrap_or_default();
    SigningKey::from_secret_text(text.trim_end()).map_err(|error| unusable(file, error))
}

/// Makes a key under a name that no other log has, so that entries of two logs can never be mixed up; `None` when there
/// is one by now. The file has its name only once it is whole and on the disk.
fn create(disk: &dyn Disk, file: &Path) -> Result<Option<SigningKey>, AuditError> {
    let (mut seed, mut id) = ([0_u8; 32], [0_u8; 8]);
    for random in [&mut seed[..], &mut id[..]] {
        getrandom::fill(random)
            .map_err(|error| unusable(file, format!("no randomness: {error}")))?;
    }
    let id = format!("{:016x}", u64::from_be_bytes(id));
    let key = SigningKey::from_seed(&format!("bailiwick.local/{id}"), &seed)
        .map_err(|error| unusable(file, error))?;

    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{id}.{TEMPORARY}"));
    let temporary = PathBuf::from(name);
    let handle = disk
        .open(&temporary, OpenAs::New)
        .map_err(AuditError::io("create", &temporary))?;
    let text = format!("{}\n", key.to_secret_text());
    let linked = write_all_at(&*handle, text.as_bytes(), 0)
        .map_err(AuditError::io("write", &temporary))
        .and_then(|()| {
            handle
                .sync_data()
                .map_err(AuditError::io("flush", &temporary))
        })
        .and_then(|()| match disk.link(&temporary, file) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(AuditError::io("create", file)(error)),
            Ok(()) => Ok(true),
        });
    remove_if_there(disk, &temporary)?;
    let linked = linked?;
    if let Some(folder) = file.parent() {
        sync_folder(disk, folder)?;
    }
    Ok(linked.then_some(key))
}

fn write_verifier(disk: &dyn Disk, dir: &Path, key: &VerifierKey) -> Result<(), AuditError> {
    let path = dir.join(VERIFIER_KEY_FILE);
    let line = format!("{key}\n");
    if read_text_on(disk, &path)?.as_deref() == Some(&line) {
        return Ok(());
    }
    let mut folders = Folders::default();
    folders.replace(disk, dir, &path, line.as_bytes())?;
    folders.sync(disk)
}

fn unusable(file: &Path, why: impl ToString) -> AuditError {
    AuditError::Key {
        path: file.to_owned(),
        why: why.to_string(),
    }
}

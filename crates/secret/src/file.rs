//! Secrets in one sealed file.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::document::{self, Kept, MAX_TEXT};
use crate::error::SecretError;
use crate::{identity, private, seal};

/// The sealed secrets, in the store's folder.
pub(crate) const FILE: &str = "secrets.age";
/// The identity, unless a person keeps it elsewhere.
pub(crate) const IDENTITY: &str = "secrets.key";
const LOCK: &str = "secrets.lock";
/// How long a writer waits for another.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// The sealed file of a folder.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) path: PathBuf,
    pub(crate) identity: PathBuf,
}

impl Sealed {
    /// All secrets; none where there is no file.
    pub(crate) fn read(&self) -> Result<Vec<Kept>, SecretError> {
        // The seal adds a header and 16 bytes to each 64 KiB.
        let Some(sealed) = private::read(&self.path, MAX_TEXT + (1 << 20))? else {
            return Ok(Vec::new());
        };
        let identity = identity::load(&self.identity)?.ok_or_else(|| {
            let why = format!(
                "is not there, and opens `{}`: put it back, or name where it is with BAILIWICK_SECRETS_IDENTITY",
                self.path.display()
            );
            SecretError::file(&self.identity, why)
        })?;
        let bad = |why| SecretError::file(&self.path, why);
        let text = seal::open(&identity, &sealed).map_err(bad)?;
        document::decode(&text).map_err(bad)
    }

    /// Puts these in place of all that were. The caller holds the lock.
    pub(crate) fn write(&self, secrets: &[Kept]) -> Result<(), SecretError> {
        if secrets.is_empty() {
            if private::remove(&self.path)? {
                private::sync_folder_of(&self.path)?;
            }
            return Ok(());
        }
        let identity = identity::load_or_create(&self.identity)?;
        let bad = |why| SecretError::file(&self.path, why);
        let sealed =
            seal::seal(&identity, &document::encode(secrets).map_err(bad)?).map_err(bad)?;
        private::replace(&self.path, &self.path.with_extension("age.new"), &sealed)
    }
}

/// Waits until no other process writes to the store in `dir`, and keeps others from it until dropped, also by the end
/// of the process.
pub(crate) fn lock(dir: &Path) -> Result<File, SecretError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default())
        .open(&path)
        .map_err(SecretError::io("open", &path))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(SecretError::io("lock", &path)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(SecretError::Busy {
                    path,
                    seconds: PATIENCE.as_secs(),
                });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
        }
    }
}

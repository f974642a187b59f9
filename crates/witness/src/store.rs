//! What a witness remembers, for good: the newest checkpoint that it cosigned, of each log.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_tlog::{
    Checkpoint, KeyError, MAX_NOTE_BYTES, SignedNote, WitnessKey, WitnessSigningKey,
};
use sha2::{Digest as _, Sha256};

use crate::disk::{Disk, RealDisk, replace};

/// The file that says whose memory a folder is.
const OWNER_FILE: &str = "witness.vkey";
const LOCK_FILE: &str = "lock";
/// Folder of signed checkpoints that contradict each other.
const EVIDENCE_DIR: &str = "evidence";
/// Evidence is written by whoever has a log's key: so much is kept, and it is enough.
const MAX_EVIDENCE: usize = 64;

/// Why a witness cannot use its memory, or has none.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No memory where one should be.
    #[error(
        "`{}` is no witness's memory: a witness that forgot what it cosigned could cosign another history. Make a new \
         witness with `bailiwick witness keygen`",
        .0.display()
    )]
    Missing(PathBuf),
    /// The memory of another key.
    #[error("`{}` is the memory of the witness {found}, and the key is {expected}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Another process has it.
    #[error("`{}` is in use by another witness", .0.display())]
    Locked(PathBuf),
    /// What is written there was not written by this witness.
    #[error("`{}` is not what this witness wrote: {why}. It cosigns nothing for this log", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Not a key that is safe to use.
    #[error("`{}` is no witness key: {why}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong, never the key itself.
        why: String,
    },
}

/// A witness's memory: a folder of its own, locked for as long as it is open.
pub struct Store {
    dir: PathBuf,
    key: WitnessKey,
    disk: Arc<dyn Disk>,
    /// Held locked.
    _lock: File,
}

impl Store {
    /// Opens the memory that [`keygen`] made for this key.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Foreign`], [`StoreError::Locked`] and what the system says.
    pub fn open(dir: &Path, key: &WitnessKey, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let owner =
            read(&dir.join(OWNER_FILE))?.ok_or_else(|| StoreError::Missing(dir.to_owned()))?;
        if owner.trim_end() != key.to_string() {
            return Err(StoreError::Foreign {
                path: dir.to_owned(),
                found: owner.trim_end().escape_debug().to_string(),
                expected: key.to_string(),
            });
        }
        let path = dir.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).append(true).open(&path);
        let lock = lock.map_err(|source| io_error("open", &path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io_error("lock", &path, source)),
        }
        Ok(Self {
            dir: dir.to_owned(),
            key: key.clone(),
            disk,
            _lock: lock,
        })
    }

    /// The newest checkpoint of a log that was cosigned, with the signatures that were seen and ours.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not what we wrote; never `None` then.
    pub fn latest(&self, origin: &str) -> Result<Option<(Checkpoint, SignedNote)>, StoreError> {
        let path = self.path(origin);
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let corrupt = |why: String| StoreError::Corrupt {
            path: path.clone(),
            why,
        };
        let note: SignedNote = text.parse().map_err(|error| corrupt(format!("{error}")))?;
        note.verify_cosignature(&self.key)
            .map_err(|error| corrupt(error.to_string()))?;
        let (checkpoint, _) = Checkpoint::parse(note.unverified_text())
            .map_err(|error| corrupt(error.to_string()))?;
        if checkpoint.origin != origin {
            return Err(corrupt(format!("it is of the log {:?}", checkpoint.origin)));
        }
        Ok(Some((checkpoint, note)))
    }

    /// Remembers a cosigned checkpoint: it is on the disk for good when this returns.
    ///
    /// # Errors
    /// Whatever is returned, the old one or the new one is there; the new one must not be acted on.
    pub fn remember(&self, origin: &str, note: &SignedNote) -> Result<(), StoreError> {
        let path = self.path(origin);
        replace(&*self.disk, &path, note.to_string().as_bytes())
            .map_err(|source| io_error("write", &path, source))
    }

    /// Keeps a request that was signed by a log and contradicts what the log had signed before. Where it cannot be
    /// kept, it is refused all the same.
    pub fn keep_evidence(&self, request: &[u8]) {
        let dir = self.dir.join(EVIDENCE_DIR);
        let known = fs::read_dir(&dir).map_or(0, Iterator::count);
        let path = dir.join(hex(&Sha256::digest(request)));
        if known < MAX_EVIDENCE && !path.exists() {
            let _ = fs::create_dir_all(&dir);
            let _ = replace(&*self.disk, &path, request);
        }
    }

    fn path(&self, origin: &str) -> PathBuf {
        self.dir.join(origin_hash(origin))
    }
}

/// The SHA-256 of a log's origin in lower-case hex, by which a witness's HTTP interface names logs.
pub(crate) fn origin_hash(origin: &str) -> String {
    hex(&Sha256::digest(origin.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Makes a witness: a key under this name in a new file of its owner's alone, and beside it, in a folder named like it
/// with `.state` added, an empty memory.
///
/// # Errors
/// When the name is no key's name, or either exists already.
pub fn keygen(file: &Path, name: &str) -> Result<WitnessKey, StoreError> {
    let bad = |why: String| StoreError::Key {
        path: file.to_owned(),
        why,
    };
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|error| bad(format!("no randomness: {error}")))?;
    let key = WitnessSigningKey::from_seed(name, &seed).map_err(|error| bad(error.to_string()))?;
    let state = state_dir(file);
    fs::create_dir(&state).map_err(|source| io_error("create", &state, source))?;
    private_folder(&state).map_err(|source| io_error("protect", &state, source))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.open(file).and_then(|mut made| {
        made.write_all(format!("{}\n", key.to_secret_text()).as_bytes())?;
        made.sync_all()
    });
    made.map_err(|source| io_error("create", file, source))?;
    // Last: a memory without this file is none.
    let owner = state.join(OWNER_FILE);
    replace(
        &RealDisk,
        &owner,
        format!("{}\n", key.verifier()).as_bytes(),
    )
    .map_err(|source| io_error("write", &owner, source))?;
    Ok(key.verifier().clone())
}

/// The folder with the memory of the witness whose key this file is.
#[must_use]
pub fn state_dir(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".state");
    PathBuf::from(name)
}

/// Reads a witness's key from a file that only its owner may read.
///
/// # Errors
/// [`StoreError::Key`] for a file that others may read, a link, or no key.
pub fn read_key(file: &Path) -> Result<WitnessSigningKey, StoreError> {
    let bad = |why: String| StoreError::Key {
        path: file.to_owned(),
        why,
    };
    let meta = fs::symlink_metadata(file).map_err(|source| io_error("read", file, source))?;
    if !meta.is_file() {
        return Err(bad(
            "it is not a plain file; links are not followed to a key".to_owned(),
        ));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&meta) & 0o077 != 0 {
        let why = format!("others may read it: run `chmod 600 {}`", file.display());
        return Err(bad(why));
    }
    let text = read(file)?.unwrap_or_default();
    WitnessSigningKey::from_secret_text(text.trim_end())
        .map_err(|error: KeyError| bad(error.to_string()))
}

#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A small text file, or `None` when there is none.
fn read(path: &Path) -> Result<Option<String>, StoreError> {
    let fail = |source| io_error("read", path, source);
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
        Ok(meta) if meta.len() > MAX_NOTE_BYTES as u64 => {
            return Err(StoreError::Corrupt {
                path: path.to_owned(),
                why: "it is far too long".to_owned(),
            });
        }
        Ok(_) => {}
    }
    match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Ok(Some(text)),
        Ok(Err(_)) => Err(StoreError::Corrupt {
            path: path.to_owned(),
            why: "it is no text".to_owned(),
        }),
        Err(error) => Err(fail(error)),
    }
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

//! The cache of prepared packages: each whole or not there at all, made once, checked at every use.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{RuntimeError, io};
use crate::settings::Settings;
use crate::tree;

const RECORD: &str = "bailiwick-package.json";

/// Which registry a package came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// The npm registry.
    Npm,
    /// The Python Package Index.
    Pypi,
}

impl Ecosystem {
    /// Its name: `npm`, `pypi`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        }
    }
}

/// One installed package, as the registry's client reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRecord {
    /// The registry.
    pub ecosystem: Ecosystem,
    /// Its name there.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// What the client checked the download against: `sha512-…` (npm, base64), `sha256=…` (PyPI, hex).
    pub integrity: String,
    /// Where it was unpacked; for PyPI the environment's folder.
    pub path: PathBuf,
}

/// A prepared folder.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) folder: PathBuf,
    pub(crate) record: Record,
}

/// What is written down beside a prepared package, last of all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// What was asked for, all of it.
    pub(crate) asked: String,
    /// The asked-for package first, then the others by name; paths are relative to the folder.
    pub(crate) packages: Vec<PackageRecord>,
    /// SHA-256 over the whole folder but this record.
    pub(crate) tree: String,
}

/// Where one preparation works: all of it is gone afterwards but `folder`.
pub(crate) struct Fresh<'a> {
    /// The only folder that is written.
    pub(crate) top: &'a Path,
    /// In it: what is kept.
    pub(crate) folder: &'a Path,
    /// In it: what the registry's client downloads, shared with no other preparation.
    pub(crate) downloads: &'a Path,
}

/// A folder for one registry below the cache.
pub(crate) struct Store<'a> {
    settings: &'a Settings,
    folder: PathBuf,
}

impl<'a> Store<'a> {
    /// Opens the cache, making it when absent.
    ///
    /// # Errors
    /// When it is a link, another user's, or open to others.
    pub(crate) fn open(settings: &'a Settings, ecosystem: Ecosystem) -> Result<Self, RuntimeError> {
        let cache = &settings.cache;
        if !cache.is_absolute() {
            return Err(cache_error(
                cache,
                "its path is not absolute",
                "name it by its absolute path",
            ));
        }
        private(cache)?;
        let folder = cache.join(ecosystem.name());
        private(&folder)?;
        Ok(Self { settings, folder })
    }

    /// The prepared folder for `asked`, made by `prepare` in a fresh folder when there is none yet.
    /// Others who want the same wait; a preparation that fails or is killed leaves nothing that counts.
    pub(crate) fn get(
        &self,
        asked: &str,
        prepare: impl FnOnce(&Fresh<'_>) -> Result<Vec<PackageRecord>, RuntimeError>,
    ) -> Result<Stored, RuntimeError> {
        let key = key(asked);
        let folder = self.folder.join(&key);
        let _lock = self.lock(&key)?;
        if folder.symlink_metadata().is_ok() {
            return check(folder, asked);
        }
        if self.settings.offline {
            return Err(RuntimeError::Package {
                package: asked.to_owned(),
                why: "it has not been prepared yet, and the network may not be used".to_owned(),
                mend: "prepare it once while online".to_owned(),
            });
        }
        // Short: installers write this path into first lines, which have little room.
        let prefix = format!(".{}-", key.rsplit('-').next().unwrap_or(&key));
        self.clear(&prefix)?;
        let top = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&self.folder)
            .map_err(io("make a folder in", &self.folder))?;
        let [made, downloads] = ["p", "d"].map(|name| top.path().join(name));
        for folder in [&made, &downloads] {
            DirBuilder::new()
                .mode(0o755)
                .create(folder)
                .map_err(io("make the folder", folder))?;
        }
        let packages = prepare(&Fresh {
            top: top.path(),
            folder: &made,
            downloads: &downloads,
        })?;
        tree::inspect(&made)?;
        let file = made.join(RECORD);
        let record = Record {
            asked: asked.to_owned(),
            packages,
            tree: tree::digest(&made, &file)?,
        };
        let text =
            serde_json::to_vec_pretty(&record).map_err(|error| io("write", &file)(error.into()))?;
        fs::write(&file, text).map_err(io("write", &file))?;
        fs::rename(&made, &folder).map_err(io("rename into", &folder))?;
        Ok(Stored { folder, record })
    }

    /// Takes away what killed preparations left; only called under the lock of their key.
    fn clear(&self, prefix: &str) -> Result<(), RuntimeError> {
        for entry in fs::read_dir(&self.folder)
            .map_err(io("list", &self.folder))?
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                fs::remove_dir_all(entry.path()).map_err(io("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    fn lock(&self, key: &str) -> Result<File, RuntimeError> {
        let path = self.folder.join(format!("{key}.lock"));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io("open", &path))?;
        let deadline = Instant::now() + self.settings.timeout;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(cache_error(
                        &path,
                        "another preparation has held it all the time",
                        "wait for it, or end it",
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(io("lock", &path)(error)),
            }
        }
    }
}

/// Was this prepared before? Whether it may still be used is said by [`Store::get`].
pub(crate) fn is_prepared(cache: &Path, ecosystem: Ecosystem, asked: &str) -> bool {
    cache.join(ecosystem.name()).join(key(asked)).is_dir()
}

fn check(folder: PathBuf, asked: &str) -> Result<Stored, RuntimeError> {
    let changed = |why: &str| {
        let mend = format!("remove `{}`; it is then prepared anew", folder.display());
        cache_error(&folder, why, &mend)
    };
    let file = folder.join(RECORD);
    let text = fs::read(&file).map_err(|_| changed("its record is missing"))?;
    let record: Record =
        serde_json::from_slice(&text).map_err(|_| changed("its record cannot be read"))?;
    if record.asked != asked {
        return Err(changed("it belongs to another package"));
    }
    if tree::digest(&folder, &file)? != record.tree {
        return Err(changed("its files have changed since they were prepared"));
    }
    Ok(Stored { folder, record })
}

/// A readable folder name that no two requests share.
fn key(asked: &str) -> String {
    let readable: String = asked
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || "._-".contains(letter) {
                letter
            } else {
                '+'
            }
        })
        .take(60)
        .collect();
    let digest = hex::encode(Sha256::digest(asked.as_bytes()));
    format!("p-{readable}-{}", digest.get(..16).unwrap_or(&digest))
}

/// Makes a folder that is ours alone, or checks that it is.
pub(crate) fn private(folder: &Path) -> Result<(), RuntimeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(io("make the folder", folder))?;
    let meta = folder.symlink_metadata().map_err(io("read", folder))?;
    let user = rustix::process::geteuid().as_raw();
    if !meta.is_dir() {
        return Err(cache_error(
            folder,
            "it is a link or no folder",
            "name a real folder",
        ));
    }
    if meta.uid() != user {
        let why = format!("it belongs to user {}, and this is user {user}", meta.uid());
        return Err(cache_error(folder, &why, "use a folder of your own"));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(cache_error(
            folder,
            "other users can enter it",
            &format!("run `chmod 700 {}`", folder.display()),
        ));
    }
    Ok(())
}

fn cache_error(path: &Path, why: &str, mend: &str) -> RuntimeError {
    RuntimeError::Cache {
        path: path.to_owned(),
        why: why.to_owned(),
        mend: mend.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn settings() -> (tempfile::TempDir, Settings) {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(dir.path().join("deep/cache"));
        (dir, settings)
    }

    fn write(fresh: &Fresh<'_>) -> Result<Vec<PackageRecord>, RuntimeError> {
        fs::write(fresh.folder.join("code"), "one").unwrap();
        Ok(Vec::new())
    }

    #[test]
    fn the_cache_is_private_and_must_stay_so() {
        let (_dir, settings) = settings();
        Store::open(&settings, Ecosystem::Npm).unwrap();
        assert_eq!(settings.cache.metadata().unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&settings.cache, fs::Permissions::from_mode(0o755)).unwrap();
        let error = Store::open(&settings, Ecosystem::Npm)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_cache_of_another_user_or_behind_a_link_is_refused() {
        let (dir, settings) = settings();
        let link = dir.path().join("link");
        Store::open(&settings, Ecosystem::Npm).unwrap();
        std::os::unix::fs::symlink(&settings.cache, &link).unwrap();
        assert!(Store::open(&Settings::new(link), Ecosystem::Npm).is_err());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&settings.cache, Some(65534), None).unwrap();
        } else {
            assert!(Store::open(&Settings::new("/"), Ecosystem::Npm).is_err());
            return;
        }
        assert!(
            Store::open(&settings, Ecosystem::Npm)
                .err()
                .unwrap()
                .to_string()
                .contains("belongs to user")
        );
    }

    #[test]
    fn prepared_once_and_found_again_without_preparing() {
        let (_dir, mut settings) = settings();
        Store::open(&settings, Ecosystem::Npm)
            .unwrap()
            .get("x@1", write)
            .unwrap();
        settings.offline = true;
        let store = Store::open(&settings, Ecosystem::Npm).unwrap();
        let again = store.get("x@1", |_| panic!("prepared twice")).unwrap();
        assert!(again.folder.join("code").is_file());
        assert!(
            store
                .get("y@1", write)
                .unwrap_err()
                .to_string()
                .contains("while online")
        );
    }

    #[test]
    fn a_failed_preparation_leaves_nothing_behind() {
        let (_dir, settings) = settings();
        let store = Store::open(&settings, Ecosystem::Npm).unwrap();
        let fail = |fresh: &Fresh<'_>| {
            write(fresh)?;
            Err(RuntimeError::Empty)
        };
        assert!(store.get("x@1", fail).is_err());
        let left: Vec<_> = fs::read_dir(&store.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(store.get("x@1", write).is_ok());
    }

    #[test]
    fn what_a_killed_preparation_left_is_taken_away() {
        let (_dir, settings) = settings();
        let store = Store::open(&settings, Ecosystem::Npm).unwrap();
        let name = |asked| format!(".{}-x", key(asked).rsplit('-').next().unwrap());
        let (left, other) = (
            store.folder.join(name("x@1")),
            store.folder.join(name("y@1")),
        );
        fs::create_dir(&left).unwrap();
        fs::create_dir(&other).unwrap();
        store.get("x@1", write).unwrap();
        assert!(!left.exists() && other.exists());
    }

    #[test]
    fn l30_a_changed_package_is_never_used_again() {
        let (_dir, settings) = settings();
        let store = Store::open(&settings, Ecosystem::Npm).unwrap();
        let stored = store.get("x@1", write).unwrap();
        fs::write(stored.folder.join("code"), "two").unwrap();
        let error = store.get("x@1", write).unwrap_err().to_string();
        assert!(
            error.contains("have changed") && error.contains("remove `"),
            "{error}"
        );
        fs::write(stored.folder.join("code"), "one").unwrap();
        assert!(store.get("x@1", write).is_ok());
        fs::write(stored.folder.join("added"), "").unwrap();
        assert!(store.get("x@1", write).is_err());
        fs::remove_file(stored.folder.join("added")).unwrap();
        fs::remove_file(stored.folder.join(RECORD)).unwrap();
        assert!(store.get("x@1", write).is_err());
    }

    #[test]
    fn many_at_once_prepare_once() {
        let (_dir, settings) = settings();
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let store = Store::open(&settings, Ecosystem::Npm).unwrap();
                    store
                        .get("x@1", |fresh| {
                            count.fetch_add(1, Ordering::SeqCst);
                            write(fresh)
                        })
                        .unwrap();
                });
            }
        });
        assert_eq!(count.into_inner(), 1);
    }

    #[test]
    fn keys_are_plain_names_and_differ() {
        assert!(
            key("@a/b@1")
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "._-+".contains(letter))
        );
        assert_ne!(key("a/b"), key("a+b"));
        assert!(!key("../..").starts_with('.'));
    }
}

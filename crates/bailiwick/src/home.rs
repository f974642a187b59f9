//! Where Bailiwick keeps its state: keys, the audit log, caches.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use bailiwick_token::Keys;

/// Gates that may run at the same time for one user: each has a log of its own.
pub(crate) const MAX_LOGS: u32 = 64;

/// The state folder, mode 0700 and our own.
#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// `BAILIWICK_HOME`, else the XDG state folder. Nothing is made yet.
    pub(crate) fn locate() -> anyhow::Result<Self> {
        let set = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let path = set("BAILIWICK_HOME")
            .or_else(|| set("XDG_STATE_HOME").map(|state| state.join("bailiwick")))
            .or_else(|| set("HOME").map(|home| home.join(".local/state/bailiwick")))
            .context("no place for keys and the log: set BAILIWICK_HOME to a folder of your own")?;
        ensure!(
            path.is_absolute(),
            "`{}` is relative: set BAILIWICK_HOME to an absolute path",
            path.display()
        );
        Ok(Self(path))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A folder of the caller's.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes the folder, or checks that it is ours alone.
    pub(crate) fn make(&self) -> anyhow::Result<()> {
        make_private(&self.0)
    }

    /// The folder of a log: `audit`, and `audit-1` onward for gates that run at the same time.
    pub(crate) fn audit(&self, slot: u32) -> PathBuf {
        match slot {
            0 => self.0.join("audit"),
            _ => self.0.join(format!("audit-{slot}")),
        }
    }

    /// The key that signs a log, outside its folder.
    pub(crate) fn audit_key(&self, slot: u32) -> PathBuf {
        self.audit(slot).with_extension("key")
    }

    /// The logs that there are, the first one first.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        (0..MAX_LOGS)
            .map(|slot| self.audit(slot))
            .filter(|dir| dir.is_dir())
            .collect()
    }

    /// Where exports keep their places.
    pub(crate) fn exports(&self) -> PathBuf {
        self.0.join("export")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// The key that seals grants; made on first use, once that is recorded.
    pub(crate) fn token_keys(&self, record: Recording<'_>) -> anyhow::Result<Keys> {
        keys_at(&self.0.join("token.key"), record)
    }

    /// The key with which the person says yes; made on first use, once that is recorded.
    pub(crate) fn approver_keys(&self, record: Recording<'_>) -> anyhow::Result<Keys> {
        keys_at(&self.0.join("approver.key"), record)
    }

    /// Where gates that run can be asked what waits for a person.
    pub(crate) fn approvals_folder(&self) -> PathBuf {
        self.0.join("approvals")
    }

    /// The same, made.
    pub(crate) fn approvals(&self) -> anyhow::Result<PathBuf> {
        let folder = self.approvals_folder();
        make_private(&folder)?;
        Ok(folder)
    }

    /// Puts another key in the place of the one that seals grants, whole or not at all.
    pub(crate) fn replace_token_keys(&self, keys: &Keys) -> anyhow::Result<()> {
        let path = self.0.join("token.key");
        let aside = aside(&path, keys)?;
        let cannot = || format!("cannot replace `{}`", path.display());
        std::fs::rename(&aside, &path).with_context(cannot)?;
        std::fs::File::open(&self.0)
            .and_then(|folder| folder.sync_all())
            .with_context(cannot)
    }
}

/// Puts on record that a key is about to be made.
pub(crate) type Recording<'a> = &'a dyn Fn(&Keys) -> anyhow::Result<()>;

/// The key in a file; made where there is none, once that is recorded.
pub(crate) fn keys_at(path: &Path, record: Recording<'_>) -> anyhow::Result<Keys> {
    if path.symlink_metadata().is_ok() {
        return read_keys(path);
    }
    let keys = Keys::generate();
    record(&keys)?;
    // Whole or not at all, also for gates that start at the same time: written aside, then linked into place.
    let aside = aside(path, &keys)?;
    let cannot = || format!("cannot make `{}`", path.display());
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside).with_context(cannot)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error).with_context(cannot),
        _ => read_keys(path),
    }
}

/// A key in a file of a name of its own beside `path`, on the disk.
fn aside(path: &Path, keys: &Keys) -> anyhow::Result<PathBuf> {
    let unique = bailiwick_gate::host::session_id()?;
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{unique}"));
    let aside = PathBuf::from(aside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .with_context(|| format!("cannot make `{}`", aside.display()))?;
    file.write_all(&keys.private_bytes())?;
    file.sync_all()?;
    Ok(aside)
}

/// The key in a file that nobody else may read.
pub(crate) fn read_keys(path: &Path) -> anyhow::Result<Keys> {
    let shown = path.display();
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits())?)
        .open(path)
        .with_context(|| format!("cannot read `{shown}`"))?;
    let meta = file.metadata()?;
    guarded(path, meta.uid(), meta.mode())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Keys::from_private_bytes(&bytes)
        .with_context(|| format!("`{shown}` is no key: remove it for a new one"))
}

/// A key is its owner's to read and to replace, so the owner must be who we are.
fn guarded(path: &Path, owner: u32, mode: u32) -> anyhow::Result<()> {
    let shown = path.display();
    ensure!(
        owner == rustix::process::geteuid().as_raw(),
        "the key `{shown}` belongs to {}, who can read and replace it: run as that user, or name a key of your own",
        crate::person::name_of(owner)
    );
    ensure!(
        mode & 0o077 == 0,
        "others may read the key `{shown}`: run `chmod 600 {shown}`, or remove it for a new one"
    );
    Ok(())
}

/// Makes a folder that only we may enter, or checks that it is one.
fn make_private(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| {
            format!("cannot make the state folder `{shown}`: set BAILIWICK_HOME to another")
        })?;
    let meta = path.metadata()?;
    let us = rustix::process::geteuid().as_raw();
    ensure!(
        meta.uid() == us,
        "the state folder `{shown}` belongs to another user: set BAILIWICK_HOME to your own"
    );
    ensure!(
        meta.mode() & 0o077 == 0,
        "others may enter the state folder `{shown}`: run `chmod 700 {shown}`"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("state"));
        home.make().unwrap();
        (dir, home)
    }

    #[test]
    fn gates_that_start_together_share_one_whole_key() {
        let (_dir, home) = home();
        let keys: Vec<_> = (0..8)
            .map(|_| {
                let home = home.clone();
                std::thread::spawn(move || {
                    home.token_keys(&|_| Ok(()))
                        .map(|keys| keys.public().to_bytes())
                })
            })
            .collect();
        let keys: Vec<_> = keys.into_iter().map(|key| key.join().unwrap()).collect();
        let first = home.token_keys(&|_| Ok(())).unwrap().public().to_bytes();
        for key in keys {
            assert_eq!(key.unwrap(), first);
        }
        let left = std::fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 1, "nothing lies beside the key");
    }

    #[test]
    fn a_key_that_others_may_read_and_a_folder_that_they_may_enter_are_refused() {
        let (_dir, home) = home();
        home.token_keys(&|_| Ok(())).unwrap();
        let mode = std::fs::Permissions::from_mode;
        std::fs::set_permissions(home.path().join("token.key"), mode(0o644)).unwrap();
        assert!(
            home.token_keys(&|_| Ok(()))
                .err()
                .unwrap()
                .to_string()
                .contains("chmod 600")
        );
        std::fs::set_permissions(home.path(), mode(0o755)).unwrap();
        assert!(home.make().unwrap_err().to_string().contains("chmod 700"));
    }

    #[test]
    fn a_key_of_another_user_is_refused() {
        let (_dir, home) = home();
        home.token_keys(&|_| Ok(())).unwrap();
        let path = home.path().join("token.key");
        let us = rustix::process::geteuid().as_raw();
        let told = guarded(&path, us + 1, 0o100_600).unwrap_err().to_string();
        assert!(told.contains("run as that user"), "{told}");
        assert!(guarded(&path, us, 0o100_600).is_ok());
        // Only root can give a file away.
        if us == 0 {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            let told = home.token_keys(&|_| Ok(())).err().unwrap().to_string();
            assert!(told.contains("belongs to uid-12345"), "{told}");
        }
    }

    #[test]
    fn a_key_behind_a_link_is_refused() {
        let (dir, home) = home();
        let elsewhere = dir.path().join("elsewhere");
        std::fs::write(&elsewhere, [7u8; 32]).unwrap();
        std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&elsewhere, home.path().join("token.key")).unwrap();
        assert!(home.token_keys(&|_| Ok(())).is_err());
    }
}

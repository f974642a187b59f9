//! Where Bailiwick keeps its state: keys, the audit log, caches.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
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

    pub(crate) fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// The key that seals grants; made on first use.
    pub(crate) fn token_keys(&self) -> anyhow::Result<Keys> {
        let path = self.0.join("token.key");
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(mut file) => {
                let keys = Keys::generate();
                file.write_all(&keys.private_bytes())?;
                file.sync_all()?;
                Ok(keys)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => read_keys(&path),
            Err(error) => Err(error).with_context(|| format!("cannot make `{}`", path.display())),
        }
    }
}

fn read_keys(path: &Path) -> anyhow::Result<Keys> {
    let shown = path.display();
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits())?)
        .open(path)
        .with_context(|| format!("cannot read `{shown}`"))?;
    let meta = file.metadata()?;
    if meta.mode() & 0o077 != 0 {
        bail!(
            "others may read the key `{shown}`: run `chmod 600 {shown}`, or remove it for a new one"
        );
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Keys::from_private_bytes(&bytes)
        .with_context(|| format!("`{shown}` is no key: remove it for a new one"))
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

//! The store as the gate and the command see it.

use std::fmt;
use std::path::{Path, PathBuf};

use bailiwick_wall::{Binding, SecretValue};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::document::Kept;
use crate::error::SecretError;
use crate::file::{self, Sealed};
use crate::keyring::{self, Ring};
use crate::protect::protect;
use crate::{binding, private};

/// Where a person wants secrets kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// In the system's keyring where there is one, else in a sealed file.
    #[default]
    Auto,
    /// In the system's keyring, or nowhere.
    Keyring,
    /// In a sealed file.
    File,
}

/// Where secrets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// The system's keyring, by the Secret Service.
    Keyring,
    /// A file sealed with age.
    File,
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
        })
    }
}

/// How a store is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Where new secrets are kept when there are none yet.
    pub keep: Keep,
    /// The identity's file, when it lies elsewhere than in the store's folder; absolute. Whoever names one wants a
    /// sealed file.
    pub identity: Option<PathBuf>,
    /// The address of the session's bus, as in `DBUS_SESSION_BUS_ADDRESS`; none where there is no session.
    pub bus: Option<String>,
}

impl Options {
    /// With what this process was started with: `BAILIWICK_SECRETS_IDENTITY`, which goes before `identity`, and the
    /// session's bus (`DBUS_SESSION_BUS_ADDRESS`, else the socket in `XDG_RUNTIME_DIR`).
    #[must_use]
    pub fn from_process(keep: Keep, identity: Option<PathBuf>) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let named = set("DBUS_SESSION_BUS_ADDRESS").and_then(|address| address.into_string().ok());
        let usual = || {
            let socket = PathBuf::from(set("XDG_RUNTIME_DIR")?).join("bus");
            let path = socket.to_str().filter(|_| socket.exists())?;
            Some(format!("unix:path={}", crate::dbus::escape(path)))
        };
        Self {
            keep,
            identity: set("BAILIWICK_SECRETS_IDENTITY")
                .map(PathBuf::from)
                .or(identity),
            bus: named.or_else(usual),
        }
    }
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, as in `use_secret:NAME`.
    pub name: String,
    /// Where it may go.
    pub binding: Binding,
    /// When it was set, RFC 3339 in UTC.
    pub set: String,
    /// Where it is kept.
    pub keeper: Keeper,
}

/// The secrets of one folder.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    options: Options,
}

enum Place {
    Keyring(Ring),
    File(Sealed),
}

impl Store {
    /// The store whose files lie in `dir`, an absolute path. Nothing is read or made yet, and `dir` need not exist
    /// before the first secret is set. Where secrets are kept there already, this process's memory is closed to others
    /// from now on ([`crate::protect`]).
    ///
    /// # Errors
    /// [`SecretError::Invalid`] where a path is relative; [`SecretError::System`].
    pub fn open(dir: &Path, options: Options) -> Result<Self, SecretError> {
        let paths = std::iter::once(dir).chain(options.identity.as_deref());
        for path in paths {
            if path.is_relative() {
                return Err(SecretError::invalid(
                    format!("`{}` is relative", path.display()),
                    "write an absolute path",
                ));
            }
        }
        let store = Self {
            dir: dir.to_owned(),
            options,
        };
        // As early as can be: who has opened this memory once may read it for ever.
        if !store.is_new() {
            protect()?;
        }
        Ok(store)
    }

    /// Where the secrets are kept, or would be.
    ///
    /// # Errors
    /// [`SecretError::File`] where what lies there contradicts what is wanted; [`SecretError::Keyring`] where the
    /// keyring is wanted and does not answer.
    pub fn keeper(&self) -> Result<Keeper, SecretError> {
        Ok(match self.place()? {
            Place::Keyring(_) => Keeper::Keyring,
            Place::File(_) => Keeper::File,
        })
    }

    /// All secrets without their values, by name.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn list(&self) -> Result<Vec<Listed>, SecretError> {
        if self.is_new() {
            return Ok(Vec::new());
        }
        protect()?;
        let (kept, keeper) = match self.place()? {
            Place::Keyring(ring) => (ring.all()?, Keeper::Keyring),
            Place::File(sealed) => (sealed.read()?, Keeper::File),
        };
        let listed = kept.into_iter().map(|kept| Listed {
            name: kept.name,
            binding: kept.binding,
            set: kept.set,
            keeper,
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// The value and the binding of exactly this secret; none where there is none.
    ///
    /// # Errors
    /// [`SecretError::Invalid`] for a name that means no single secret (L21); [`SecretError::File`] where the store or
    /// its identity is missing, damaged, foreign or open to others; [`SecretError::Keyring`]; [`SecretError::Io`].
    pub fn get(&self, name: &str) -> Result<Option<(SecretValue, Binding)>, SecretError> {
        binding::name(name)?;
        if self.is_new() {
            return Ok(None);
        }
        protect()?;
        let kept = match self.place()? {
            Place::Keyring(ring) => ring.one(name)?,
            Place::File(sealed) => sealed.read()?.into_iter().find(|kept| kept.name == name),
        };
        Ok(kept.map(|kept| (kept.value, kept.binding)))
    }

    /// Keeps a secret, in place of the one of its name; whether there was one. It is on the disk, or in the keyring,
    /// when this returns, and a crash before leaves what was.
    ///
    /// # Errors
    /// As [`Store::get`] and [`crate::checked`]; [`SecretError::Busy`].
    pub fn set(
        &self,
        name: &str,
        value: SecretValue,
        binding: Binding,
    ) -> Result<bool, SecretError> {
        binding::name(name)?;
        protect()?;
        let kept = Kept {
            name: name.to_owned(),
            set: now()?,
            binding: binding::checked(binding)?,
            value,
        };
        let _lock = self.lock()?;
        match self.place()? {
            Place::Keyring(ring) => {
                let was = ring.has(name)?;
                keyring::remember(&self.marker(), &ring)?;
                ring.put(&kept)?;
                Ok(was)
            }
            Place::File(sealed) => {
                let mut all = sealed.read()?;
                let before = all.len();
                all.retain(|other| other.name != name);
                let was = all.len() < before;
                all.push(kept);
                sealed.write(&all)?;
                Ok(was)
            }
        }
    }

    /// Removes a secret; whether there was one. With the last one goes the choice of where they are kept.
    ///
    /// # Errors
    /// As [`Store::get`]; [`SecretError::Busy`].
    pub fn remove(&self, name: &str) -> Result<bool, SecretError> {
        binding::name(name)?;
        if self.is_new() {
            return Ok(false);
        }
        protect()?;
        let _lock = self.lock()?;
        match self.place()? {
            Place::Keyring(ring) => {
                let was = ring.delete(name)?;
                if ring.is_empty()? && private::remove(&self.marker())? {
                    private::sync_folder_of(&self.marker())?;
                }
                Ok(was)
            }
            Place::File(sealed) => {
                let mut all = sealed.read()?;
                let before = all.len();
                all.retain(|other| other.name != name);
                if all.len() == before {
                    return Ok(false);
                }
                sealed.write(&all).map(|()| true)
            }
        }
    }

    fn lock(&self) -> Result<std::fs::File, SecretError> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(SecretError::io("make", &self.dir))?;
        private::check_folder(&self.dir)?;
        file::lock(&self.dir)
    }

    /// Nothing was ever kept here, or all of it is gone again: no keyring is asked.
    fn is_new(&self) -> bool {
        let absent = |path: &Path| {
            let looked = path.symlink_metadata();
            looked.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        };
        absent(&self.marker()) && absent(&self.sealed().path)
    }

    fn marker(&self) -> PathBuf {
        self.dir.join(keyring::MARKER)
    }

    fn sealed(&self) -> Sealed {
        let beside = || self.dir.join(file::IDENTITY);
        Sealed {
            path: self.dir.join(file::FILE),
            identity: self.options.identity.clone().unwrap_or_else(beside),
        }
    }

    /// Where the secrets are; where none are yet, where they should be.
    fn place(&self) -> Result<Place, SecretError> {
        let sealed = self.sealed();
        let in_file = sealed.path.symlink_metadata().is_ok();
        let wanted = match self.options.keep {
            // A key of one's own is of no use to a keyring.
            Keep::Auto if self.options.identity.is_some() => Keep::File,
            wanted => wanted,
        };
        let elsewhere = |path: &Path, there: &str, wanted: &str| {
            let why = format!(
                "says that secrets are kept in {there}, and {wanted} is wanted: remove them first with `bailiwick \
                 secret rm`, or change the configuration's `secrets:`"
            );
            Err(SecretError::file(path, why))
        };
        match (keyring::recall(&self.marker())?, in_file) {
            (Some(_), true) => {
                let why = format!(
                    "and `{}` contradict each other: remove the one that is not yours",
                    self.marker().display()
                );
                Err(SecretError::file(&sealed.path, why))
            }
            (Some(id), false) if wanted == Keep::File => {
                drop(id);
                elsewhere(&self.marker(), "the keyring", "a file")
            }
            (Some(id), false) => Ring::open(self.bus()?, id).map(Place::Keyring),
            (None, true) if wanted == Keep::Keyring => {
                elsewhere(&sealed.path, "a file", "the keyring")
            }
            (None, true) => Ok(Place::File(sealed)),
            (None, false) => match wanted {
                Keep::File => Ok(Place::File(sealed)),
                Keep::Keyring => Ring::open(self.bus()?, keyring::new_id()?).map(Place::Keyring),
                Keep::Auto => Ok(
                    match self
                        .bus()
                        .and_then(|bus| Ring::open(bus, keyring::new_id()?))
                    {
                        Ok(ring) => Place::Keyring(ring),
                        Err(_) => Place::File(sealed),
                    },
                ),
            },
        }
    }

    fn bus(&self) -> Result<&str, SecretError> {
        self.options.bus.as_deref().ok_or_else(|| {
            SecretError::Keyring(
                "there is no session bus here (DBUS_SESSION_BUS_ADDRESS): work in the session that the secrets were \
                 set in, or keep them in a file (`secrets: {keep: file}`)"
                    .to_owned(),
            )
        })
    }
}

/// Now, as RFC 3339 in UTC with seconds.
fn now() -> Result<String, SecretError> {
    let system = |why: String| SecretError::System {
        what: "the time",
        why,
    };
    OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .map_err(|error| system(error.to_string()))?
        .format(&Rfc3339)
        .map_err(|error| system(error.to_string()))
}

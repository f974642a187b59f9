//! Looking at the machine's files, and noting what was looked at: the same looks with the same outcome
//! give the same closure, so a closure can be kept and used again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, Metadata, ReadDir};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::elf::Elf;
use crate::error::RuntimeError;

/// A file's times tell a change only where the clock has moved on since; what changed this recently may
/// change again within the same tick.
const SETTLED: Duration = Duration::from_secs(2);
/// Bound on what one closure may have looked at to be kept.
const MAX_SEEN: usize = 20_000;
/// Bound on a text file that is read whole.
const MAX_TEXT: u64 = 1 << 20;

/// What tells one state of a file from another: device, inode, size, mode, owner, group, and the times of
/// its content and of its inode in nanoseconds.
type Identity = (u64, u64, u64, u32, u32, u32, (i64, i64), (i64, i64));

/// Everything that was looked at, with what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// Links followed; none where nothing was.
    files: BTreeMap<PathBuf, Option<Identity>>,
    /// Paths with the links taken out.
    real: BTreeMap<PathBuf, Option<PathBuf>>,
    /// Links themselves.
    links: BTreeMap<PathBuf, Option<PathBuf>>,
}

impl Seen {
    /// Would everything look the same now?
    pub(crate) fn holds(&self) -> bool {
        let files = self.files.iter().all(|(path, was)| {
            let now = fs::metadata(path).ok().map(|meta| identity(&meta));
            now == *was
        });
        files
            && self.real.iter().all(|(path, was)| real(path) == *was)
            && self
                .links
                .iter()
                .all(|(path, was)| fs::read_link(path).ok() == *was)
    }

    /// Is it small, and old enough that a later change shows?
    pub(crate) fn can_be_kept(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let settled = |identity: &Identity| {
            let (seconds, nanos) = identity.7.max(identity.6);
            let changed = Duration::new(
                u64::try_from(seconds).unwrap_or_default(),
                u32::try_from(nanos).unwrap_or_default(),
            );
            changed + SETTLED < now
        };
        self.files.len() + self.real.len() + self.links.len() <= MAX_SEEN
            && self.files.values().flatten().all(settled)
    }
}

fn identity(meta: &Metadata) -> Identity {
    (
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mode(),
        meta.uid(),
        meta.gid(),
        (meta.mtime(), meta.mtime_nsec()),
        (meta.ctime(), meta.ctime_nsec()),
    )
}

fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// Looks, and notes what it saw. What is noted is taken before a file is read: a change in between then
/// shows as a difference the next time.
#[derive(Debug, Default)]
pub(crate) struct Look {
    seen: RefCell<Seen>,
    /// The C library is asked for by each of a hundred modules.
    read: RefCell<BTreeMap<PathBuf, Option<Elf>>>,
}

impl Look {
    /// What was seen since the last time, to be kept.
    pub(crate) fn take(&self) -> Seen {
        self.seen.take()
    }

    /// The file behind `path`, links followed.
    pub(crate) fn meta(&self, path: &Path) -> Option<Metadata> {
        let meta = fs::metadata(path).ok();
        let mut seen = self.seen.borrow_mut();
        let found = meta.as_ref().map(identity);
        seen.files.entry(path.to_owned()).or_insert(found);
        meta
    }

    pub(crate) fn is_file(&self, path: &Path) -> bool {
        self.meta(path).is_some_and(|meta| meta.is_file())
    }

    pub(crate) fn is_dir(&self, path: &Path) -> bool {
        self.meta(path).is_some_and(|meta| meta.is_dir())
    }

    /// The path without links.
    pub(crate) fn real(&self, path: &Path) -> io::Result<PathBuf> {
        let found = path.canonicalize();
        let mut seen = self.seen.borrow_mut();
        seen.real
            .entry(path.to_owned())
            .or_insert_with(|| found.as_ref().ok().cloned());
        found
    }

    /// Where a link leads; none for what is no link.
    pub(crate) fn link(&self, path: &Path) -> Option<PathBuf> {
        let found = fs::read_link(path).ok();
        let mut seen = self.seen.borrow_mut();
        seen.links
            .entry(path.to_owned())
            .or_insert_with(|| found.clone());
        found
    }

    /// What lies in a folder; its times change with its entries.
    pub(crate) fn list(&self, folder: &Path) -> io::Result<ReadDir> {
        self.meta(folder);
        fs::read_dir(folder)
    }

    /// The names in a folder, sorted; none where it cannot be listed.
    pub(crate) fn names(&self, folder: &Path) -> Vec<String> {
        let entries = self.list(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// A small text file; none where there is none.
    pub(crate) fn text(&self, path: &Path) -> Option<String> {
        self.meta(path).filter(Metadata::is_file)?;
        let mut text = String::new();
        let file = fs::File::open(path).ok()?;
        file.take(MAX_TEXT).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// The ELF headers of a file; `Ok(None)` when it is not ELF.
    pub(crate) fn elf(&self, path: &Path) -> Result<Option<Elf>, RuntimeError> {
        self.meta(path);
        if let Some(known) = self.read.borrow().get(path) {
            return Ok(known.clone());
        }
        let found = Elf::read(path)?;
        self.read
            .borrow_mut()
            .insert(path.to_owned(), found.clone());
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_looks_different_is_noticed_and_what_does_not_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(&at("file"), "one");
        fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        let look = |of: &dyn Fn(&Look)| {
            let look = Look::default();
            of(&look);
            let seen = look.take();
            assert!(seen.holds());
            seen
        };
        let text = look(&|look| {
            look.text(&at("file")).unwrap();
        });
        let absent = look(&|look| assert!(!look.is_file(&at("absent"))));
        let listed = look(&|look| {
            look.list(&at("folder")).unwrap();
        });
        let linked = look(&|look| {
            look.link(&at("link")).unwrap();
        });
        let real = look(&|look| {
            look.real(&at("link")).unwrap();
        });
        let never = look(&|look| {
            look.is_dir(Path::new("/"));
        });
        write(&at("file"), "two, longer");
        write(&at("absent"), "");
        write(&at("folder/new"), "");
        fs::remove_file(at("link")).unwrap();
        std::os::unix::fs::symlink("/", at("link")).unwrap();
        for (name, seen) in [
            ("text", text),
            ("absent", absent),
            ("listed", listed),
            ("linked", linked),
            ("real", real),
        ] {
            assert!(!seen.holds(), "{name}");
        }
        assert!(never.holds());
    }

    #[test]
    fn same_size_same_name_other_file_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write(&path, "one");
        let look = Look::default();
        look.meta(&path);
        let seen = look.take();
        write(&dir.path().join("y"), "two");
        fs::rename(dir.path().join("y"), &path).unwrap();
        assert!(!seen.holds());
    }

    #[test]
    fn what_changed_just_now_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("x"), "");
        let look = Look::default();
        look.meta(&dir.path().join("x"));
        assert!(!look.take().can_be_kept());
        look.meta(Path::new("/bin/sh"));
        assert!(look.take().can_be_kept());
    }
}

//! Closures that were found before, kept on disk: used again while everything that was looked at to find
//! them is still the same.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::closure::Needs;
use crate::look::Seen;
use crate::store::private;

/// Changes whenever the same machine may give another closure: part of every key.
const EDITION: u32 = 1;
/// Bound on one kept closure.
const MAX_BYTES: u64 = 8 << 20;
/// Bound on kept closures; past it all go, and are found again as they are wanted.
const MAX_KEPT: usize = 1024;

/// One kept closure.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The whole question: file names hold only its digest.
    question: String,
    seen: Seen,
    found: Found,
}

/// The program to start, what becomes of its arguments, and what it needs.
type Found = (PathBuf, Changed, Needs);

/// The arguments that finding a closure changed, by their places: a script's name becomes a path. The others
/// are nobody's to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed(Vec<(usize, String)>);

impl Changed {
    pub(crate) fn between(before: &[String], after: &[String]) -> Self {
        let pairs = before.iter().zip(after).enumerate();
        Self(
            pairs
                .filter(|(_, (before, after))| before != after)
                .map(|(at, (_, after))| (at, after.clone()))
                .collect(),
        )
    }

    pub(crate) fn apply(self, mut args: Vec<String>) -> Vec<String> {
        for (at, word) in self.0 {
            if let Some(arg) = args.get_mut(at) {
                *arg = word;
            }
        }
        args
    }
}

/// The folder of kept closures. Whoever can write there can widen a closure, so it is used only while it
/// is our own and closed to others, and so is each file in it.
#[derive(Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
    /// May it be made and written to?
    writes: bool,
}

impl Kept {
    pub(crate) fn new(cache: &Path, writes: bool) -> Self {
        Self {
            folder: cache.join("closures"),
            writes,
        }
    }

    /// The closure for `question`, where it was kept and still holds. Whatever is wrong with what was kept,
    /// the answer is none, and the closure is found anew.
    pub(crate) fn recall(&self, question: &str) -> Option<Found> {
        if !self.is_ours() {
            return None;
        }
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).ok()?)
            .open(self.file(question))
            .ok()?;
        let bytes = read_own(file)?;
        let entry: Entry = serde_json::from_slice(&bytes).ok()?;
        (entry.question == question && entry.seen.holds()).then_some(entry.found)
    }

    /// Keeps a closure. Failing to is no failure: it is found again the next time.
    pub(crate) fn keep(&self, question: String, seen: Seen, found: Found) {
        if !self.writes || !seen.can_be_kept() {
            return;
        }
        let entry = Entry {
            question,
            seen,
            found,
        };
        let _ = self.write(&entry);
    }

    fn write(&self, entry: &Entry) -> std::io::Result<()> {
        let made = self
            .folder
            .parent()
            .is_some_and(|cache| private(cache).is_ok());
        if !made || private(&self.folder).is_err() {
            return Ok(());
        }
        if fs::read_dir(&self.folder)?.count() > MAX_KEPT {
            fs::remove_dir_all(&self.folder)?;
            return Ok(());
        }
        // Whole or not at all: others may read it meanwhile.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        serde_json::to_writer(&mut file, entry)?;
        file.flush()?;
        file.persist(self.file(&entry.question))?;
        Ok(())
    }

    fn is_ours(&self) -> bool {
        let ours = |folder: &Path| {
            folder
                .symlink_metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == user() && meta.mode() & 0o077 == 0)
        };
        ours(&self.folder) && self.folder.parent().is_some_and(ours)
    }

    fn file(&self, question: &str) -> PathBuf {
        let digest = Sha256::digest(question.as_bytes());
        self.folder.join(hex::encode(digest))
    }
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn read_own(file: File) -> Option<Vec<u8>> {
    let meta = file.metadata().ok()?;
    let ours = meta.is_file() && meta.uid() == user() && meta.mode() & 0o077 == 0;
    if !ours || meta.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A question as text: the edition of our knowledge, then its parts, which cannot run into one another.
pub(crate) fn question(parts: &impl Serialize) -> Option<String> {
    serde_json::to_string(&(EDITION, env!("CARGO_PKG_VERSION"), parts)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    struct World {
        dir: tempfile::TempDir,
        kept: Kept,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(&dir.path().join("cache"), true);
        World { dir, kept }
    }

    fn found(of: &str) -> Found {
        let mut needs = Needs::default();
        needs.read(of, "for a test");
        (PathBuf::from(of), Changed::default(), needs)
    }

    /// Something seen that is old enough to be kept.
    fn old() -> Seen {
        let look = crate::look::Look::default();
        look.meta(Path::new("/bin/sh"));
        look.take()
    }

    #[test]
    fn what_is_kept_is_found_again_and_nothing_else() {
        let world = world();
        world.kept.keep("a".to_owned(), old(), found("/a"));
        assert_eq!(world.kept.recall("a"), Some(found("/a")));
        assert_eq!(world.kept.recall("b"), None);
        let reader = Kept::new(&world.dir.path().join("cache"), false);
        reader.keep("b".to_owned(), old(), found("/b"));
        assert_eq!(reader.recall("b"), None, "who only reads keeps nothing");
        assert_eq!(reader.recall("a"), Some(found("/a")));
    }

    #[test]
    fn bytes_that_others_could_have_written_are_not_believed() {
        let world = world();
        let mode = std::fs::Permissions::from_mode;
        world.kept.keep("a".to_owned(), old(), found("/a"));
        let file = world.kept.file("a");
        fs::set_permissions(&file, mode(0o644)).unwrap();
        assert_eq!(world.kept.recall("a"), None, "others may read it");
        fs::set_permissions(&file, mode(0o600)).unwrap();
        for folder in [&world.kept.folder, &world.dir.path().join("cache")] {
            fs::set_permissions(folder, mode(0o770)).unwrap();
            assert_eq!(world.kept.recall("a"), None, "{}", folder.display());
            fs::set_permissions(folder, mode(0o700)).unwrap();
        }
        assert!(world.kept.recall("a").is_some());
        let elsewhere = world.dir.path().join("elsewhere");
        fs::rename(&file, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert_eq!(world.kept.recall("a"), None, "a link");
        fs::remove_file(&file).unwrap();
        fs::rename(&elsewhere, &file).unwrap();
        if user() == 0 {
            std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
            assert_eq!(world.kept.recall("a"), None, "another's");
        }
    }

    #[test]
    fn an_answer_to_another_question_is_not_believed() {
        let world = world();
        world.kept.keep("a".to_owned(), old(), found("/a"));
        fs::rename(world.kept.file("a"), world.kept.file("b")).unwrap();
        assert_eq!(world.kept.recall("b"), None);
        for bytes in [&b""[..], b"{}", b"\xff", b"[1,2"] {
            fs::write(world.kept.file("b"), bytes).unwrap();
            assert_eq!(world.kept.recall("b"), None);
        }
    }

    #[test]
    fn l35_arguments_are_not_kept() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let before = words(&["server.js", "--token", "canary"]);
        let after = words(&["/p/server.js", "--token", "canary"]);
        let changed = Changed::between(&before, &after);
        assert!(!serde_json::to_string(&changed).unwrap().contains("canary"));
        assert_eq!(changed.apply(before), after);
    }
}

//! The place in a log up to which a target has taken everything, kept in a file.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::ExportError;

/// Larger place files are refused.
const MAX_BYTES: u64 = 1 << 20;
/// The most gaps that are remembered; older ones are no longer tried again.
const MAX_GAPS: usize = 1024;

/// A place in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// The log's origin.
    pub(crate) log: String,
    /// Where it is sent, for people who read this file.
    pub(crate) target: String,
    /// Index of the next entry.
    pub(crate) next: u64,
    /// Leaf hash of the entry before it, by which a log that was changed is known; absent where none was sent.
    pub(crate) leaf: Option<String>,
    /// Entries that could not be had, each range from its first to the one after its last.
    pub(crate) gaps: Vec<(u64, u64)>,
}

/// A place that is kept in a file, and locked against other exporters.
#[derive(Debug)]
pub(crate) struct Cursor {
    path: PathBuf,
    _lock: File,
}

impl Cursor {
    /// Opens the cursor of this name, and reads its place if there is one.
    ///
    /// # Errors
    /// [`ExportError::Busy`] while another exporter holds it; else when the files cannot be used.
    pub(crate) fn open(dir: &Path, name: &str) -> Result<(Self, Option<Place>), ExportError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(ExportError::io("make", dir))?;
        let lock_path = dir.join(format!("{name}.lock"));
        let lock = private(OpenOptions::new().write(true).create(true), &lock_path)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(ExportError::Busy { path: lock_path });
            }
            Err(error) => return Err(ExportError::io("lock", &lock_path)(error.into())),
        }
        let path = dir.join(format!("{name}.json"));
        let place = read(&path)?;
        Ok((Self { path, _lock: lock }, place))
    }

    /// Keeps a place: it is on the disk, whole, when this returns.
    pub(crate) fn keep(&self, place: &Place) -> Result<(), ExportError> {
        let aside = self.path.with_extension("tmp");
        let text = serde_json::to_vec(place).map_err(|error| self.bad(&error.to_string()))?;
        let mut file = private(
            OpenOptions::new().write(true).create(true).truncate(true),
            &aside,
        )?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(ExportError::io("write", &aside))?;
        fs::rename(&aside, &self.path).map_err(ExportError::io("replace", &self.path))?;
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(ExportError::io("flush", dir))
    }

    fn bad(&self, why: &str) -> ExportError {
        ExportError::Place {
            path: self.path.clone(),
            why: why.to_owned(),
        }
    }
}

impl Place {
    /// Remembers entries that could not be had.
    pub(crate) fn missed(&mut self, from: u64, to: u64) {
        match self.gaps.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => self.gaps.push((from, to)),
        }
        let surplus = self.gaps.len().saturating_sub(MAX_GAPS);
        self.gaps.drain(..surplus);
    }

    /// Forgets the part of a gap before `to` that was filled.
    pub(crate) fn filled(&mut self, from: u64, to: u64) {
        for gap in &mut self.gaps {
            if gap.0 == from {
                gap.0 = to.min(gap.1);
            }
        }
        self.gaps.retain(|(from, to)| from < to);
    }
}

fn read(path: &Path) -> Result<Option<Place>, ExportError> {
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ExportError::io("read", path)(error)),
    };
    let bad = |why: String| ExportError::Place {
        path: path.to_owned(),
        why,
    };
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return Err(bad("it is no small file".to_owned()));
    }
    let bytes = fs::read(path).map_err(ExportError::io("read", path))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| bad(error.to_string()))
}

fn private(options: &mut OpenOptions, path: &Path) -> Result<File, ExportError> {
    let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    options
        .mode(0o600)
        .custom_flags(nofollow)
        .open(path)
        .map_err(ExportError::io("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_and_its_holder_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (cursor, place) = Cursor::open(dir.path(), "a").unwrap();
        assert_eq!(place, None);
        let place = Place {
            log: "l".into(),
            target: "t".into(),
            next: 7,
            leaf: Some("x".into()),
            gaps: vec![(1, 3)],
        };
        cursor.keep(&place).unwrap();
        assert!(matches!(
            Cursor::open(dir.path(), "a"),
            Err(ExportError::Busy { .. })
        ));
        assert!(Cursor::open(dir.path(), "b").is_ok());
        drop(cursor);
        assert_eq!(Cursor::open(dir.path(), "a").unwrap().1, Some(place));
    }

    #[test]
    fn a_damaged_place_is_an_error_and_never_a_beginning() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.json"), "{\"next\": 7").unwrap();
        let error = Cursor::open(dir.path(), "a").unwrap_err().to_string();
        assert!(error.contains("remove it"), "{error}");
    }

    #[test]
    fn gaps_grow_shrink_and_go() {
        let mut place = Place::default();
        place.missed(0, 256);
        place.missed(256, 512);
        place.missed(600, 601);
        assert_eq!(place.gaps, [(0, 512), (600, 601)]);
        place.filled(0, 256);
        place.filled(600, 601);
        assert_eq!(place.gaps, [(256, 512)]);
    }
}

//! Publishing to a file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bailiwick_tlog::{Checkpoint, SignedNote};

use super::{PLACEHOLDER, PublishError, may_follow};
use crate::disk::{RealDisk, replace};

/// The path with the log's id in the place of the placeholder.
pub(super) fn path_for(path: &Path, id: &str) -> PathBuf {
    match path.to_str() {
        Some(text) => PathBuf::from(text.replace(PLACEHOLDER, id)),
        None => path.to_owned(),
    }
}

pub(super) fn publish(
    path: &Path,
    note: &SignedNote,
    checkpoint: &Checkpoint,
) -> Result<(), PublishError> {
    let shown = format!("`{}`", path.display());
    match fs::read_to_string(path) {
        Ok(published) if !may_follow(&published, &shown, note, checkpoint)? => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => {
            let doing = format!("cannot read {shown}");
            return Err(PublishError::Io { doing, source });
        }
    }
    replace(&RealDisk, path, note.to_string().as_bytes()).map_err(|source| PublishError::Io {
        doing: format!("cannot write {shown}"),
        source,
    })
}

//! Cosignatures of witnesses, kept with the log.

use std::path::Path;
use std::sync::{Arc, PoisonError, Weak};

use bailiwick_tlog::SignedNote;

use crate::commit::Inner;
use crate::disk::{Disk, SystemDisk};
use crate::error::AuditError;
use crate::folders::Folders;
use crate::layout::{CHECKPOINT_FILE, COSIGNED_FILE, LOCK_FILE, read_text_on};
use crate::log::Log;
use crate::publish::publish_checkpoint;

/// A hand on an open log for those who gather cosignatures. It does not keep the log open.
#[derive(Clone)]
pub struct Cosigning(Weak<Inner>);

impl Log {
    /// A hand on this log that cosignatures can be put into its published checkpoint with.
    #[must_use]
    pub fn cosigning(&self) -> Cosigning {
        Cosigning(Arc::downgrade(self.shared()))
    }
}

impl Cosigning {
    /// Keeps a cosigned checkpoint of the log in `dir`, and puts its signatures into the published one if that is still
    /// the same; says whether it was. The caller has verified it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, dir: &Path, note: &SignedNote) -> Result<bool, AuditError> {
        match self.0.upgrade() {
            Some(inner) => {
                let _alone = inner
                    .checkpoint_file
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                keep(&*inner.disk, dir, note)
            }
            None => keep_cosigned(dir, note),
        }
    }
}

/// As [`Cosigning::keep`], for a log that is not open here. Where another gate has it open, the published checkpoint is
/// left to that.
///
/// # Errors
/// When it cannot be written.
pub fn keep_cosigned(dir: &Path, note: &SignedNote) -> Result<bool, AuditError> {
    let path = dir.join(LOCK_FILE);
    let lock = SystemDisk
        .lock(&path)
        .map_err(AuditError::io("lock", &path))?;
    if lock.is_some() {
        return keep(&SystemDisk, dir, note);
    }
    beside(&SystemDisk, dir, note)?;
    Ok(false)
}

fn beside(disk: &dyn Disk, dir: &Path, note: &SignedNote) -> Result<(), AuditError> {
    let mut folders = Folders::default();
    let path = dir.join(COSIGNED_FILE);
    folders.replace(disk, dir, &path, note.to_string().as_bytes())?;
    folders.sync(disk)
}

/// With the published checkpoint in nobody else's hands.
fn keep(disk: &dyn Disk, dir: &Path, note: &SignedNote) -> Result<bool, AuditError> {
    beside(disk, dir, note)?;
    let published = read_text_on(disk, &dir.join(CHECKPOINT_FILE))?;
    let published = published.and_then(|text| text.parse::<SignedNote>().ok());
    let same = published
        .as_ref()
        .is_some_and(|published| published.unverified_text() == note.unverified_text());
    if same {
        publish_checkpoint(disk, dir, &note.to_string(), &mut Folders::default())?;
    }
    Ok(same)
}

//! How a file gets into a log's folder whole and for good.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, OpenAs, write_all_at};
use crate::error::AuditError;
use crate::layout::TEMPORARY;

/// Folders below a log's own with names in them that are still to be flushed.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    changed: BTreeSet<PathBuf>,
    /// Folders whose own names were flushed by this process: one that is merely there may have been made just before a
    /// crash, and be gone after the next.
    known: BTreeSet<PathBuf>,
}

impl Folders {
    /// Writes `bytes` to `path` below `dir` so that after a crash there is either the old file or the whole new one.
    /// Power loss may still undo it until [`Folders::sync`].
    pub(crate) fn replace(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(), AuditError> {
        if let Some(parent) = path.parent() {
            self.make(disk, dir, parent)?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(TEMPORARY);
        let temporary = PathBuf::from(name);
        let file = disk
            .open(&temporary, OpenAs::Empty)
            .map_err(AuditError::io("create", &temporary))?;
        write_all_at(&*file, bytes, 0).map_err(AuditError::io("write", &temporary))?;
        file.sync_data()
            .map_err(AuditError::io("flush", &temporary))?;
        disk.rename(&temporary, path)
            .map_err(AuditError::io("replace", path))
    }

    /// Makes a folder below `dir`, and notes that something in it will change.
    pub(crate) fn make(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        folder: &Path,
    ) -> Result<(), AuditError> {
        self.changed.insert(folder.to_owned());
        if self.known.contains(folder) {
            return Ok(());
        }
        if folder != dir
            && let Some(parent) = folder.parent().filter(|parent| parent.starts_with(dir))
        {
            self.make(disk, dir, parent)?;
            make_folder(disk, folder)?;
        }
        self.known.insert(folder.to_owned());
        Ok(())
    }

    /// Forgets a folder that was removed.
    pub(crate) fn forget(&mut self, folder: &Path) {
        self.known.remove(folder);
    }

    /// Flushes every folder that changed, those above first.
    pub(crate) fn sync(&mut self, disk: &dyn Disk) -> Result<(), AuditError> {
        for folder in std::mem::take(&mut self.changed) {
            sync_folder(disk, &folder)?;
        }
        Ok(())
    }
}

/// Makes a folder unless it is there.
pub(crate) fn make_folder(disk: &dyn Disk, folder: &Path) -> Result<(), AuditError> {
    match disk.create_folder(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(AuditError::io("create", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Makes a folder and those above it that are missing, for good. Those that are there may have been made just before a
/// crash, so their names are flushed too.
pub(crate) fn make_folders(disk: &dyn Disk, folder: &Path) -> Result<(), AuditError> {
    let parent = match folder.parent() {
        Some(parent) if parent == Path::new("") => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    if disk.look(folder).is_err() {
        make_folders(disk, parent)?;
        make_folder(disk, folder)?;
        return sync_folder(disk, parent);
    }
    if parent != Path::new(".") {
        make_folders(disk, parent)?;
    }
    match disk.sync_folder(parent) {
        Err(error) if !is_not_ours(&error) => Err(AuditError::io("flush", parent)(error)),
        _ => Ok(()),
    }
}

/// Whether a folder far above lies where one cannot flush it, and whoever made it has to see to it.
fn is_not_ours(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::Unsupported
    )
}

/// Flushes a folder, so that the names in it survive power loss.
pub(crate) fn sync_folder(disk: &dyn Disk, path: &Path) -> Result<(), AuditError> {
    disk.sync_folder(path)
        .map_err(AuditError::io("flush", path))
}

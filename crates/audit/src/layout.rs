//! Where things lie in a log's folder, and how a file gets there whole and for good.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use bailiwick_tlog::{TileKind, TilePath};

use crate::error::AuditError;

/// The published checkpoint.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
/// Folder of journal segments.
pub(crate) const JOURNAL_DIR: &str = "journal";
/// Folder of tiles and bundles.
pub(crate) const TILE_DIR: &str = "tile";
/// Held locked by the one writer.
pub(crate) const LOCK_FILE: &str = "lock";
/// A checkpoint or key file is small; more is not read.
pub(crate) const MAX_SMALL_FILE: u64 = 1 << 18;

/// The journal segment that holds the entries of this bundle.
pub(crate) fn segment_path(dir: &Path, bundle: u64) -> PathBuf {
    dir.join(JOURNAL_DIR).join(format!("{bundle:012}"))
}

/// The indices of all journal segments, ascending. Files with other names are ignored.
pub(crate) fn segments(dir: &Path) -> Result<Vec<u64>, AuditError> {
    let journal = dir.join(JOURNAL_DIR);
    let listing = match fs::read_dir(&journal) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AuditError::io("list", &journal)(error)),
    };
    let mut found = Vec::new();
    for file in listing {
        let file = file.map_err(AuditError::io("list", &journal))?;
        let name = file.file_name();
        let Some(index) = name.to_str().and_then(|name| name.parse::<u64>().ok()) else {
            continue;
        };
        if segment_path(dir, index) == file.path() {
            found.push(index);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A bundle or hash tile of this many entries or hashes.
pub(crate) fn tile_path(kind: TileKind, index: u64, width: usize) -> Result<TilePath, AuditError> {
    u16::try_from(width)
        .ok()
        .and_then(|width| TilePath::new(kind, index, width).ok())
        .ok_or_else(|| AuditError::Encode(format!("no tile is {width} wide")))
}

/// Every file below `tile/` whose path is a tile's.
pub(crate) fn tiles_on_disk(dir: &Path) -> Result<Vec<TilePath>, AuditError> {
    let files = files_below(&dir.join(TILE_DIR))?;
    let names = files
        .iter()
        .filter_map(|path| path.strip_prefix(dir).ok()?.to_str());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// Removes what a crash left of files that were being written ([`replace`]).
pub(crate) fn remove_unfinished(dir: &Path) -> Result<(), AuditError> {
    let unfinished = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "tmp");
    for path in files_below(&dir.join(TILE_DIR))?
        .into_iter()
        .filter(unfinished)
    {
        fs::remove_file(&path).map_err(AuditError::io("remove", &path))?;
    }
    Ok(())
}

/// Every file in a folder and in those below it; none when there is no such folder.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, AuditError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(AuditError::io("list", &folder)(error)),
        };
        for item in listing {
            let item = item.map_err(AuditError::io("list", &folder))?;
            let is_folder = item.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { &mut folders } else { &mut found }.push(item.path());
        }
    }
    Ok(found)
}

/// Reads a file, or `None` when there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, AuditError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AuditError::io("read", path)(error)),
    }
}

/// Reads a small text file, or `None` when there is none.
pub(crate) fn read_text_if_there(path: &Path) -> Result<Option<String>, AuditError> {
    let length = match fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AuditError::io("read", path)(error)),
    };
    let too_long = || {
        std::io::Error::new(
            ErrorKind::FileTooLarge,
            "far too long to be what it should be",
        )
    };
    if length > MAX_SMALL_FILE {
        return Err(AuditError::io("read", path)(too_long()));
    }
    fs::read_to_string(path)
        .map(Some)
        .map_err(AuditError::io("read", path))
}

/// Writes `bytes` to `path` so that after a crash there is either the old file or the whole new one. The folder is
/// still to be synced: [`Folders::sync`].
pub(crate) fn replace(path: &Path, bytes: &[u8], folders: &mut Folders) -> Result<(), AuditError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(AuditError::io("create", parent))?;
        folders.0.insert(parent.to_owned());
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let create =
        private(OpenOptions::new().write(true).create(true).truncate(true)).open(&temporary);
    let mut file = create.map_err(AuditError::io("create", &temporary))?;
    file.write_all(bytes)
        .map_err(AuditError::io("write", &temporary))?;
    file.sync_data()
        .map_err(AuditError::io("flush", &temporary))?;
    fs::rename(&temporary, path).map_err(AuditError::io("replace", path))
}

/// New files are their owner's alone: entries name files, hosts and people.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Opens a journal segment for appending, new or old.
pub(crate) fn open_segment(path: &Path) -> Result<File, AuditError> {
    private(OpenOptions::new().create(true).append(true))
        .open(path)
        .map_err(AuditError::io("open", path))
}

/// Flushes a folder, so that the names in it survive power loss.
pub(crate) fn sync_folder(path: &Path) -> Result<(), AuditError> {
    let folder = File::open(path).map_err(AuditError::io("open", path))?;
    folder.sync_all().map_err(AuditError::io("flush", path))
}

/// Folders with new names in them, to be flushed together with all folders above them up to the log's own.
#[derive(Debug, Default)]
pub(crate) struct Folders(BTreeSet<PathBuf>);

impl Folders {
    pub(crate) fn sync(&mut self, dir: &Path) -> Result<(), AuditError> {
        let mut all = BTreeSet::from([dir]);
        for folder in &self.0 {
            all.extend(
                folder
                    .ancestors()
                    .take_while(|above| above.starts_with(dir)),
            );
        }
        all.into_iter().try_for_each(sync_folder)?;
        self.0.clear();
        Ok(())
    }
}

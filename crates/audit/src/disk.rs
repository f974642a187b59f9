//! What a log asks of the disk beneath it: a narrow trait, so that tests can put a disk in its place that loses, tears
//! and reorders what was not flushed.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The disk that a log is written to. Every call is one request to the operating system; none retries.
///
/// What holds after power loss is what POSIX promises and no more: bytes of a file after [`DiskFile::sync_data`], names
/// in a folder after [`Disk::sync_folder`] of that very folder.
pub trait Disk: Send + Sync {
    /// The whole of a file.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when there is no such file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// What lies at a path; links are not followed.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when there is nothing.
    fn look(&self, path: &Path) -> io::Result<Found>;

    /// The names in a folder, in no order, each with whether it is a folder.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when there is no such folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<(OsString, bool)>>;

    /// Opens a file for writing. A new one is its owner's alone.
    ///
    /// # Errors
    /// The operating system's.
    fn open(&self, path: &Path, how: OpenAs) -> io::Result<Box<dyn DiskFile>>;

    /// Makes one folder, its owner's alone, in a folder that is there.
    ///
    /// # Errors
    /// The operating system's.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Has the names in a folder on the disk when it returns.
    ///
    /// # Errors
    /// The operating system's.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Puts a file in the place of another, in the same folder, at once.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which must be free.
    ///
    /// # Errors
    /// The operating system's; `AlreadyExists` when the name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The operating system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// The operating system's.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Locks a file, made if it is missing, against every other process and every other lock of this one, until what is
    /// returned is dropped; `None` when another has it.
    ///
    /// # Errors
    /// The operating system's.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>>;
}

/// A file that is open for writing.
pub trait DiskFile: Send + Sync {
    /// Writes at an offset and says how many bytes went in: fewer than given when the disk takes no more.
    ///
    /// # Errors
    /// The operating system's; nothing was written then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Cuts the file after so many bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Has the file's bytes, and what is needed to read them, on the disk when it returns (fdatasync).
    ///
    /// # Errors
    /// The operating system's. What was not flushed before may be lost then, even if a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;
}

/// A lock that is held until this is dropped.
pub trait Held: Send + Sync {}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Whether it is a plain file.
    pub is_file: bool,
    /// Its length in bytes.
    pub length: u64,
    /// Its permission bits, `0o600`; on systems without them always that.
    pub mode: u32,
}

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenAs {
    /// It must not be there yet.
    New,
    /// What is there is emptied.
    Empty,
    /// What is there is kept.
    Keep,
}

/// The machine's own disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn look(&self, path: &Path) -> io::Result<Found> {
        let meta = fs::symlink_metadata(path)?;
        Ok(Found {
            is_file: meta.file_type().is_file(),
            length: meta.len(),
            mode: mode(&meta),
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(OsString, bool)>> {
        let name = |item: io::Result<fs::DirEntry>| {
            let item = item?;
            let is_folder = item.file_type().is_ok_and(|kind| kind.is_dir());
            Ok((item.file_name(), is_folder))
        };
        fs::read_dir(folder)?.map(name).collect()
    }

    fn open(&self, path: &Path, how: OpenAs) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.write(true);
        match how {
            OpenAs::New => options.create_new(true),
            OpenAs::Empty => options.create(true).truncate(true),
            OpenAs::Keep => options.create(true),
        };
        // Entries name files, hosts and people.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(options.open(path)?))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(LockedFile(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

struct LockedFile(File);

impl Held for LockedFile {}

impl Drop for LockedFile {
    /// Closing alone would leave the lock to a process that is being started just now, until it executes its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl DiskFile for File {
    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        use io::{Seek as _, Write as _};
        let mut file = self;
        file.seek(io::SeekFrom::Start(offset))?;
        file.write(bytes)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }
}

#[cfg(unix)]
fn mode(meta: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn mode(_meta: &fs::Metadata) -> u32 {
    0o600
}

/// Writes all of `bytes` at an offset; an interrupted call is made again.
pub(crate) fn write_all_at(
    file: &dyn DiskFile,
    mut bytes: &[u8],
    mut offset: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset = offset.saturating_add(written as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

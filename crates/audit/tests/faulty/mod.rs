//! A disk that stops working, for good, after so many operations that change something.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bailiwick_audit::{Disk, DiskFile, Found, Held, OpenAs, SystemDisk};

pub(crate) struct Faulty {
    left: Arc<AtomicI64>,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            left: Arc::new(AtomicI64::new(i64::MAX)),
        }
    }
}

impl Faulty {
    /// Lets it do so many operations more.
    pub(crate) fn limit(&self, operations: i64) {
        self.left.store(operations, Ordering::SeqCst);
    }

    /// Whether it refused one.
    pub(crate) fn refused(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    fn spend(&self) -> io::Result<()> {
        spend(&self.left)
    }
}

fn spend(left: &AtomicI64) -> io::Result<()> {
    if left.fetch_sub(1, Ordering::SeqCst) > 0 {
        return Ok(());
    }
    Err(io::Error::other("the disk is gone"))
}

struct File {
    file: Box<dyn DiskFile>,
    left: Arc<AtomicI64>,
}

impl DiskFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        spend(&self.left)?;
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        spend(&self.left)?;
        self.file.sync_data()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        spend(&self.left)?;
        self.file.set_len(length)
    }
}

impl Disk for Faulty {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        SystemDisk.read(path)
    }

    fn look(&self, path: &Path) -> io::Result<Found> {
        SystemDisk.look(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(OsString, bool)>> {
        SystemDisk.list(folder)
    }

    fn open(&self, path: &Path, how: OpenAs) -> io::Result<Box<dyn DiskFile>> {
        self.spend()?;
        Ok(Box::new(File {
            file: SystemDisk.open(path, how)?,
            left: Arc::clone(&self.left),
        }))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        SystemDisk.create_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        SystemDisk.sync_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.spend()?;
        SystemDisk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.spend()?;
        SystemDisk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        SystemDisk.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        SystemDisk.remove_folder(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        SystemDisk.lock(path)
    }
}

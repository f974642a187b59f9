//! A simulated disk with a page cache that can be lost.
//!
//! It promises what POSIX promises and no more. Bytes that were not flushed may be there after power loss or not, each
//! sector for itself, torn at any byte, beyond a hole of zeros; names may be there or not, whatever order they came in,
//! until the very folder that holds them was flushed; a file whose flush failed keeps what it could not write in its
//! cache, and never on the disk. It counts requests, so that a test can stop the world at each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use bailiwick_audit::{Disk, DiskFile, Found, Held, OpenAs};

const SECTOR: usize = 512;

/// Numbers of chance, always the same for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// What a request meets instead of a disk that works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// The request, counted from 0.
    pub(crate) at: u64,
    pub(crate) error: io::ErrorKind,
    /// Whether all that follow meet it as well.
    pub(crate) stays: bool,
    /// Whether a write takes a part first.
    pub(crate) short: bool,
}

/// How the world ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process is killed: what the operating system has, it keeps.
    Kill,
    /// Power is lost: what was not flushed is kept or lost by chance, with this seed.
    PowerLoss(u64),
}

#[derive(Debug, Clone)]
enum Node {
    File(usize),
    Folder(usize),
}

#[derive(Debug, Clone)]
enum Change {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    cache: Vec<u8>,
    disk: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Names {
    Set(OsString, Node),
    Unset(OsString),
    Rename(OsString, OsString, Node),
}

#[derive(Debug, Clone, Default)]
struct Folder {
    cache: BTreeMap<OsString, Node>,
    disk: BTreeMap<OsString, Node>,
    pending: Vec<Names>,
}

#[derive(Debug, Default)]
struct World {
    inodes: Vec<Inode>,
    folders: Vec<Folder>,
    locked: BTreeSet<PathBuf>,
    requests: u64,
    crash_at: Option<u64>,
    fault: Option<Fault>,
    down: bool,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct Sim(Arc<Mutex<World>>);

fn power_is_gone() -> io::Error {
    io::Error::other("the power is gone")
}

fn apply(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

impl Sim {
    pub(crate) fn new() -> Self {
        let world = World {
            folders: vec![Folder::default()],
            ..World::default()
        };
        Self(Arc::new(Mutex::new(world)))
    }

    /// The same, stopping at the request of this number.
    pub(crate) fn crash_at(self, request: u64) -> Self {
        self.world().crash_at = Some(request);
        self
    }

    pub(crate) fn with_fault(self, fault: Fault) -> Self {
        self.world().fault = Some(fault);
        self
    }

    /// The same disk, working again.
    pub(crate) fn without_fault(&self) -> Self {
        self.world().fault = None;
        self.clone()
    }

    /// The same disk, on which nobody's lock is seen.
    pub(crate) fn without_locks(&self) -> Self {
        self.world().locked.clear();
        self.clone()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.world().requests
    }

    pub(crate) fn is_down(&self) -> bool {
        self.world().down
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.lock().expect("no panic")
    }

    /// The disk as the next process finds it.
    pub(crate) fn after(&self, end: End) -> Self {
        let world = self.world();
        let mut chance = Chance(match end {
            End::Kill => 0,
            End::PowerLoss(seed) => seed,
        });
        // Some power losses keep nothing or all of what was not flushed, most keep something.
        let kept = [0, 50, 90, 100][chance.below(4)];
        let inodes = world.inodes.iter().map(|inode| {
            let bytes = match end {
                End::Kill => inode.cache.clone(),
                End::PowerLoss(_) => inode.survives(kept, &mut chance),
            };
            Inode {
                disk: bytes.clone(),
                cache: bytes,
                pending: Vec::new(),
            }
        });
        let inodes = inodes.collect();
        let folders = world.folders.iter().map(|folder| {
            let names = match end {
                End::Kill => folder.cache.clone(),
                End::PowerLoss(_) => folder.survives(kept, &mut chance),
            };
            Folder {
                disk: names.clone(),
                cache: names,
                pending: Vec::new(),
            }
        });
        let folders = folders.collect();
        Self(Arc::new(Mutex::new(World {
            inodes,
            folders,
            ..World::default()
        })))
    }

    /// Copies a folder to the machine's own disk.
    pub(crate) fn copy_out(&self, from: &Path, to: &Path) {
        std::fs::create_dir_all(to).expect("folder");
        for (name, is_folder) in self.list(from).unwrap_or_default() {
            let (from, to) = (from.join(&name), to.join(&name));
            if is_folder {
                self.copy_out(&from, &to);
            } else {
                std::fs::write(&to, self.read(&from).expect("a file")).expect("writes");
            }
        }
    }

    /// Changes a file behind the log's back, for good.
    pub(crate) fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut world = self.world();
        let Ok(Node::File(file)) = world.find(path) else {
            return false;
        };
        let inode = &mut world.inodes[file];
        edit(&mut inode.cache);
        inode.disk = inode.cache.clone();
        true
    }
}

impl Inode {
    fn survives(&self, kept: u64, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.disk.clone();
        for change in &self.pending {
            match change {
                Change::Length(length) => {
                    if chance.percent(kept) {
                        bytes.resize(*length, 0);
                    }
                }
                Change::Bytes(offset, new) => {
                    let mut at = 0;
                    while at < new.len() {
                        let to_boundary = SECTOR - (offset + at) % SECTOR;
                        let mut end = (at + to_boundary).min(new.len());
                        let whole = end;
                        if chance.percent(5) {
                            end = at + chance.below(end - at);
                        }
                        if chance.percent(kept) {
                            apply(&mut bytes, offset + at, &new[at..end]);
                        }
                        at = whole;
                    }
                }
            }
        }
        bytes
    }
}

impl Folder {
    fn survives(&self, kept: u64, chance: &mut Chance) -> BTreeMap<OsString, Node> {
        let mut names = self.disk.clone();
        for change in &self.pending {
            if chance.percent(kept) {
                change.apply(&mut names);
            }
        }
        names
    }
}

impl Names {
    fn apply(&self, names: &mut BTreeMap<OsString, Node>) {
        match self {
            Self::Set(name, node) => {
                names.insert(name.clone(), node.clone());
            }
            Self::Unset(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), node.clone());
            }
        }
    }
}

impl World {
    /// Counts a request that changes something. The one at which the world ends may still take effect, unheard of.
    fn request(&mut self) -> io::Result<Option<Fault>> {
        if self.down {
            return Err(power_is_gone());
        }
        let this = self.requests;
        self.requests += 1;
        if self.crash_at == Some(this) {
            self.down = true;
        }
        Ok(self
            .fault
            .filter(|fault| fault.at == this || (fault.stays && fault.at < this)))
    }

    fn answer<T>(&self, value: T) -> io::Result<T> {
        if self.down {
            Err(power_is_gone())
        } else {
            Ok(value)
        }
    }

    fn find(&self, path: &Path) -> io::Result<Node> {
        let mut node = Node::Folder(0);
        for part in path.components() {
            let Component::Normal(name) = part else {
                continue;
            };
            let Node::Folder(folder) = node else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            let found = self.folders[folder].cache.get(name);
            node = found.cloned().ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    fn folder(&self, path: &Path) -> io::Result<usize> {
        match self.find(path)? {
            Node::Folder(folder) => Ok(folder),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn split(&self, path: &Path) -> io::Result<(usize, OsString)> {
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.folder(parent)?, name.to_owned()))
    }

    fn rename_in(&mut self, folder: usize, change: Names) {
        change.apply(&mut self.folders[folder].cache);
        self.folders[folder].pending.push(change);
    }
}

struct SimFile {
    sim: Sim,
    inode: usize,
}

struct SimLock {
    sim: Sim,
    path: PathBuf,
}

impl Held for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.sim.world().locked.remove(&self.path);
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut world = self.sim.world();
        let fault = world.request()?;
        let length = match fault {
            Some(fault) if !fault.short || bytes.len() < 2 => return Err(fault.error.into()),
            Some(_) => bytes.len() / 2,
            // A process that is killed may have written a part.
            None if world.down => bytes.len() * 2 / 3,
            None => bytes.len(),
        };
        let offset = usize::try_from(offset).expect("small");
        let inode = &mut world.inodes[self.inode];
        apply(&mut inode.cache, offset, &bytes[..length]);
        let change = Change::Bytes(offset, bytes[..length].to_vec());
        inode.pending.push(change);
        world.answer(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut world = self.sim.world();
        if let Some(fault) = world.request()? {
            return Err(fault.error.into());
        }
        let length = usize::try_from(length).expect("small");
        let inode = &mut world.inodes[self.inode];
        inode.cache.resize(length, 0);
        inode.pending.push(Change::Length(length));
        world.answer(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.sim.world();
        let fault = world.request()?;
        let down = world.down;
        let early = world.requests.is_multiple_of(2);
        let inode = &mut world.inodes[self.inode];
        if let Some(fault) = fault {
            inode.pending.clear();
            return Err(fault.error.into());
        }
        if !down || early {
            inode.disk = inode.cache.clone();
            inode.pending.clear();
        }
        world.answer(())
    }
}

impl Disk for Sim {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let world = self.world();
        match world.find(path)? {
            Node::File(file) => world.answer(world.inodes[file].cache.clone()),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn look(&self, path: &Path) -> io::Result<Found> {
        let world = self.world();
        let (is_file, length) = match world.find(path)? {
            Node::File(file) => (true, world.inodes[file].cache.len() as u64),
            Node::Folder(_) => (false, 0),
        };
        world.answer(Found {
            is_file,
            length,
            mode: 0o600,
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(OsString, bool)>> {
        let world = self.world();
        let names = &world.folders[world.folder(folder)?].cache;
        let names = names
            .iter()
            .map(|(name, node)| (name.clone(), matches!(node, Node::Folder(_))));
        world.answer(names.collect())
    }

    fn open(&self, path: &Path, how: OpenAs) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        let there = world.find(path);
        if let Some(fault) = world.request()? {
            return Err(fault.error.into());
        }
        let inode = match there {
            Ok(Node::Folder(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(Node::File(_)) if how == OpenAs::New => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Ok(Node::File(inode)) => {
                if how == OpenAs::Empty {
                    world.inodes[inode].cache.clear();
                    world.inodes[inode].pending.push(Change::Length(0));
                }
                inode
            }
            Err(_) => {
                let (folder, name) = world.split(path)?;
                world.inodes.push(Inode::default());
                let inode = world.inodes.len() - 1;
                world.rename_in(folder, Names::Set(name, Node::File(inode)));
                inode
            }
        };
        let file: Box<dyn DiskFile> = Box::new(SimFile {
            sim: self.clone(),
            inode,
        });
        world.answer(file)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (folder, name) = world.split(path)?;
        if let Some(fault) = world.request()? {
            return Err(fault.error.into());
        }
        world.folders.push(Folder::default());
        let node = Node::Folder(world.folders.len() - 1);
        world.rename_in(folder, Names::Set(name, node));
        world.answer(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let folder = world.folder(path)?;
        let fault = world.request()?;
        let down = world.down;
        let early = world.requests.is_multiple_of(2);
        let folder = &mut world.folders[folder];
        if let Some(fault) = fault {
            folder.pending.clear();
            return Err(fault.error.into());
        }
        if !down || early {
            folder.disk = folder.cache.clone();
            folder.pending.clear();
        }
        world.answer(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let node = world.find(from)?;
        let (folder, old) = world.split(from)?;
        let (same, new) = world.split(to)?;
        assert_eq!(folder, same, "the log renames within a folder");
        if let Some(fault) = world.request()? {
            return Err(fault.error.into());
        }
        world.rename_in(folder, Names::Rename(old, new, node));
        world.answer(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = world.find(from)?;
        let (folder, name) = world.split(to)?;
        if let Some(fault) = world.request()? {
            return Err(fault.error.into());
        }
        world.rename_in(folder, Names::Set(name, node));
        world.answer(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if let Node::Folder(_) = world.find(path)? {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (folder, name) = world.split(path)?;
        if let Some(fault) = world.request()? {
            return Err(fault.error.into());
        }
        world.rename_in(folder, Names::Unset(name));
        world.answer(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let inside = world.folder(path)?;
        if !world.folders[inside].cache.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (folder, name) = world.split(path)?;
        if let Some(fault) = world.request()? {
            return Err(fault.error.into());
        }
        world.rename_in(folder, Names::Unset(name));
        world.answer(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        if let Err(error) = self.look(path) {
            match error.kind() {
                io::ErrorKind::NotFound => drop(self.open(path, OpenAs::Keep)?),
                _ => return Err(error),
            }
        }
        let mut world = self.world();
        if !world.locked.insert(path.to_owned()) {
            return Ok(None);
        }
        let lock: Box<dyn Held> = Box::new(SimLock {
            sim: self.clone(),
            path: path.to_owned(),
        });
        world.answer(Some(lock))
    }
}

//! Files: preopened descriptors, and a check of the grant at every operation.
//!
//! wasmtime-wasi keeps a path beneath its preopen; what it cannot know is which paths below were granted,
//! and that writing may be granted without reading. So each operation goes through [`Files`]: the parent
//! directory is opened first, the operating system says where that descriptor really is, the grant is asked
//! about that place, and the operation is then made on that descriptor with a single name that is never
//! followed as a link.
//!
//! Listing a directory needs `read_files` for it, and shows the names of all entries, also of those that a
//! hole hides; they cannot be opened. Links lead from one granted tree to another only by relative targets
//! within the same preopen.

mod capped;
mod host;
mod kernel;
mod locate;

pub(crate) use kernel::kernel_tree;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_capability::{AbsPath, Capability, Grant, Kind, PathScope, Scope};
use bailiwick_wall::WallError;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtxView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::aside::Notes;

/// The granted part of the file system, opened once when a plugin is loaded.
#[derive(Clone)]
pub(crate) struct FileWorld {
    grant: Arc<Grant>,
    preopens: Vec<(Dir, String)>,
    /// Largest size that a write may give a file, in bytes.
    file_bytes: u64,
}

impl FileWorld {
    /// Opens each granted directory, and the directory of each granted file.
    /// # Errors
    /// [`WallError::Build`] where one is missing, or is a link to elsewhere.
    pub(crate) fn open(grant: &Arc<Grant>, file_bytes: u64) -> Result<Self, WallError> {
        let mut roots: Vec<AbsPath> = Vec::new();
        for atom in grant
            .of_kind(Kind::ReadFiles)
            .chain(grant.of_kind(Kind::WriteFiles))
        {
            let root = match atom.capability().scope() {
                Scope::Path(PathScope::Tree(path)) => path.clone(),
                Scope::Path(PathScope::File(path)) => path.parent().unwrap_or_else(|| path.clone()),
                _ => AbsPath::exactly("/").map_err(|error| build("/", &error.to_string()))?,
            };
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        let preopens = roots.iter().map(preopen).collect::<Result<_, _>>()?;
        Ok(Self {
            grant: Arc::clone(grant),
            preopens,
            file_bytes,
        })
    }
}

fn build(path: &str, why: &str) -> WallError {
    WallError::Build {
        what: format!("opening the granted directory `{path}`"),
        why: why.to_owned(),
    }
}

fn preopen(root: &AbsPath) -> Result<(Dir, String), WallError> {
    let path = root.as_str();
    let file = File::open(path).map_err(|error| build(path, &error.to_string()))?;
    let is_dir = file.metadata().is_ok_and(|meta| meta.is_dir());
    if !is_dir {
        return Err(build(
            path,
            "it is a file; grant it without the trailing slash",
        ));
    }
    if kernel::is_interface(&file) {
        return Err(build(
            path,
            "it is the kernel's own interface, not data (what is mounted there?)",
        ));
    }
    match real_path(&file) {
        Some(real) if real == *root => {}
        Some(real) => {
            return Err(build(
                path,
                &format!("it is a link to `{real}`; grant that instead"),
            ));
        }
        None => {
            return Err(build(
                path,
                "the system does not tell where it really is (is /proc mounted?)",
            ));
        }
    }
    // What may be changed is decided per operation, so the descriptor itself is not read-only.
    let dir = Dir::new(
        file,
        FsPerms::ReadWrite,
        OpenMode::READ | OpenMode::WRITE,
        false,
    );
    Ok((dir, path.to_owned()))
}

/// Where an open descriptor really is, as the operating system tells; none where it does not.
#[cfg(target_os = "linux")]
fn real_path(file: &File) -> Option<AbsPath> {
    use std::os::fd::AsRawFd;
    let link: PathBuf = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    AbsPath::exactly(link.to_str()?).ok()
}

/// Where an open descriptor really is, as the operating system tells; none where it does not.
#[cfg(target_vendor = "apple")]
fn real_path(file: &File) -> Option<AbsPath> {
    let path = rustix::fs::getpath(file).ok()?;
    AbsPath::exactly(path.to_str().ok()?).ok()
}

/// Whether this system tells where a descriptor really is, without which no file can be granted.
pub(crate) const fn can_hold_files() -> bool {
    cfg!(any(target_os = "linux", target_vendor = "apple"))
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn real_path(_: &File) -> Option<AbsPath> {
    None
}

/// The `wasi:filesystem` implementation of one call.
pub(crate) struct Files<'a> {
    inner: WasiFilesystemCtxView<'a>,
    world: &'a FileWorld,
    notes: &'a Notes,
}

/// Names [`Files`] to the linker.
pub(crate) struct CheckedFiles;

impl HasData for CheckedFiles {
    type Data<'a> = Files<'a>;
}

/// What an operation needs at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    /// Metadata: whoever may read or write something may know that it is there.
    Either,
}

impl Access {
    fn name(self) -> &'static str {
        match self {
            Self::Read | Self::Either => Kind::ReadFiles.as_str(),
            Self::Write => Kind::WriteFiles.as_str(),
        }
    }
}

impl<'a> Files<'a> {
    pub(crate) fn new(
        inner: WasiFilesystemCtxView<'a>,
        world: &'a FileWorld,
        notes: &'a Notes,
    ) -> Self {
        Self {
            inner,
            world,
            notes,
        }
    }

    fn permits(&self, kind: Kind, scope: PathScope) -> bool {
        Capability::new(kind, Scope::Path(scope))
            .is_ok_and(|operation| self.world.grant.permits(&operation))
    }

    fn may(&self, access: Access, path: &AbsPath) -> bool {
        let at = |kind| self.permits(kind, PathScope::File(path.clone()));
        match access {
            Access::Read => at(Kind::ReadFiles),
            Access::Write => at(Kind::WriteFiles),
            Access::Either => at(Kind::ReadFiles) || at(Kind::WriteFiles),
        }
    }

    /// Asks the grant about a path; a refusal is noted.
    fn check(&self, access: Access, path: &AbsPath) -> FsResult<()> {
        if self.may(access, path) {
            return Ok(());
        }
        Err(self.deny(access, path.as_str(), "not granted"))
    }

    fn deny(&self, access: Access, target: &str, reason: &str) -> wasmtime_wasi::p2::FsError {
        self.notes.denied(access.name(), target, reason);
        ErrorCode::NotPermitted.into()
    }

    fn real_path_of(&self, fd: &Resource<Descriptor>) -> FsResult<AbsPath> {
        let file = match self.inner.table.get(fd)? {
            Descriptor::File(file) => &file.file,
            Descriptor::Dir(dir) => &dir.dir,
        };
        match real_path(file) {
            Some(real) if !kernel::is_interface(file) => Ok(real),
            _ => Err(ErrorCode::NotPermitted.into()),
        }
    }

    /// Moving or linking `old` to `new` must not give what lies there a wider grant than it had.
    fn check_move(&self, old: &AbsPath, new: &AbsPath) -> FsResult<()> {
        self.check(Access::Write, old)?;
        self.check(Access::Write, new)?;
        let whole = |kind, path: &AbsPath| self.permits(kind, PathScope::Tree(path.clone()));
        let widens = |kind: Kind| self.touches(kind, new) && !whole(kind, old);
        if widens(Kind::ReadFiles) || widens(Kind::WriteFiles) {
            return Err(self.deny(
                Access::Write,
                new.as_str(),
                &format!("moving `{old}` there would open what is not granted where it is"),
            ));
        }
        Ok(())
    }

    /// Whether any atom of `kind` covers something at or below `path`.
    fn touches(&self, kind: Kind, path: &AbsPath) -> bool {
        self.world
            .grant
            .of_kind(kind)
            .any(|atom| match atom.capability().scope() {
                Scope::Path(PathScope::File(file)) => file.is_within(path),
                Scope::Path(PathScope::Tree(tree)) => tree.is_within(path) || path.is_within(tree),
                _ => true,
            })
    }
}

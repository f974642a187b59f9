//! The new root: an empty file system in which only what was planned is mounted.

use std::ffi::CStr;

use super::{At, Failure, Make, NODEV, NOEXEC, NOSUID, Place, Plan, RDONLY, Reopened, Step, What};
use crate::sys::{self, Errno};

/// The machine has a bound for all of them together.
const MOST_TERMINALS: &CStr = c"64";

pub(super) fn build(plan: &Plan) -> Result<(), Failure> {
    sys::mount_setattr(libc::AT_FDCWD, c"/", true, 0, libc::MS_PRIVATE).at(Step::Propagation)?;
    let root = tmpfs(c"4m", c"0755", NOSUID | NODEV).at(Step::Root)?;
    // Upon the old root: paths of the host still resolve, because a process's root is not crossed.
    let old = sys::open_location(libc::AT_FDCWD, c"/", 0).at(Step::Root)?;
    sys::move_mount(root, old).at(Step::Root)?;
    for (make, index) in plan.makes.iter().zip(0..) {
        let made = make_one(root, make, &plan.scratch_size);
        made.map_err(|failure| Failure { index, ..failure })?;
    }
    sys::mount_setattr(root, c"", false, RDONLY, 0).at(Step::Root)?;
    sys::fchdir(root).at(Step::Pivot)?;
    sys::pivot_here().at(Step::Pivot)?;
    sys::detach_here().at(Step::Pivot)?;
    sys::chdir(c"/").at(Step::Pivot)
}

/// Opens a stream anew, on a mount of its own that is read-only: what is printed goes out as before, and its mode,
/// owner and times stay what they are. The old root still stands.
pub(super) fn reopen(again: &Reopened, stream: i32) -> Result<(), Errno> {
    let location = sys::open_location(libc::AT_FDCWD, &again.path, 0)?;
    if sys::identity(location)? != again.identity {
        return Err(libc::ESTALE);
    }
    let mount = sys::clone_tree(location)?;
    sys::mount_setattr(mount, c"", false, RDONLY | NOSUID | NOEXEC, 0)?;
    // A location is opened by its number among our descriptors.
    sys::dup3(mount, SPARE, libc::O_CLOEXEC)?;
    let flags = again.flags | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = sys::openat(libc::AT_FDCWD, SPARE_PATH, flags, 0)?;
    sys::dup3(file, stream, 0)?;
    for used in [location, mount, SPARE, file] {
        sys::close(used);
    }
    Ok(())
}

/// Above what is handed over.
const SPARE: i32 = 40;
const SPARE_PATH: &CStr = c"/proc/self/fd/40";

fn tmpfs(size: &CStr, mode: &CStr, attributes: u64) -> Result<i32, Errno> {
    let context = sys::fsopen(c"tmpfs")?;
    sys::fsconfig_string(context, c"size", size)?;
    sys::fsconfig_string(context, c"nr_inodes", c"65536")?;
    sys::fsconfig_string(context, c"mode", mode)?;
    sys::fsconfig_create(context)?;
    let mount = sys::fsmount(context, attributes)?;
    sys::close(context);
    Ok(mount)
}

fn make_one(root: i32, make: &Make, scratch_size: &CStr) -> Result<(), Failure> {
    let step = Step::Make;
    match &make.what {
        What::Folder => match sys::mkdirat(root, &make.at, 0o755) {
            Err(libc::EEXIST) => Ok(()),
            other => other.at(step),
        },
        What::Link(target) => sys::symlinkat(target, root, &make.at).at(step),
        What::File { content, mode } => file(root, &make.at, content, *mode).at(step),
        What::Over { content, run } => over(root, make, content, *run).at(step),
        What::Scratch { place } => {
            let mount = tmpfs(scratch_size, c"0700", NOSUID | NODEV | NOEXEC).at(step)?;
            attach(root, make, *place, mount).at(step)
        }
        What::Proc { place } => match proc() {
            Ok(mount) => attach(root, make, *place, mount).at(step),
            // Where the host's own /proc is masked the kernel gives none; most programs do without.
            Err(libc::EPERM) => put_place(root, &make.at, *place).at(step),
            Err(errno) => Err(errno).at(step),
        },
        What::Terminals { place } => {
            let mount = terminals().at(step)?;
            attach(root, make, *place, mount).at(step)
        }
        What::Bind {
            source,
            identity,
            attributes,
            place,
        } => {
            let location = sys::open_location(libc::AT_FDCWD, source, 0).at(step)?;
            if sys::identity(location).at(step)? != *identity {
                return Err(libc::ESTALE).at(Step::Changed);
            }
            let mount = sys::clone_tree(location).at(step)?;
            sys::mount_setattr(mount, c"", true, *attributes, 0).at(step)?;
            sys::close(location);
            attach(root, make, *place, mount).at(step)
        }
    }
}

fn file(root: i32, at: &CStr, content: &[u8], mode: u32) -> Result<(), Errno> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    let file = sys::openat(root, at, flags, mode)?;
    let written = sys::write(file, content);
    sys::close(file);
    written
}

/// Its file keeps no name of its own.
fn over(root: i32, make: &Make, content: &[u8], run: bool) -> Result<(), Errno> {
    let name = c".over";
    file(root, name, content, 0o555)?;
    let location = sys::open_location(root, name, libc::RESOLVE_BENEATH)?;
    let mount = sys::clone_tree(location)?;
    sys::close(location);
    let noexec = if run { 0 } else { NOEXEC };
    sys::mount_setattr(mount, c"", false, RDONLY | NOSUID | NODEV | noexec, 0)?;
    attach(root, make, Place::Exists, mount)?;
    sys::unlinkat(root, name)
}

/// A `/proc` that shows processes of this pid namespace and nothing of the machine.
fn proc() -> Result<i32, Errno> {
    let context = sys::fsopen(c"proc")?;
    sys::fsconfig_string(context, c"subset", c"pid")?;
    sys::fsconfig_create(context)?;
    let mount = sys::fsmount(context, RDONLY | NOSUID | NODEV | NOEXEC)?;
    sys::close(context);
    Ok(mount)
}

/// Terminals of this world alone, none of them the host's.
fn terminals() -> Result<i32, Errno> {
    let context = sys::fsopen(c"devpts")?;
    sys::fsconfig_string(context, c"ptmxmode", c"0666")?;
    sys::fsconfig_string(context, c"mode", c"0620")?;
    sys::fsconfig_string(context, c"max", MOST_TERMINALS)?;
    sys::fsconfig_create(context)?;
    let mount = sys::fsmount(context, NOSUID | NOEXEC)?;
    sys::close(context);
    Ok(mount)
}

fn put_place(root: i32, at: &CStr, place: Place) -> Result<(), Errno> {
    match place {
        Place::Exists => Ok(()),
        Place::Folder => sys::mkdirat(root, at, 0o755),
        Place::File => {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
            sys::openat(root, at, flags, 0o444).map(sys::close)
        }
    }
}

fn attach(root: i32, make: &Make, place: Place, mount: i32) -> Result<(), Errno> {
    put_place(root, &make.at, place)?;
    let location = sys::open_location(root, &make.at, libc::RESOLVE_BENEATH)?;
    sys::move_mount(mount, location)?;
    sys::close(location);
    sys::close(mount);
    Ok(())
}

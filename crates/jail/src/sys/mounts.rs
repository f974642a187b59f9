//! System calls that make, attach and detach mounts (`linux/mount.h`).

use core::ffi::CStr;

use super::{Errno, call, done, fd};

pub(crate) fn fsopen(name: &CStr) -> Result<i32, Errno> {
    fd(number_call!(libc::SYS_fsopen, name.as_ptr(), 1))
}

const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

pub(crate) fn fsconfig_string(context: i32, key: &CStr, value: &CStr) -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_fsconfig,
        context,
        FSCONFIG_SET_STRING,
        key.as_ptr(),
        value.as_ptr(),
        0
    ))
}

pub(crate) fn fsconfig_create(context: i32) -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_fsconfig,
        context,
        FSCONFIG_CMD_CREATE,
        0,
        0,
        0
    ))
}

pub(crate) fn fsmount(context: i32, attributes: u64) -> Result<i32, Errno> {
    fd(number_call!(libc::SYS_fsmount, context, 1, attributes))
}

/// Attaches the mount at `from` to the location at `to`.
pub(crate) fn move_mount(from: i32, to: i32) -> Result<(), Errno> {
    const BOTH_EMPTY: u32 = 0x4 | 0x40;
    done(number_call!(
        libc::SYS_move_mount,
        from,
        c"".as_ptr(),
        to,
        c"".as_ptr(),
        BOTH_EMPTY
    ))
}

/// A detached copy of the mounts at and under the location.
pub(crate) fn clone_tree(location: i32) -> Result<i32, Errno> {
    let flags = 1 | libc::O_CLOEXEC | libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    fd(number_call!(
        libc::SYS_open_tree,
        location,
        c"".as_ptr(),
        flags
    ))
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

pub(crate) fn mount_setattr(
    dir: i32,
    path: &CStr,
    recursive: bool,
    set: u64,
    propagation: u64,
) -> Result<(), Errno> {
    let attributes = MountAttr {
        set,
        clear: 0,
        propagation,
        userns: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    done(number_call!(
        libc::SYS_mount_setattr,
        dir,
        path.as_ptr(),
        flags,
        &raw const attributes,
        size_of::<MountAttr>()
    ))
}

/// Makes the working directory the root and leaves the old root stacked upon it.
pub(crate) fn pivot_here() -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_pivot_root,
        c".".as_ptr(),
        c".".as_ptr()
    ))
}

pub(crate) fn detach_here() -> Result<(), Errno> {
    done(number_call!(
        libc::SYS_umount2,
        c".".as_ptr(),
        libc::MNT_DETACH
    ))
}

//! System calls that change entries, read once from the caller.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use libc as c;

use crate::sys::notify::{Notification, read_memory};

/// A path as the caller gave it: relative to a folder's descriptor, or to its working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) thread: u32,
    /// None: the working directory.
    pub(crate) folder: Option<i32>,
    pub(crate) path: PathBuf,
}

/// A time as `utimensat` takes it: seconds, nanoseconds or one of its two special values.
pub(crate) type Time = (i64, i64);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Open {
        at: Named,
        flags: i32,
        mode: u32,
    },
    MakeFolder {
        at: Named,
        mode: u32,
    },
    MakeNode {
        at: Named,
        mode: u32,
    },
    Remove {
        at: Named,
        folder: bool,
    },
    Rename {
        from: Named,
        to: Named,
        flags: u32,
    },
    Link {
        from: Named,
        to: Named,
        follow: bool,
    },
    Symlink {
        target: PathBuf,
        at: Named,
    },
    Truncate {
        at: Named,
        length: i64,
    },
    Mode {
        at: Named,
        mode: u32,
    },
    Times {
        at: Named,
        times: Option<[Time; 2]>,
        follow: bool,
    },
}

/// The longest path that the kernel takes, with its end.
const PATH_MAX: usize = 4096;
const PAGE: u64 = 4096;

/// A string of the caller's of less than `most` bytes, read page by page so that what follows it need
/// not be there.
pub(in crate::supervise) fn read_string(thread: u32, address: u64, most: usize) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    while text.len() < most {
        let at = address.checked_add(text.len() as u64)?;
        let room = usize::try_from(PAGE - at % PAGE).ok()?;
        let mut page = vec![0u8; room.min(most - text.len())];
        let got = read_memory(thread, at, &mut page).ok()?;
        let part = page.get(..got)?;
        if let Some(end) = part.iter().position(|byte| *byte == 0) {
            text.extend_from_slice(part.get(..end)?);
            return Some(text);
        }
        if got == 0 {
            return None;
        }
        text.extend_from_slice(part);
    }
    None
}

pub(in crate::supervise) fn read_path(thread: u32, address: u64) -> Option<PathBuf> {
    read_string(thread, address, PATH_MAX).map(|text| PathBuf::from(OsString::from_vec(text)))
}

fn read_times(thread: u32, address: u64) -> Option<Option<[Time; 2]>> {
    if address == 0 {
        return Some(None);
    }
    let mut bytes = [0u8; 32];
    if read_memory(thread, address, &mut bytes) != Ok(32) {
        return None;
    }
    let (words, _) = bytes.as_chunks::<8>();
    let word = |at: usize| words.get(at).map(|bytes| i64::from_ne_bytes(*bytes));
    Some(Some([(word(0)?, word(1)?), (word(2)?, word(3)?)]))
}

impl Call {
    /// Reads a call of the caller's; none for calls that change no entry, and for what cannot be read.
    pub(crate) fn read(call: &Notification) -> Result<Option<Self>, ()> {
        let [a, b, d, e, f, _] = call.args;
        let thread = call.pid;
        let path = |address: u64| read_path(thread, address).ok_or(());
        let low = |value: u64| (value & u64::from(u32::MAX)) as u32;
        let int = |value: u64| low(value).cast_signed();
        let at = |folder: u64, address: u64| {
            let folder = Some(int(folder)).filter(|folder| *folder != c::AT_FDCWD);
            Ok(Named {
                thread,
                folder,
                path: path(address)?,
            })
        };
        let here = |address: u64| {
            Ok(Named {
                thread,
                folder: None,
                path: path(address)?,
            })
        };
        let symlinks_too = |flags: u64| low(flags).cast_signed() & c::AT_SYMLINK_NOFOLLOW == 0;
        Ok(Some(match c::c_long::from(call.number) {
            c::SYS_openat => Self::Open {
                at: at(a, b)?,
                flags: int(d),
                mode: low(e),
            },
            c::SYS_mkdirat => Self::MakeFolder {
                at: at(a, b)?,
                mode: low(d),
            },
            c::SYS_mknodat => Self::MakeNode {
                at: at(a, b)?,
                mode: low(d),
            },
            c::SYS_unlinkat => Self::Remove {
                at: at(a, b)?,
                folder: int(d) & c::AT_REMOVEDIR != 0,
            },
            c::SYS_renameat => Self::Rename {
                from: at(a, b)?,
                to: at(d, e)?,
                flags: 0,
            },
            c::SYS_renameat2 => Self::Rename {
                from: at(a, b)?,
                to: at(d, e)?,
                flags: low(f),
            },
            c::SYS_linkat => Self::Link {
                from: at(a, b)?,
                to: at(d, e)?,
                follow: int(f) & c::AT_SYMLINK_FOLLOW != 0,
            },
            c::SYS_symlinkat => Self::Symlink {
                target: path(a)?,
                at: at(b, d)?,
            },
            c::SYS_truncate => Self::Truncate {
                at: here(a)?,
                length: b.cast_signed(),
            },
            c::SYS_fchmodat | c::SYS_fchmodat2 => Self::Mode {
                at: at(a, b)?,
                mode: low(d),
            },
            c::SYS_utimensat => Self::Times {
                at: at(a, b)?,
                times: read_times(thread, d).ok_or(())?,
                follow: symlinks_too(e),
            },
            #[cfg(target_arch = "x86_64")]
            number => return Self::read_legacy(number, &here, &path, [a, b, d]),
            #[cfg(not(target_arch = "x86_64"))]
            _ => return Ok(None),
        }))
    }

    /// The older spellings that x86_64 still has.
    #[cfg(target_arch = "x86_64")]
    fn read_legacy(
        number: c::c_long,
        here: &impl Fn(u64) -> Result<Named, ()>,
        path: &impl Fn(u64) -> Result<PathBuf, ()>,
        [a, b, d]: [u64; 3],
    ) -> Result<Option<Self>, ()> {
        let low = |value: u64| (value & u64::from(u32::MAX)) as u32;
        let created = c::O_WRONLY | c::O_CREAT | c::O_TRUNC;
        Ok(Some(match number {
            c::SYS_open => Self::Open {
                at: here(a)?,
                flags: low(b).cast_signed(),
                mode: low(d),
            },
            c::SYS_creat => Self::Open {
                at: here(a)?,
                flags: created,
                mode: low(b),
            },
            c::SYS_mkdir => Self::MakeFolder {
                at: here(a)?,
                mode: low(b),
            },
            c::SYS_mknod => Self::MakeNode {
                at: here(a)?,
                mode: low(b),
            },
            c::SYS_unlink => Self::Remove {
                at: here(a)?,
                folder: false,
            },
            c::SYS_rmdir => Self::Remove {
                at: here(a)?,
                folder: true,
            },
            c::SYS_rename => Self::Rename {
                from: here(a)?,
                to: here(b)?,
                flags: 0,
            },
            c::SYS_link => Self::Link {
                from: here(a)?,
                to: here(b)?,
                follow: false,
            },
            c::SYS_symlink => Self::Symlink {
                target: path(a)?,
                at: here(b)?,
            },
            c::SYS_chmod => Self::Mode {
                at: here(a)?,
                mode: low(b),
            },
            _ => return Ok(None),
        }))
    }
}

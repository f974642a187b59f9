//! Doing what was asked, by the host, once.

use std::os::fd::OwnedFd;
use std::path::Path;

use bailiwick_wall::Denials;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawMode, RenameFlags, Timespec, Timestamps, chmodat,
    fcntl_setfl, fstat, ftruncate, linkat, mkdirat, mknodat, openat, renameat_with, statat,
    symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::call::{Call, Named, Time};
use super::resolve::Entry;
use super::tree::Standing;
use super::{Answer, Broker};
use crate::sys::notify::Notification;

const KIND: &str = "write_files";
const HOLE: &str = "it lies in a part of the granted tree that is forbidden";
const REDIRECTS: &str =
    "a forbidden part lies below this name, and this would put something else there";

type Outcome = Result<Answer, Errno>;

impl Broker {
    /// Decides and does what is asked.
    pub(super) fn perform(&self, call: &Notification, asked: &Call, denials: &Denials) -> Answer {
        let outcome = match asked {
            Call::Open { at, flags, mode } => self.open(at, *flags, (call.pid, *mode), denials),
            Call::MakeFolder { at, mode } => self.make(at, denials, |entry| {
                mkdirat(&entry.folder, &entry.name, masked(call.pid, *mode)?)
            }),
            Call::MakeNode { at, mode } => self.make_node(at, call.pid, *mode, denials),
            Call::Symlink { target, at } => self.make(at, denials, |entry| {
                settled(entry, denials)?;
                symlinkat(target, &entry.folder, &entry.name)
            }),
            Call::Remove { at, folder } => self.remove(at, *folder, denials),
            Call::Rename { from, to, flags } => self.rename(from, to, *flags, denials),
            Call::Link { from, to, follow } => self.link(from, to, *follow, denials),
            Call::Truncate { at, length } => self.truncate(at, *length, denials),
            Call::Mode { at, mode } => self.change(at, true, denials, |entry| {
                no_link(entry)?;
                let mode = Mode::from_raw_mode(*mode & 0o777);
                chmodat(&entry.folder, &entry.name, mode, AtFlags::empty())
            }),
            Call::Times { at, times, follow } => self.change(at, *follow, denials, |entry| {
                let times = timestamps(*times);
                utimensat(
                    &entry.folder,
                    &entry.name,
                    &times,
                    AtFlags::SYMLINK_NOFOLLOW,
                )
            }),
        };
        match outcome {
            Ok(answer) => answer,
            // In no tree of ours, or not to be understood: the kernel says no in its own words.
            Err(Errno::XDEV) => Answer::Kernel,
            Err(errno) => Answer::Failed(errno),
        }
    }

    /// Finds the entry to be written, unless the kernel can decide by itself.
    fn target(
        &self,
        at: &Named,
        follow: bool,
        denials: &Denials,
    ) -> Result<Option<Entry<'_>>, Errno> {
        let entry = self.entry(at, follow)?;
        if entry.is_writable {
            return Ok(None);
        }
        allow(&entry, denials)?;
        Ok(Some(entry))
    }

    /// Changes an entry that stays what it is.
    fn change(
        &self,
        at: &Named,
        follow: bool,
        denials: &Denials,
        act: impl FnOnce(&Entry<'_>) -> Result<(), Errno>,
    ) -> Outcome {
        let Some(entry) = self.target(at, follow, denials)? else {
            return Ok(Answer::Kernel);
        };
        act(&entry).map(|()| Answer::Done)
    }

    /// Makes a folder or a link.
    fn make(
        &self,
        at: &Named,
        denials: &Denials,
        act: impl FnOnce(&Entry<'_>) -> Result<(), Errno>,
    ) -> Outcome {
        self.change(at, false, denials, |entry| {
            if statat(&entry.folder, &entry.name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                return Err(Errno::EXIST);
            }
            act(entry)
        })
    }

    fn make_node(&self, at: &Named, thread: u32, mode: u32, denials: &Denials) -> Outcome {
        let kind = FileType::from_raw_mode(mode as RawMode);
        // No type at all means a plain file (mknod(2)).
        let plain = mode & libc::S_IFMT == 0;
        if !plain && !matches!(kind, FileType::RegularFile | FileType::Fifo) {
            return Ok(Answer::Kernel);
        }
        let kind = if plain { FileType::RegularFile } else { kind };
        self.make(at, denials, |entry| {
            settled(entry, denials)?;
            mknodat(&entry.folder, &entry.name, kind, masked(thread, mode)?, 0)
        })
    }

    fn remove(&self, at: &Named, folder: bool, denials: &Denials) -> Outcome {
        self.change(at, false, denials, |entry| {
            if folder {
                // The kernel removes empty folders only, so no hole goes with it.
                return unlinkat(&entry.folder, &entry.name, AtFlags::REMOVEDIR);
            }
            settled(entry, denials)?;
            unlinkat(&entry.folder, &entry.name, AtFlags::empty())
        })
    }

    fn rename(&self, from: &Named, to: &Named, flags: u32, denials: &Denials) -> Outcome {
        let (from, to) = (self.entry(from, false)?, self.entry(to, false)?);
        if from.is_writable && to.is_writable {
            return Ok(Answer::Kernel);
        }
        for entry in [&from, &to] {
            allow(entry, denials)?;
            settled(entry, denials)?;
        }
        let known = RenameFlags::NOREPLACE | RenameFlags::EXCHANGE;
        let flags = RenameFlags::from_bits_retain(flags);
        if !known.contains(flags) {
            return Err(Errno::INVAL);
        }
        renameat_with(&from.folder, &from.name, &to.folder, &to.name, flags)?;
        Ok(Answer::Done)
    }

    fn link(&self, from: &Named, to: &Named, follow: bool, denials: &Denials) -> Outcome {
        let (from, to) = (self.entry(from, follow)?, self.entry(to, false)?);
        if from.is_writable && to.is_writable {
            return Ok(Answer::Kernel);
        }
        for entry in [&from, &to] {
            allow(entry, denials)?;
            settled(entry, denials)?;
        }
        linkat(
            &from.folder,
            &from.name,
            &to.folder,
            &to.name,
            AtFlags::empty(),
        )?;
        Ok(Answer::Done)
    }

    fn truncate(&self, at: &Named, length: i64, denials: &Denials) -> Outcome {
        let length = u64::try_from(length).map_err(|_| Errno::INVAL)?;
        self.change(at, true, denials, |entry| {
            settled(entry, denials)?;
            ftruncate(regular(entry, OFlags::WRONLY, Mode::empty())?, length)
        })
    }

    fn open(
        &self,
        at: &Named,
        flags: i32,
        (thread, mode): (u32, u32),
        denials: &Denials,
    ) -> Outcome {
        let flags = OFlags::from_bits_retain(flags.cast_unsigned());
        let writes = OFlags::WRONLY | OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        if !flags.intersects(writes) || flags.intersects(OFlags::PATH | OFlags::DIRECTORY) {
            return Ok(Answer::Kernel);
        }
        let creates = flags.contains(OFlags::CREATE);
        let follow = !(flags.contains(OFlags::NOFOLLOW) || creates && flags.contains(OFlags::EXCL));
        let Some(entry) = self.target(at, follow, denials)? else {
            return Ok(Answer::Kernel);
        };
        settled(&entry, denials)?;
        let reads = !flags.contains(OFlags::WRONLY);
        if reads && !self.reads.cover(&entry.shown()) {
            denials.add(
                "read_files",
                &text(&entry.shown()),
                "reading it is not granted, only writing",
            );
            return Err(Errno::ACCESS);
        }
        let kept = OFlags::RDWR
            | OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::TRUNC
            | OFlags::APPEND
            | OFlags::SYNC
            | OFlags::DSYNC;
        let mode = if creates {
            masked(thread, mode)?
        } else {
            Mode::empty()
        };
        let file = regular(&entry, flags & kept, mode)?;
        let status = flags & (OFlags::APPEND | OFlags::NONBLOCK);
        fcntl_setfl(&file, status)?;
        Ok(Answer::File(file, flags.contains(OFlags::CLOEXEC)))
    }
}

/// Refuses what is a hole or lies in one.
fn allow(entry: &Entry<'_>, denials: &Denials) -> Result<(), Errno> {
    match entry.standing {
        Standing::Hole => refuse(entry, HOLE, denials),
        Standing::Above | Standing::Free => Ok(()),
    }
}

/// Refuses whatever would make a path to a hole lead elsewhere: only folders may stand above one.
fn settled(entry: &Entry<'_>, denials: &Denials) -> Result<(), Errno> {
    match entry.standing {
        Standing::Above => refuse(entry, REDIRECTS, denials),
        Standing::Hole => refuse(entry, HOLE, denials),
        Standing::Free => Ok(()),
    }
}

fn refuse(entry: &Entry<'_>, why: &str, denials: &Denials) -> Result<(), Errno> {
    denials.add(KIND, &text(&entry.shown()), why);
    Err(Errno::ACCESS)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Opens a plain file and nothing else, without waiting for whom it may be shared with.
fn regular(entry: &Entry<'_>, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(&entry.folder, &entry.name, flags, mode)?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::ACCESS),
    }
}

/// Modes of links cannot be changed, and following one here would leave what was decided on.
fn no_link(entry: &Entry<'_>) -> Result<(), Errno> {
    let stat = statat(&entry.folder, &entry.name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(()),
    }
}

/// The mode less what the caller's own umask takes away; never set-id bits.
fn masked(thread: u32, mode: u32) -> Result<Mode, Errno> {
    let status =
        std::fs::read_to_string(format!("/proc/{thread}/status")).map_err(|_| Errno::SRCH)?;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let umask = umask.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    Ok(Mode::from_raw_mode(
        mode & 0o777 & !umask.ok_or(Errno::SRCH)?,
    ))
}

fn timestamps(times: Option<[Time; 2]>) -> Timestamps {
    const NOW: Time = (0, libc::UTIME_NOW);
    let [access, modification] = times.unwrap_or([NOW, NOW]);
    let time = |(seconds, nanoseconds): Time| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    Timestamps {
        last_access: time(access),
        last_modification: time(modification),
    }
}

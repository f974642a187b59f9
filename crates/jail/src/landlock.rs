//! Landlock access rights by ABI, and what each use of a path needs (`linux/landlock.h`).

use crate::sys::LandlockAttr;

/// The oldest ABI that the wall is built on: 3 knows truncation.
pub(crate) const MINIMUM_ABI: u32 = 3;

pub(crate) const EXECUTE: u64 = 1 << 0;
pub(crate) const WRITE_FILE: u64 = 1 << 1;
pub(crate) const READ_FILE: u64 = 1 << 2;
pub(crate) const READ_DIR: u64 = 1 << 3;
pub(crate) const REMOVE_DIR: u64 = 1 << 4;
pub(crate) const REMOVE_FILE: u64 = 1 << 5;
pub(crate) const MAKE_CHAR: u64 = 1 << 6;
pub(crate) const MAKE_DIR: u64 = 1 << 7;
pub(crate) const MAKE_REG: u64 = 1 << 8;
pub(crate) const MAKE_SOCK: u64 = 1 << 9;
pub(crate) const MAKE_FIFO: u64 = 1 << 10;
pub(crate) const MAKE_BLOCK: u64 = 1 << 11;
pub(crate) const MAKE_SYM: u64 = 1 << 12;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const LAST_OF_ABI_3: u64 = TRUNCATE;
const IOCTL_DEV: u64 = 1 << 15;

/// Rights that make sense on a file; a rule on a file with others is an error.
const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

/// What a path may be used for, as a set of Landlock rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights(u64);

impl Rights {
    /// Read files and list folders.
    pub(crate) const READ: Self = Self(READ_FILE | READ_DIR);
    /// List folders.
    pub(crate) const LIST: Self = Self(READ_DIR);
    /// Read, list and execute.
    pub(crate) const RUN: Self = Self(READ_FILE | READ_DIR | EXECUTE);
    /// Write, make and remove, without reading. Sockets and devices cannot be made.
    pub(crate) const WRITE: Self = Self(
        WRITE_FILE
            | TRUNCATE
            | REMOVE_DIR
            | REMOVE_FILE
            | MAKE_DIR
            | MAKE_REG
            | MAKE_FIFO
            | MAKE_SYM
            | REFER,
    );
    /// Read and write, for scratch space.
    pub(crate) const SCRATCH: Self = Self(Self::READ.0 | Self::WRITE.0);

    /// Use terminals. Not every ABI knows the right to their requests: see [`known`].
    pub(crate) const TERMINAL: Self = Self(READ_FILE | WRITE_FILE | READ_DIR | IOCTL_DEV);

    /// The rights as the kernel takes them for a folder, or for a file.
    pub(crate) fn bits(self, directory: bool) -> u64 {
        if directory { self.0 } else { self.0 & ON_FILES }
    }
}

/// What this ABI handles of a rule's rights: what it does not handle, it does not refuse.
pub(crate) fn known(abi: u32, access: u64) -> u64 {
    access & attributes(abi).0.fs
}

/// Everything that this ABI can refuse is refused where no rule allows it; and the size of the
/// structure that this ABI knows.
pub(crate) fn attributes(abi: u32) -> (LandlockAttr, usize) {
    let all_fs = if abi >= 5 {
        (IOCTL_DEV << 1) - 1
    } else {
        (LAST_OF_ABI_3 << 1) - 1
    };
    let attributes = LandlockAttr {
        fs: all_fs,
        // bind and connect over TCP
        net: if abi >= 4 { 0b11 } else { 0 },
        // abstract sockets and signals out of the domain
        scoped: if abi >= 6 { 0b11 } else { 0 },
    };
    let size = match abi {
        0..=3 => 8,
        4..=5 => 16,
        _ => 24,
    };
    (attributes, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_that_a_rule_gives_is_one_that_the_oldest_abi_handles() {
        let (oldest, size) = attributes(MINIMUM_ABI);
        assert_eq!(size, 8);
        for rights in [
            Rights::READ,
            Rights::LIST,
            Rights::RUN,
            Rights::WRITE,
            Rights::SCRATCH,
        ] {
            assert_eq!(rights.bits(true) & !oldest.fs, 0);
            assert_eq!(rights.bits(false) & !ON_FILES, 0);
        }
    }

    #[test]
    fn write_and_execute_never_meet_and_writing_is_not_reading() {
        assert_eq!(Rights::WRITE.bits(true) & EXECUTE, 0);
        assert_eq!(Rights::SCRATCH.bits(true) & EXECUTE, 0);
        assert_eq!(Rights::RUN.bits(true) & Rights::WRITE.bits(true), 0);
        assert_eq!(Rights::WRITE.bits(true) & Rights::READ.bits(true), 0);
    }

    #[test]
    fn newer_abis_only_ever_refuse_more() {
        for abi in MINIMUM_ABI..9 {
            let (older, older_size) = attributes(abi);
            let (newer, newer_size) = attributes(abi + 1);
            assert_eq!(older.fs & !newer.fs, 0);
            assert_eq!(older.net & !newer.net, 0);
            assert_eq!(older.scoped & !newer.scoped, 0);
            assert!(older_size <= newer_size);
        }
    }
}

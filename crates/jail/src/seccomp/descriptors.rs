//! What may be asked of a descriptor, and which of that takes a lock.

use libc as c;

use super::table::{Rule, Test, one_of};

/// Not `F_SETLEASE`: with no more than a granted file to read, it holds up whoever wants to write it;
/// not `F_NOTIFY`, which is its older kin; not `F_SETPIPE_SZ`: room in pipes is counted by user, in here and
/// out there together.
pub(super) const FCNTLS: &[u32] = &[
    c::F_DUPFD as u32,
    c::F_GETFD as u32,
    c::F_SETFD as u32,
    c::F_GETFL as u32,
    c::F_SETFL as u32,
    c::F_GETLK as u32,
    c::F_SETLK as u32,
    c::F_SETLKW as u32,
    c::F_SETOWN as u32,
    c::F_GETOWN as u32,
    10, // F_SETSIG
    11, // F_GETSIG
    15, // F_SETOWN_EX
    16, // F_GETOWN_EX
    c::F_OFD_GETLK as u32,
    c::F_OFD_SETLK as u32,
    c::F_OFD_SETLKW as u32,
    c::F_GETLEASE as u32,
    1027, // F_DUPFD_QUERY
    1028, // F_CREATED_QUERY
    c::F_DUPFD_CLOEXEC as u32,
    c::F_GETPIPE_SZ as u32,
    c::F_ADD_SEALS as u32,
    c::F_GET_SEALS as u32,
    1035, // F_GET_RW_HINT
    1036, // F_SET_RW_HINT
    1037, // F_GET_FILE_RW_HINT
    1038, // F_SET_FILE_RW_HINT
];

/// What takes a lock, or gives one back.
pub(super) const LOCKS: &[u32] = &[
    c::F_SETLK as u32,
    c::F_SETLKW as u32,
    c::F_OFD_SETLK as u32,
    c::F_OFD_SETLKW as u32,
];

pub(super) const NO_LOCKS: Test = Test {
    negated: true,
    ..one_of(1, LOCKS)
};

/// What differs where no host answers calls: a lock may hold up those who write what is only readable here, and
/// only the host can tell which file it is for.
pub(crate) const UNGUARDED: &[(c::c_long, Rule)] = &[
    (c::SYS_flock, Rule::Unlocked),
    (c::SYS_fcntl, Rule::When(&[one_of(1, WITHOUT_LOCKS)])),
];

/// [`FCNTLS`] less [`LOCKS`].
pub(super) const WITHOUT_LOCKS: &[u32] = &[
    c::F_DUPFD as u32,
    c::F_GETFD as u32,
    c::F_SETFD as u32,
    c::F_GETFL as u32,
    c::F_SETFL as u32,
    c::F_GETLK as u32,
    c::F_SETOWN as u32,
    c::F_GETOWN as u32,
    10, // F_SETSIG
    11, // F_GETSIG
    15, // F_SETOWN_EX
    16, // F_GETOWN_EX
    c::F_OFD_GETLK as u32,
    c::F_GETLEASE as u32,
    1027, // F_DUPFD_QUERY
    1028, // F_CREATED_QUERY
    c::F_DUPFD_CLOEXEC as u32,
    c::F_GETPIPE_SZ as u32,
    c::F_ADD_SEALS as u32,
    c::F_GET_SEALS as u32,
    1035, // F_GET_RW_HINT
    1036, // F_SET_RW_HINT
    1037, // F_GET_FILE_RW_HINT
    1038, // F_SET_FILE_RW_HINT
];

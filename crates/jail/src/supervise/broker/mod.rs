//! Writable trees with holes: what changes the entries of a folder above a hole is done by the host, on
//! behalf of the program, after looking at the name.
//!
//! The kernel holds writing by mount and by inode; a hole is a name, perhaps one that nothing has yet. So
//! the folders above holes are shown read-only, the folders beside holes are writable mounts as ever, and
//! only what the kernel would refuse for being read-only comes here. Arguments are copied once, resolved
//! by descriptor beneath the tree, and what was decided on is what is done: the program's own call never
//! runs (L17). With this gone, the folders are simply read-only.

mod call;
mod perform;
mod resolve;
mod tree;

use std::os::fd::BorrowedFd;

use bailiwick_wall::Denials;
use rustix::io::Errno;

use crate::sys::notify::{self, Notification};
pub(super) use call::{Call, Named, read_path, read_string};
pub(crate) use tree::{Reads, Tree};

/// Performs calls in the folders above holes.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    trees: Vec<Tree>,
    reads: Reads,
}

/// What becomes of a call.
enum Answer {
    /// None of ours: the kernel decides.
    Kernel,
    Done,
    File(std::os::fd::OwnedFd, bool),
    Failed(Errno),
}

impl Broker {
    pub(crate) fn new(trees: Vec<Tree>, reads: Reads) -> Self {
        Self { trees, reads }
    }

    /// Whether there is anything to do at all.
    pub(crate) fn is_idle(&self) -> bool {
        self.trees.is_empty()
    }

    /// Answers a call that lies in a folder above a hole; false where it does not.
    pub(crate) fn answer(
        &self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        denials: &Denials,
    ) -> bool {
        if self.is_idle() {
            return false;
        }
        let Ok(Some(asked)) = Call::read(call) else {
            return false;
        };
        // Memory and folders were those of the caller only if it still waits.
        if !notify::still_waits(listener, call.id) {
            return true;
        }
        let _ = match self.perform(call, &asked, denials) {
            Answer::Kernel => return false,
            Answer::Done => notify::give(listener, call.id, 0),
            Answer::File(file, close_on_exec) => {
                use std::os::fd::AsFd as _;
                notify::give_file(listener, call.id, file.as_fd(), close_on_exec)
            }
            Answer::Failed(errno) => notify::fail(listener, call.id, errno.raw_os_error()),
        };
        true
    }
}

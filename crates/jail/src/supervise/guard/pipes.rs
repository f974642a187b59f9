//! A bound on the pipes of one world, because the kernel's own bound is one for all programs of a user: who has
//! used it up gets smaller pipes from then on, and so does everybody else (pipe(7), `pipe-user-pages-soft`).

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use bailiwick_wall::Denials;
use rustix::fs::{Dir, Mode, OFlags, openat, readlinkat};

use crate::meter::Processes;

/// Pipes that a world may make between two counts; and have, when it is counted. Together a quarter of what the
/// kernel gives to a user.
const FRESH: u32 = 64;
const MOST: usize = 192;
/// How long a count is good for once it was too many.
const GOOD: Duration = Duration::from_millis(50);

const TOO_MANY: &str =
    "it has as many pipes as one plugin may, of those that all programs of a user share";
const UNSEEN: &str = "how many pipes it has cannot be seen while descriptors are on their way in its sockets, or \
                      where its processes cannot be looked at";

/// The pipes of one world.
#[derive(Debug, Default)]
pub(super) struct Pipes {
    fresh: u32,
    full: Option<Instant>,
}

impl Pipes {
    /// Whether one more may be made by the process that waits.
    pub(super) fn may_make_one(&mut self, inside: u32, denials: &Denials) -> bool {
        self.fresh = self.fresh.saturating_add(1);
        if self.fresh <= FRESH {
            return true;
        }
        if self.full.is_some_and(|since| since.elapsed() < GOOD) {
            denials.add("limit", "pipes", TOO_MANY);
            return false;
        }
        let refused = match Processes::around(inside).and_then(|world| census(&world)) {
            Ok(Census { hidden: true, .. }) | Err(_) => UNSEEN,
            Ok(census) if census.pipes.len() >= MOST => TOO_MANY,
            Ok(_) => {
                (self.fresh, self.full) = (1, None);
                return true;
            }
        };
        self.full = Some(Instant::now());
        denials.add("limit", "pipes", refused);
        false
    }
}

#[derive(Debug, Default)]
struct Census {
    /// By inode.
    pipes: BTreeSet<Vec<u8>>,
    /// Whether a socket holds descriptors that were sent and not yet received (proc_pid_fdinfo(5), `scm_fds`).
    hidden: bool,
}

fn census(world: &Processes) -> io::Result<Census> {
    let mut census = Census::default();
    let (proc, processes) = world.listed();
    for pid in processes {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        // One that ends meanwhile has none any more; init has none but ours, and may not be looked at.
        let Ok(folder) = openat(proc, format!("{pid}/fd"), flags, Mode::empty()) else {
            continue;
        };
        for entry in Dir::read_from(&folder)?.flatten() {
            let Ok(target) = readlinkat(&folder, entry.file_name(), Vec::new()) else {
                continue;
            };
            let target = target.into_bytes();
            if target.starts_with(b"pipe:") {
                census.pipes.insert(target);
            } else if target.starts_with(b"socket:") {
                let number = entry.file_name().to_string_lossy().into_owned();
                census.hidden |= has_descriptors(proc, pid, &number);
            }
        }
    }
    Ok(census)
}

fn has_descriptors(proc: &std::os::fd::OwnedFd, pid: u32, number: &str) -> bool {
    let text = crate::meter::read(proc, &format!("{pid}/fdinfo/{number}"));
    crate::meter::field(&text, "scm_fds:") > 0
}

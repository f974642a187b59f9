//! Finds out what this machine lets the wall be built from, by building one around nothing.

use std::path::PathBuf;

use bailiwick_wall::{Closure, Denials, Limits, Program, WallError};
use rustix::process::{getegid, geteuid};

use super::{Native, describe, pipes_failed, unsupported};
use crate::base;
use crate::child::Step;
use crate::extras::{Extras, Watch};
use crate::layout::base_only;
use crate::spawn::{PROGRAM_STEP, Pipes, Stdio, start};
use crate::supervise::{self, Broker, View};
use crate::{landlock, sys};

/// Landlock's part is fixed by its ABI; later ABIs add what this wall does not know yet.
const NEWEST_ABI: u32 = 7;

impl Native {
    /// Looks at what this machine can, by building a wall around nothing and seeing it stand.
    ///
    /// # Errors
    /// [`WallError::Unsupported`] with what is missing and how to mend it.
    pub fn probe() -> Result<Self, WallError> {
        let abi = match sys::landlock_abi() {
            Ok(abi) if abi >= landlock::MINIMUM_ABI => abi.min(NEWEST_ABI),
            Ok(abi) => {
                return Err(unsupported(format!(
                    "Landlock ABI {abi} is too old; use Linux 6.2 or later"
                )));
            }
            Err(_) => {
                return Err(unsupported(
                    "Landlock is off; use Linux 6.2 or later and have `landlock` in the `lsm=` boot parameter",
                ));
            }
        };
        let mut native = Self {
            abi,
            bounds_pids: kernel_is_at_least(6, 14),
            tells: true,
        };
        loop {
            match native.try_empty() {
                // Where `/proc/sys` is read-only (containers), the bound on processes is RLIMIT_NPROC alone.
                Err(WallError::Build { what, .. })
                    if native.bounds_pids && what == Step::PidMax.text() =>
                {
                    native.bounds_pids = false;
                }
                // Where something around us watches already, nobody else may (seccomp(2), `EBUSY`).
                Err(WallError::Build { what, .. })
                    if native.tells && what == Step::Seccomp.text() =>
                {
                    native.tells = false;
                }
                Err(WallError::Build { what, why }) => {
                    return Err(unsupported(format!("{what}: {why}")));
                }
                other => return other.map(|()| native),
            }
        }
    }

    /// Builds the wall and runs init alone, which ends at once because there is nothing to exec.
    fn try_empty(&self) -> Result<(), WallError> {
        let nothing = Program {
            program: PathBuf::new(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
            closure: Closure::default(),
        };
        let inner = |id: u32| base::inner_id(id);
        let empty = base_only(inner(geteuid().as_raw()), inner(getegid().as_raw()))
            .map_err(|fault| unsupported(fault.0))?;
        let extras = Extras {
            watch: if self.tells {
                Watch::Acts
            } else {
                Watch::Nothing
            },
            ..Extras::default()
        };
        let mut pipes = Pipes::new(Stdio::Piped, None, false, self.tells)
            .map_err(|error| pipes_failed(&error))?;
        let limits = Limits::default();
        let plan = self.prepare(&nothing, &empty, &limits, None, &pipes, &extras)?;
        if let Some(control) = pipes.take_control() {
            let (profile, view) = (self.profile(&extras, &empty)?, View::default());
            let broker = Broker::default();
            supervise::start(control, profile, view, broker, None, Denials::new())
                .map_err(|error| pipes_failed(&error))?;
        }
        match start(&plan, pipes, |failure| describe(failure, &empty)) {
            // The exec of the empty path must fail, and only that.
            Err(WallError::Build { what, .. }) if what == PROGRAM_STEP => Ok(()),
            Err(other) => Err(other),
            Ok(_) => Err(unsupported("an empty program was started")),
        }
    }
}

pub(super) fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut parts = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
}

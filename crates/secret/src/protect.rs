//! Keeps the memory of a process that holds secrets out of core dumps and away from debuggers.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::error::SecretError;

/// Switches core dumps off for this process (`RLIMIT_CORE` 0 for it and its children, `PR_SET_DUMPABLE` 0 for it),
/// and with them `ptrace`, `/proc/self/mem` and `/proc/self/environ` for other processes of the same user.
///
/// The store calls it before it reads a value, so every process that holds one is protected. Whoever opened this
/// memory before can go on to read it: call it early where a value is to come from elsewhere.
///
/// A process that is not dumpable does not own its own `/proc/self`, so an ordinary user's cannot write the id maps of
/// a new user namespace there: the native wall has them written for another process then.
///
/// # Errors
/// [`SecretError::System`]; whoever gets it must not go on to read a secret.
pub fn protect() -> Result<(), SecretError> {
    let system = |error: rustix::io::Errno| SecretError::System {
        what: "to switch core dumps off",
        why: error.to_string(),
    };
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(system)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(system)
}

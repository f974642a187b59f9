//! What is started behind a wall, and what the wall says of it.

use std::ffi::OsString;
use std::path::PathBuf;

/// What a runtime itself needs in order to run at all (interpreter, libraries, package), apart from
/// what the plugin was granted. Host paths; each a file or a whole directory tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closure {
    /// Readable.
    pub read: Vec<PathBuf>,
    /// Readable and executable: the program, the loader, its libraries.
    pub run: Vec<PathBuf>,
}

/// One program to start behind a wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute path of the program, resolved on the host.
    pub program: PathBuf,
    /// Its arguments, without `argv[0]`.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory, inside the wall; `/` where that does not exist there.
    pub cwd: PathBuf,
    /// What it needs besides the grant.
    pub closure: Closure,
}

/// An operation that a wall refused. Text from inside is data: readers escape it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The capability kind or system operation, such as `read_files` or `connect`.
    pub operation: String,
    /// What it was tried on.
    pub target: String,
    /// Why it was refused, for the operator.
    pub reason: String,
    /// How often since the last report.
    pub times: u64,
}

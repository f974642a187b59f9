//! What can go wrong with an index; never with a search, which goes on without one.

use std::path::PathBuf;

use bailiwick_audit::AuditError;

/// Why there is no index to be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The index's file cannot be opened, read or written.
    #[error("the index {}: {why}. It may be removed: it is made anew from the log", path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// What SQLite or the operating system says.
        why: String,
    },
    /// The key cannot be used.
    #[error("the index's key {}: {why}", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        why: String,
    },
}

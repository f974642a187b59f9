//! What can go wrong with a report.

use std::path::PathBuf;

use bailiwick_audit::{AuditError, ProveError};

/// Why there is no report. That a log does not verify is none of these: the report says it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// There is no such framework.
    #[error("`{0}` is no framework: write nist-800-53 or soc2")]
    Framework(String),
    /// The framework's data is malformed, which a test excludes.
    #[error("the framework's data cannot be read: {0}")]
    Data(#[from] serde_json::Error),
    /// The period ends before it begins.
    #[error("the period from {from} to {to} is empty: give an earlier --from or a later --to")]
    Period {
        /// Its begin.
        from: String,
        /// Its end.
        to: String,
    },
    /// The log cannot be read at all.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// An entry cannot be proven.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A file of the report's own.
    #[error("cannot write `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

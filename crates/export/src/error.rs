//! What can go wrong with an export.

use std::path::PathBuf;

use bailiwick_audit::AuditError;

/// Why an export cannot start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The target is none, or not one of the format.
    #[error("`{target}` is no target: {why}")]
    Target {
        /// The target as it was written.
        target: String,
        /// What is wrong and how to mend it.
        why: String,
    },
    /// A header cannot be sent.
    #[error("the header `{name}` cannot be sent: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong; never the value.
        why: String,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// A file of the exporter's own.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The place file holds something else.
    #[error("`{}` is not a place in a log: {why}; remove it to export from the beginning", path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another exporter sends the same log to the same target.
    #[error("another exporter sends this log there already: it holds `{}`", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// The target did not take it.
    #[error("{target} did not take it: {why}")]
    Failed {
        /// The target.
        target: String,
        /// The last failure.
        why: String,
    },
}

impl ExportError {
    pub(crate) fn io<'a>(
        what: &'static str,
        path: &'a std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

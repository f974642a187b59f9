//! What can go wrong with the log, and how to mend it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the log could not be opened, written or read. Whatever was about to be recorded must not happen.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "write", "create", …
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its answer.
        source: std::io::Error,
    },
    /// An earlier write failed; the log takes nothing more until it is opened anew.
    #[error(
        "the audit log stopped after an error, and nothing goes on unlogged: {why}. Mend that and restart"
    )]
    Poisoned {
        /// What failed first.
        why: Arc<str>,
    },
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
    /// The clock says a time before that of the last entry, by more than a clock is corrected. Times in a log never go
    /// back, so nothing is recorded until the clock has caught up.
    #[error("the clock says {now}, and the last entry of the log at {} is of {last}: times in a log never go back. Set the clock right and try again; if it is the entry's time that was wrong, keep the folder as evidence and start a new log elsewhere", dir.display())]
    ClockWentBack {
        /// The log's folder.
        dir: PathBuf,
        /// The time of the last entry, RFC 3339 in UTC.
        last: String,
        /// What the clock says, likewise.
        now: String,
    },
    /// Another process writes this log.
    #[error("{} is being written by another process; stop that one, or give this one its own BAILIWICK_HOME", dir.display())]
    Locked {
        /// The log's folder.
        dir: PathBuf,
    },
    /// The checkpoint is not the one that this process published last.
    #[error("{} was written by another process meanwhile, or its checkpoint was changed: this one writes nothing more. Stop the other, run `bailiwick audit verify`, then restart", dir.display())]
    Overtaken {
        /// The log's folder.
        dir: PathBuf,
    },
    /// The signing key can be read or changed by others.
    #[error("the signing key {} has mode {mode:03o}; others must not reach it: run `chmod 600 {}`", path.display(), path.display())]
    LooseKey {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file is missing, malformed or of another log.
    #[error("the key {} cannot be used: {why}", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What is on disk is not what was signed. The log is not continued.
    #[error("the log at {} is damaged or was tampered with: {why}. Run `bailiwick audit verify`, keep the folder as evidence and start a new log elsewhere", dir.display())]
    Damaged {
        /// The log's folder.
        dir: PathBuf,
        /// What was noticed first.
        why: String,
    },
    /// The entry does not fit, even with its long strings shortened.
    #[error(
        "a {kind} entry of {bytes} bytes does not fit the log (limit 65,535): ask for less at once"
    )]
    EntryTooLarge {
        /// The kind of event.
        kind: &'static str,
        /// Size as JSON.
        bytes: usize,
    },
    /// The entry could not be written as JSON, or what was read is not an entry.
    #[error("not an entry of the log: {0}")]
    Encode(String),
    /// Nothing was archived or pruned.
    #[error("{} cannot be the archive: {why}", dir.display())]
    Archive {
        /// The archive's folder.
        dir: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Nothing was erased.
    #[error("cannot erase: {0}")]
    Erasure(String),
}

impl AuditError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(dir: &Path, why: impl Into<String>) -> Self {
        Self::Damaged {
            dir: dir.to_owned(),
            why: why.into(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn encode(error: serde_json::Error) -> Self {
        Self::Encode(error.to_string())
    }
}

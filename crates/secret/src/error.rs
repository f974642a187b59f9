//! What goes wrong with secrets. No message holds a value.

use std::io;
use std::path::{Path, PathBuf};

/// Why something was not done with a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A name or a binding that cannot be.
    #[error("{what}: {mend}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// How to mend it.
        mend: String,
    },
    /// A file of the store is not what it should be.
    #[error("`{}` {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and how to mend it.
        why: String,
    },
    /// The operating system refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process writes to the store and does not end.
    #[error(
        "another process has held `{}` for {seconds} s: wait for the other `bailiwick secret`, or end it",
        path.display()
    )]
    Busy {
        /// The lock.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// The system's keyring did not do what was asked.
    #[error("the system keyring: {0}")]
    Keyring(String),
    /// The operating system gave no randomness, or refused to protect the process.
    #[error("the operating system refused {what}: {why}")]
    System {
        /// What was asked.
        what: &'static str,
        /// The cause.
        why: String,
    },
}

impl SecretError {
    pub(crate) fn invalid(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Invalid {
            what: what.into(),
            mend: mend.into(),
        }
    }

    pub(crate) fn file(path: &Path, why: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    pub(crate) fn random(error: getrandom::Error) -> Self {
        Self::System {
            what: "randomness",
            why: error.to_string(),
        }
    }
}

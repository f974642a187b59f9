//! Putting checkpoints where others can see them, and where an older or another one would stand out.

mod file;
mod git;

use std::fmt;
use std::path::PathBuf;

use bailiwick_tlog::{Checkpoint, SignedNote};

use crate::client::{Client, HttpError, Method, Url, UrlError};
use crate::store::origin_hash;

/// What stands for a log's id in a path or URL.
const PLACEHOLDER: &str = "{log}";
/// Characters of a log's id.
const ID_CHARS: usize = 16;

/// A place where checkpoints are published. `{log}` in a path or URL stands for [`log_id`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, replaced whole.
    File(PathBuf),
    /// An HTTP endpoint.
    Http {
        /// Where.
        url: String,
        /// By `PUT` or `POST`.
        method: Method,
    },
    /// A git repository on this machine, bare or not, one commit for each checkpoint.
    Git {
        /// The repository.
        path: PathBuf,
        /// The branch, which nothing else should write.
        branch: String,
    },
}

/// Why a checkpoint was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A larger one is published already.
    #[error(
        "{found} entries are published there already, and here there are {here}: this log was rolled back"
    )]
    Ahead {
        /// The size that is published.
        found: u64,
        /// The size here.
        here: u64,
    },
    /// Another one of the same size.
    #[error("another root is published there for {0} entries: this log was rewritten or forked")]
    Forked(u64),
    /// Something else is there.
    #[error("{0}")]
    Occupied(String),
    /// The system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// git refused.
    #[error("git {doing}: {why}")]
    Git {
        /// What was tried.
        doing: &'static str,
        /// What git says.
        why: String,
    },
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Not a URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// An answer that is no success.
    #[error("it answered {0}")]
    Status(u16),
}

impl PublishError {
    /// Whether what is published contradicts the log: a person has to look.
    #[must_use]
    pub fn accuses(&self) -> bool {
        matches!(self, Self::Ahead { .. } | Self::Forked(_))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Http { url, .. } => f.write_str(url),
            Self::Git { path, branch } => write!(f, "git {} ({branch})", path.display()),
        }
    }
}

/// A short name of a log for paths and URLs: 16 hexadecimal characters of its origin's SHA-256.
#[must_use]
pub fn log_id(origin: &str) -> String {
    origin_hash(origin).chars().take(ID_CHARS).collect()
}

impl Target {
    /// Publishes a checkpoint with its signatures. What is there already must be an older one of the same log, or this
    /// one.
    ///
    /// # Errors
    /// [`PublishError`]; nothing is half published.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn publish(
        &self,
        client: &Client,
        note: &SignedNote,
        checkpoint: &Checkpoint,
    ) -> Result<(), PublishError> {
        let id = log_id(&checkpoint.origin);
        match self {
            Self::File(path) => {
                let path = file::path_for(path, &id);
                let (note, checkpoint) = (note.clone(), checkpoint.clone());
                blocking(move || file::publish(&path, &note, &checkpoint)).await
            }
            Self::Git { path, branch } => {
                let repository = git::Repository::new(path, branch);
                let (note, checkpoint) = (note.clone(), checkpoint.clone());
                blocking(move || repository.publish(&id, &note, &checkpoint)).await
            }
            Self::Http { url, method } => {
                let url: Url = url.replace(PLACEHOLDER, &id).parse()?;
                let body = note.to_string().into_bytes();
                let reply = client
                    .send(*method, &url, "text/plain; charset=utf-8", body)
                    .await?;
                match reply.status {
                    200..=299 => Ok(()),
                    status => Err(PublishError::Status(status)),
                }
            }
        }
    }
}

async fn blocking(
    work: impl FnOnce() -> Result<(), PublishError> + Send + 'static,
) -> Result<(), PublishError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(PublishError::Occupied(error.to_string())))
}

/// Whether `new` may take the place of what is published. `false` where that is the same already.
fn may_follow(
    published: &str,
    place: &dyn fmt::Display,
    note: &SignedNote,
    new: &Checkpoint,
) -> Result<bool, PublishError> {
    if published == note.to_string() {
        return Ok(false);
    }
    let occupied = |why: &str| PublishError::Occupied(format!("{place} {why}"));
    let old: SignedNote = published
        .parse()
        .map_err(|_| occupied("is no checkpoint, and is not overwritten"))?;
    let (old, _) = Checkpoint::parse(old.unverified_text())
        .map_err(|_| occupied("is no checkpoint, and is not overwritten"))?;
    if old.origin != new.origin {
        return Err(occupied(
            "is another log's checkpoint: put `{log}` into the path, so that each log has a place of its own",
        ));
    }
    if old.size > new.size {
        return Err(PublishError::Ahead {
            found: old.size,
            here: new.size,
        });
    }
    if old.size == new.size && old.root != new.root {
        return Err(PublishError::Forked(new.size));
    }
    Ok(true)
}

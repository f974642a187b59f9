//! Checkpoints beyond their own machine.
//!
//! Whoever has a log's key, or the disk that it lies on, can put another history or an older one in its place, and
//! nothing in the log itself would show it. What contradicts them is a checkpoint that somebody else has:
//!
//! - [`Witness`] remembers the newest checkpoint of each log that it knows, sees by a consistency proof that the next one
//!   continues it, and cosigns that ([C2SP tlog-witness](https://c2sp.org/tlog-witness)); [`serve()`] is its HTTP side.
//! - [`Witnesses`] asks witnesses for their cosignatures, on behalf of a log.
//! - [`Target`] is a place where checkpoints are published: a file, an HTTP endpoint, a git repository.
//!
//! It knows nothing of what a log holds.
#![forbid(unsafe_code)]

mod ask;
mod client;
mod decide;
mod disk;
mod publish;
mod quorum;
mod serve;
mod store;

pub use ask::{Peer, Proofs, Refusal, Witnesses};
pub use client::{Client, HttpError, Method, Reply, Url, UrlError};
pub use decide::{Answer, TrustedLog, Witness, unix_time};
pub use disk::{Disk, RealDisk};
pub use publish::{PublishError, Target, log_id};
pub use quorum::{Cosigned, QuorumError, cosigned_by};
pub use serve::{Limits, serve};
pub use store::{Store, StoreError, keygen, read_key, state_dir};

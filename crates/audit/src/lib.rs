//! Audit records, durable append, verification and query over a tlog.
//!
//! A log is a folder in C2SP tlog-tiles form (`checkpoint`, `tile/…`, `tile/entries/…`) that any tlog client can
//! read, beside a journal (`journal/…`) that takes entries as they happen:
//!
//! - [`Log::append`] has the entry in the operating system's hands when it returns: it survives `kill -9`.
//! - [`Log::append_durable`] has it on the disk, under a signature of the log's key: it survives power loss, and a
//!   change to it is found. Callers that arrive together share one flush.
//! - A thread of the log's own signs and publishes a checkpoint over everything within [`Options::publish_within`].
//!
//! Behind the latest signature (the published checkpoint, or a later seal in the journal) every change, removal,
//! reordering or truncation is found by [`verify`], as long as the attacker lacks the key. Entries after it are
//! shown as *unsealed*. Whoever puts back a whole older folder, signature included, is found by whoever kept a later
//! checkpoint and gives it to [`verify`].
//!
//! The calls block; in async code they belong on a thread for blocking work.
#![forbid(unsafe_code)]

mod archive;
mod argument;
mod bundle;
mod clock;
mod commit;
mod cosign;
mod diagnose;
mod disk;
mod encode;
mod erase;
mod error;
mod event;
mod folders;
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod key;
mod layout;
mod log;
mod openings;
mod outcome;
mod prove;
mod publish;
mod query;
mod recover;
mod render;
mod replay;
mod report;
#[cfg(any(test, feature = "schema"))]
mod schema;
mod seal;
mod store;
mod strings;
mod subject;
mod tail;
mod turn;
mod verify;

pub use archive::{Part, archive, entries_before, prune};
pub use argument::{Argument, JsonType, Keep, Redaction, sha256_hex};
pub use bailiwick_tlog::{Checkpoint, VerifierKey};
pub use clock::{Clock, SystemClock, format_time};
pub use cosign::{Cosigning, keep_cosigned};
pub use disk::{Disk, DiskFile, Found, Held, OpenAs, SystemDisk};
pub use erase::{Erasing, Marked, Whose, erase, mark};
pub use error::AuditError;
pub use event::{
    AtomDecision, ENTRY_VERSION, Entry, Event, Moment, Outcome, QuestionState, Subject,
};
pub use key::{SIGNING_KEY_FILE, VERIFIER_KEY_FILE, read_verifier_key};
pub use log::{Leaf, Log, Options};
pub use openings::{
    Commitment, Opening, OpeningError, SALT_BYTES, SEALED_PREFIX, decode_bundle_openings,
    decode_openings, encode_bundle_openings, encode_openings,
};
pub use prove::{
    ProveError, ProvenEntry, cosigned_note, prove_consistency, prove_continuation, prove_entry,
    prove_inclusion, published_note,
};
pub use query::{
    Claim, Concern, EVENT_KINDS, Filter, Follow, Hits, Merged, Narrow, Query, SESSION_PREFIX,
    Search, Sight, Stored, binding, claims, full_bundles, is_session, merge, query, search, tail,
    tools,
};
pub use render::{escape, render};
pub use report::{Finding, Report, Tampering, Verified};
#[cfg(any(test, feature = "schema"))]
pub use schema::entry_schema;
pub use verify::{Kept, KeptCheckpoints, Progress, Verification, read_checkpoints, verify};

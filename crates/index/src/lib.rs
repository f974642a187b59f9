//! An index over an audit log: which bundles may hold what is searched for. It can be rebuilt from the log at any time,
//! and is never trusted.
//!
//! The index answers one question: *which bundles need not be read*. What the others hold is read from the log itself
//! and shown to the filter, so the index can invent nothing. That it hides nothing is held so:
//!
//! - It is a row for each *chunk* of 64 full bundles (16,384 entries). A chunk that has no row, or whose row does not
//!   hold, is read in full, as are the entries after the last chunk. There is no row to leave out.
//! - A row is one unit: the fingerprints of all values in the chunk, under an HMAC-SHA256 of a key that lies outside of
//!   the cache. Taking one value out of it, or putting back another row, needs the key.
//! - Beside that it is bound to the state of the log: the roots of its bundles in the Merkle tree, and inode, length and
//!   times of their files. Of another log, or of one that changed, no row holds.
//! - Bundles with entries that cannot be read are marked, and read whatever is searched for.
//!
//! Values stand in it as fingerprints under the same key, 64 bits each, and nowhere in clear. Two values with the same
//! fingerprint cost a bundle that is read in vain.
//!
//! Whoever has the key, which is whoever is you or root, can make an index that hides entries, as they can sign another
//! log with its key. [`Index::check`] makes every row anew from the log and compares; a search without an index asks
//! nobody.
#![forbid(unsafe_code)]

mod chunk;
mod error;
mod index;
mod key;
mod store;
mod terms;

pub use chunk::{CHUNK_BUNDLES, CHUNK_ENTRIES};
pub use error::IndexError;
pub use index::{Checked, Index, Progress, Selection, forget, remove};
pub use key::IndexKey;

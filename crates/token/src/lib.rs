//! The sealed grant: a [`bailiwick_capability::Grant`] inside a Biscuit; biscuit-auth lives here only.
//!
//! [`mint`] seals a session's grant with the gate's key. Whoever holds the token can [`attenuate`] it without a key,
//! and nobody can widen it: what [`verify`] hands out is the meet of the sealed grant and of every block behind it.
//! The crate reads no clock and keeps no state; revocation lists are the caller's.

mod block;
mod claims;
mod error;
mod keys;
mod seal;

pub use block::MAX_ATOMS;
pub use claims::{Claims, Expectation, MAX_TEXT, Verified};
pub use error::TokenError;
pub use keys::{Keys, PublicKey};
pub use seal::{MAX_BLOCKS, MAX_TOKEN_BYTES, Token, attenuate, mint, verify};

//! The sealed grant: a [`bailiwick_capability::Grant`] inside a Biscuit; biscuit-auth lives here only.
//!
//! [`mint`] seals a session's grant with the gate's key. Whoever holds the token can [`attenuate`] it without a key,
//! and nobody can widen it: what [`verify`] hands out is what was sealed, with what named approvers added within the
//! sealed bound ([`approve`]), met with every attenuation.
//! The crate reads no clock and keeps no state; revocation lists are the caller's.

mod approval;
mod block;
mod claims;
mod error;
mod facts;
mod inspect;
mod keys;
mod revoke;
mod seal;

pub use approval::{
    Approval, Approving, Ask, Asks, MAX_PEOPLE, append_approval, approval_request, approve,
    sign_approval,
};
pub use block::MAX_ATOMS;
pub use claims::{Claims, Expectation, MAX_TEXT, Narrowing, Verified};
pub use error::TokenError;
pub use inspect::{Inspection, inspect};
pub use keys::{Keys, PublicKey, Retired, Trusted};
pub use revoke::{Revocation, Revocations, Revoked};
pub use seal::{MAX_BLOCKS, MAX_TOKEN_BYTES, Token, attenuate, mint, verify};

//! What a token says, for people; nothing here is evidence.

use bailiwick_capability::Grant;

use crate::seal::{Blob, blocks};
use crate::{Approval, Claims, Narrowing, Token, TokenError};

/// A token taken apart, its signatures not looked at.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// What the gate is said to have sealed.
    pub sealed: Claims,
    /// Who narrowed it, and to what, in order.
    pub narrowings: Vec<Narrowing>,
    /// Who approved what.
    pub approvals: Vec<Approval>,
    /// What all of it comes to at the time of the inspection.
    pub grant: Grant,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
    /// One id per block, the authority's first, 64 bytes each.
    pub revocation_ids: Vec<Vec<u8>>,
}

/// Takes a token apart at `now`, in seconds since 1970. Nothing may rest on the answer: only [`crate::verify`] looks at
/// signatures.
///
/// # Errors
/// [`TokenError::Malformed`], [`TokenError::Unknown`] and their like for what is no token of ours.
pub fn inspect(token: &Token, now: i64) -> Result<Inspection, TokenError> {
    let biscuit = token.read()?;
    let found = blocks(&Blob::Unverified(&biscuit))?;
    let (effective, _) = found.clone().effective(now);
    Ok(Inspection {
        sealed: found.authority,
        narrowings: found.narrowings,
        approvals: found.approvals,
        grant: effective.grant,
        expires: effective.expires,
        revocation_ids: biscuit.revocation_identifiers(),
    })
}

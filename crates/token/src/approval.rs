//! What a person must approve first, and how their yes is sealed: a third-party block of the approver's key.
//!
//! The gate seals the most that approvals can reach beside what it grants at once. So a yes adds what the gate's own
//! key had bounded, and no block can go beyond that: approvals add within the bound, attenuations narrow, in any
//! order, and the result is the same.

use bailiwick_capability::{Grant, Granted};
use biscuit_auth::{ThirdPartyRequest, UnverifiedBiscuit};

use crate::claims::check_time;
use crate::{Keys, PublicKey, Token, TokenError, block};

/// The most people whose yes one atom can need.
pub const MAX_PEOPLE: u8 = 3;

/// An atom that counts once enough people approved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What they can approve, wholly or in part.
    pub granted: Granted,
    /// How many different approvers it takes, 1 to [`MAX_PEOPLE`].
    pub people: u8,
}

/// What is granted once people say so, and whose yes counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// The atoms.
    pub atoms: Vec<Ask>,
    /// Keys of those who may approve: atoms, and single calls.
    pub approvers: Vec<PublicKey>,
}

/// What an approver says yes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approving {
    /// Atoms; what of them the gate never sealed as [`Asks`] has no effect.
    pub grant: Grant,
    /// SHA-256 of the one call that is approved. The atoms then hold for that call alone, never for the session.
    pub call: Option<[u8; 32]>,
    /// From when on the yes is over, in seconds since 1970; without it, it lasts as long as the token.
    pub until: Option<i64>,
}

/// A yes that was verified and is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Whose.
    pub approver: PublicKey,
    /// To what.
    pub approving: Approving,
}

/// What an approver elsewhere needs in order to sign for one token, and for no other: take it to [`sign_approval`].
///
/// # Errors
/// [`TokenError::Malformed`].
pub fn approval_request(token: &Token) -> Result<Vec<u8>, TokenError> {
    token
        .read()?
        .third_party_request()
        .and_then(|request| request.serialize())
        .map_err(malformed)
}

/// Signs a yes, with nothing but the request and the approver's key.
///
/// # Errors
/// [`TokenError::Malformed`] for what is no request, [`TokenError::Unsealable`] and [`TokenError::TooLarge`].
pub fn sign_approval(
    keys: &Keys,
    request: &[u8],
    approving: &Approving,
) -> Result<Vec<u8>, TokenError> {
    approving.until.map_or(Ok(()), check_time)?;
    let block = block::approval(approving)?;
    ThirdPartyRequest::deserialize(request)
        .and_then(|request| request.create_block(&keys.0.private(), block))
        .and_then(|block| block.serialize())
        .map_err(malformed)
}

/// Appends a signed yes to the token that it was asked for. The signature is not checked: [`crate::verify`] does.
///
/// # Errors
/// [`TokenError::Malformed`] for what is no signed yes, [`TokenError::TooLarge`].
pub fn append_approval(token: &Token, signed: &[u8]) -> Result<Token, TokenError> {
    token.grow(|biscuit: UnverifiedBiscuit| biscuit.append_third_party(signed))
}

/// Signs and appends at once, for an approver on this machine.
///
/// # Errors
/// As [`sign_approval`] and [`append_approval`].
pub fn approve(token: &Token, keys: &Keys, approving: &Approving) -> Result<Token, TokenError> {
    let signed = sign_approval(keys, &approval_request(token)?, approving)?;
    append_approval(token, &signed)
}

fn malformed(error: impl std::fmt::Display) -> TokenError {
    TokenError::Malformed(error.to_string())
}

/// The atoms that enough different approvers said yes to, of what the gate sealed. Yeses to single calls count for
/// nothing here.
pub(crate) fn approved(asks: &Asks, approvals: &[Approval]) -> Vec<Granted> {
    let lasting: Vec<&Approval> = approvals
        .iter()
        .filter(|one| one.approving.call.is_none())
        .collect();
    let mut atoms = Vec::new();
    for ask in &asks.atoms {
        let whole = Grant::new([ask.granted.clone()]);
        atoms.extend(
            agreed(&whole, &lasting, ask.people)
                .iter()
                .flat_map(|grant| grant.atoms().iter().cloned()),
        );
    }
    atoms
}

/// What each choice of `people` different approvers agrees on.
fn agreed(within: &Grant, approvals: &[&Approval], people: u8) -> Vec<Grant> {
    let Some(left) = people.checked_sub(1) else {
        return vec![within.clone()];
    };
    let mut all = Vec::new();
    for (position, first) in approvals.iter().enumerate() {
        let both = within.meet(&first.approving.grant);
        if both.is_empty() {
            continue;
        }
        let others: Vec<&Approval> = approvals
            .iter()
            .skip(position + 1)
            .filter(|other| other.approver != first.approver)
            .copied()
            .collect();
        all.extend(agreed(&both, &others, left));
    }
    all
}

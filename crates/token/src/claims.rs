//! What a token says, before and after it is verified.

use bailiwick_capability::Grant;

use crate::approval::approved;
use crate::{Approval, Asks, TokenError};

/// The longest text claim, in bytes.
pub const MAX_TEXT: usize = 1024;
/// The last second of the year 9999: Biscuit writes times as RFC 3339.
const MAX_TIME: i64 = 253_402_300_799;

/// What the gate seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The session.
    pub session: String,
    /// The plugin's id.
    pub plugin: String,
    /// The plugin's version.
    pub plugin_version: String,
    /// SHA-256 of what the gate decided on (manifest, component, command).
    pub plugin_digest: [u8; 32],
    /// On whose behalf.
    pub user: String,
    /// Through which agent.
    pub agent: String,
    /// What was granted.
    pub grant: Grant,
    /// What people can add to it.
    pub asks: Asks,
    /// When it was minted, in seconds since 1970.
    pub issued: i64,
    /// From when on it is refused, in seconds since 1970.
    pub expires: i64,
}

impl Claims {
    pub(crate) fn check(&self) -> Result<(), TokenError> {
        for (name, text) in self.texts() {
            if text.len() > MAX_TEXT {
                return Err(TokenError::Unsealable(format!(
                    "a {name} of more than {MAX_TEXT} bytes"
                )));
            }
        }
        check_time(self.issued)?;
        check_time(self.expires)?;
        if self.expires <= self.issued {
            return Err(TokenError::Unsealable(
                "a grant that expires before it is issued".to_owned(),
            ));
        }
        Ok(())
    }

    pub(crate) fn texts(&self) -> [(&'static str, &str); 5] {
        [
            ("session", &self.session),
            ("plugin", &self.plugin),
            ("plugin_version", &self.plugin_version),
            ("user", &self.user),
            ("agent", &self.agent),
        ]
    }
}

pub(crate) fn check_time(seconds: i64) -> Result<(), TokenError> {
    if (0..=MAX_TIME).contains(&seconds) {
        return Ok(());
    }
    Err(TokenError::Unsealable(format!(
        "the time {seconds}, which is not between 1970 and 9999"
    )))
}

/// How a token is narrowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// At most this; an empty grant leaves nothing.
    pub grant: Grant,
    /// At most until then, in seconds since 1970.
    pub expires: Option<i64>,
    /// For whom or what, for people who read the token: `sub-agent research`. Nobody vouches for it.
    pub by: Option<String>,
}

impl Narrowing {
    pub(crate) fn check(&self) -> Result<(), TokenError> {
        if self.by.as_ref().is_some_and(|by| by.len() > MAX_TEXT) {
            return Err(TokenError::Unsealable(format!(
                "a name of more than {MAX_TEXT} bytes"
            )));
        }
        self.expires.map_or(Ok(()), check_time)
    }
}

/// What the verifier knows, against which a token is held.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The session that is being served.
    pub session: &'a str,
    /// The digest of the plugin that is about to run or running.
    pub plugin_digest: &'a [u8; 32],
    /// The time in seconds since 1970.
    pub now: i64,
}

/// The content of a token that was verified. Only [`crate::verify`] makes one.
#[derive(Debug, Clone)]
#[must_use = "enforcement is compiled from it"]
pub struct Verified {
    pub(crate) claims: Claims,
    pub(crate) approvals: Vec<Approval>,
    pub(crate) revocation_ids: Vec<Vec<u8>>,
}

impl Verified {
    /// The claims, with grant and expiry as attenuation left them.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The grant: what was sealed, with what people approved of it, met with every attenuation.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.claims.grant
    }

    /// The earliest expiry of all blocks, in seconds since 1970. The caller must look again: a token that was verified
    /// once does not stay valid.
    #[must_use]
    pub fn expires(&self) -> i64 {
        self.claims.expires
    }

    /// One id per block, the authority's first, 64 bytes each. The token is revoked when any of them is.
    #[must_use]
    pub fn revocation_ids(&self) -> &[Vec<u8>] {
        &self.revocation_ids
    }

    /// The yeses that are not over.
    #[must_use]
    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }

    /// How many different approvers said yes to this one call, by its SHA-256, as of when the
    /// token was verified: verify it anew for each call.
    #[must_use]
    pub fn approved_call(&self, call: &[u8; 32]) -> usize {
        let mut people: Vec<&crate::PublicKey> = Vec::new();
        for approval in &self.approvals {
            if approval.approving.call.as_ref() == Some(call)
                && !people.contains(&&approval.approver)
            {
                people.push(&approval.approver);
            }
        }
        people.len()
    }
}

/// What all blocks of a token say together.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    pub(crate) authority: Claims,
    pub(crate) narrowings: Vec<Narrowing>,
    pub(crate) approvals: Vec<Approval>,
}

impl Blocks {
    /// The claims with grant and expiry as the blocks leave them at `now`, and the yeses that are not over.
    pub(crate) fn effective(self, now: i64) -> (Claims, Vec<Approval>) {
        let mut claims = self.authority;
        let mut approvals = self.approvals;
        approvals.retain(|one| one.approving.until.is_none_or(|until| now < until));
        let added = approved(&claims.asks, &approvals);
        if !added.is_empty() {
            let sealed = claims.grant.atoms().iter().cloned();
            claims.grant = Grant::new(sealed.chain(added));
        }
        for to in &self.narrowings {
            claims.grant = claims.grant.meet(&to.grant);
            claims.expires = to
                .expires
                .map_or(claims.expires, |at| at.min(claims.expires));
        }
        (claims, approvals)
    }
}

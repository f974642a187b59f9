//! Minting, attenuating and verifying.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use biscuit_auth::builder::{Term, fact};
use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, Biscuit, UnverifiedBiscuit};

use crate::claims::Blocks;
use crate::{
    Approval, Claims, Expectation, Keys, Narrowing, PublicKey, TokenError, Trusted, Verified, block,
};

/// Larger tokens are refused before they are decoded: whoever sends one controls its size.
pub const MAX_TOKEN_BYTES: usize = 256 * 1024;
/// More attenuations than this are refused: each costs a signature check.
pub const MAX_BLOCKS: usize = 16;
/// The version of Datalog (3.0) that our facts and checks need.
const DATALOG_VERSION: u32 = 3;
/// The version (3.2) of every third-party block.
const THIRD_PARTY_VERSION: u32 = 5;
/// How far the clock of the gate that minted may be ahead of ours, in seconds.
const MAX_SKEW: i64 = 60;

/// A sealed grant. Opaque; `Debug` shows only its size, because whoever holds a token may use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

impl Token {
    /// URL-safe base64 with padding.
    #[must_use]
    pub fn to_base64(&self) -> String {
        URL_SAFE.encode(&self.0)
    }

    /// Reads what [`Token::to_base64`] wrote. Says nothing about its validity: that is for [`verify`].
    ///
    /// # Errors
    /// [`TokenError::TooLarge`], or [`TokenError::Malformed`] for what is not base64 in its one form.
    pub fn from_base64(text: &str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_BYTES.div_ceil(3).saturating_mul(4) {
            return Err(TokenError::TooLarge("too many bytes"));
        }
        URL_SAFE
            .decode(text)
            .map_err(|error| TokenError::Malformed(error.to_string()))
            .and_then(Self::sized)
    }

    fn sized(bytes: Vec<u8>) -> Result<Self, TokenError> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge("too many bytes"));
        }
        Ok(Self(bytes))
    }

    pub(crate) fn read(&self) -> Result<UnverifiedBiscuit, TokenError> {
        let biscuit = UnverifiedBiscuit::from(&self.0).map_err(malformed)?;
        // Protobuf lets unknown or repeated fields pass; no byte may stand outside what is signed.
        if biscuit.to_vec().map_err(malformed)? != self.0 {
            return Err(TokenError::Altered(
                "it is not in its one serialised form".to_owned(),
            ));
        }
        if biscuit.block_count() > MAX_BLOCKS.saturating_add(1) {
            return Err(TokenError::TooLarge("too many attenuations"));
        }
        Ok(biscuit)
    }

    /// The token with one more block.
    pub(crate) fn grow(
        &self,
        append: impl FnOnce(UnverifiedBiscuit) -> Result<UnverifiedBiscuit, biscuit_auth::error::Token>,
    ) -> Result<Self, TokenError> {
        let biscuit = self.read()?;
        if biscuit.block_count() > MAX_BLOCKS {
            return Err(TokenError::TooLarge("too many attenuations"));
        }
        let bytes = append(biscuit)
            .and_then(|biscuit| biscuit.to_vec())
            .map_err(malformed)?;
        Self::sized(bytes)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes, redacted)", self.0.len())
    }
}

fn malformed(error: impl fmt::Display) -> TokenError {
    TokenError::Malformed(error.to_string())
}

/// Seals claims.
///
/// # Errors
/// [`TokenError::Unsealable`] for over-long texts, impossible times and atoms that do not read back;
/// [`TokenError::TooLarge`].
pub fn mint(keys: &Keys, claims: &Claims) -> Result<Token, TokenError> {
    claims.check()?;
    let bytes = Biscuit::builder()
        .merge(block::authority(claims)?)
        .root_key_id(keys.public().hint())
        .build(&keys.0)
        .and_then(|biscuit| biscuit.to_vec())
        .map_err(|error| TokenError::Unsealable(format!("the claims: {error}")))?;
    Token::sized(bytes)
}

/// Narrows a token. Needs no key and checks no signature: a narrowed forgery stays a forgery.
///
/// # Errors
/// As [`mint`], and [`TokenError::Malformed`] for what is no token or sealed against attenuation.
pub fn attenuate(token: &Token, to: &Narrowing) -> Result<Token, TokenError> {
    to.check()?;
    let block = block::attenuation(to)?;
    token.grow(|biscuit| biscuit.append(block))
}

/// Verifies signatures, vocabulary, times, session and plugin, and puts together what all blocks say.
///
/// # Errors
/// One of each reason to refuse; see [`TokenError`].
pub fn verify(
    key: &PublicKey,
    token: &Token,
    expected: &Expectation<'_>,
) -> Result<Verified, TokenError> {
    Trusted::from(*key).verify(token, expected)
}

impl Trusted {
    /// As [`verify`], with any key that is trusted. A retired one counts for what was minted before it retired.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify(
        &self,
        token: &Token,
        expected: &Expectation<'_>,
    ) -> Result<Verified, TokenError> {
        let unverified = token.read()?;
        let hint = unverified.root_key_id();
        let (key, retired) = self.named(hint).ok_or(TokenError::ForeignKey)?;
        let biscuit = unverified
            .verify(key.0)
            .map_err(|error| TokenError::Altered(error.to_string()))?;
        let (claims, approvals) = blocks(&Blob::Verified(&biscuit))?.effective(expected.now);
        if let Some(retired) = retired.filter(|at| claims.issued > *at) {
            let issued = claims.issued;
            return Err(TokenError::RetiredKey { issued, retired });
        }
        check(&claims, expected)?;
        authorize(&biscuit, expected.now)?;
        Ok(Verified {
            claims,
            approvals,
            revocation_ids: biscuit.revocation_identifiers(),
        })
    }
}

/// A Biscuit before or after its signatures were checked: both are read in the same way.
pub(crate) enum Blob<'a> {
    Unverified(&'a UnverifiedBiscuit),
    Verified(&'a Biscuit),
}

impl Blob<'_> {
    fn signers(&self) -> Vec<Option<biscuit_auth::PublicKey>> {
        match self {
            Self::Unverified(biscuit) => biscuit.external_public_keys(),
            Self::Verified(biscuit) => biscuit.external_public_keys(),
        }
    }

    fn contexts(&self) -> Vec<Option<String>> {
        match self {
            // The library does not tell; what is not verified is not relied on.
            Self::Unverified(biscuit) => vec![None; biscuit.block_count()],
            Self::Verified(biscuit) => biscuit.context(),
        }
    }

    fn version(&self, number: usize) -> Result<u32, biscuit_auth::error::Token> {
        match self {
            Self::Unverified(biscuit) => biscuit.block_version(number),
            Self::Verified(biscuit) => biscuit.block_version(number),
        }
    }

    fn source(&self, number: usize) -> Result<String, biscuit_auth::error::Token> {
        match self {
            Self::Unverified(biscuit) => biscuit.print_block_source(number),
            Self::Verified(biscuit) => biscuit.print_block_source(number),
        }
    }
}

/// Reads every block.
pub(crate) fn blocks(biscuit: &Blob<'_>) -> Result<Blocks, TokenError> {
    let mut found: Option<Blocks> = None;
    let contexts = biscuit.contexts();
    for (number, (signer, context)) in biscuit.signers().iter().zip(contexts).enumerate() {
        let unknown = |what: String| TokenError::Unknown {
            block: number,
            what,
        };
        if context.is_some() {
            return Err(unknown("a context".to_owned()));
        }
        // Printing leaves a block's scope out; scopes, and all else we do not use, need a newer version of Datalog. A
        // third-party block always has the newer one: its scope is its signer's, and decides nothing of ours.
        let version = match signer {
            Some(_) => THIRD_PARTY_VERSION,
            None => DATALOG_VERSION,
        };
        if biscuit.version(number) != Ok(version) {
            return Err(unknown("a newer version of Datalog".to_owned()));
        }
        let source = biscuit
            .source(number)
            .map_err(|error| unknown(error.to_string()))?;
        match (&mut found, signer) {
            (None, None) => {
                found = Some(Blocks {
                    authority: block::read_authority(&source).map_err(unknown)?,
                    narrowings: Vec::new(),
                    approvals: Vec::new(),
                });
            }
            (None, Some(_)) => return Err(unknown("a third party's signature".to_owned())),
            (Some(blocks), None) => {
                let to = block::read_attenuation(&source).map_err(unknown)?;
                blocks.narrowings.push(to);
            }
            (Some(blocks), Some(signer)) => {
                let approver = PublicKey(*signer);
                if !blocks.authority.asks.approvers.contains(&approver) {
                    return Err(unknown(
                        "the signature of somebody who may not approve".to_owned(),
                    ));
                }
                let approving = block::read_approval(&source).map_err(unknown)?;
                blocks.approvals.push(Approval {
                    approver,
                    approving,
                });
            }
        }
    }
    found.ok_or_else(|| TokenError::Malformed("no block".to_owned()))
}

fn check(claims: &Claims, expected: &Expectation<'_>) -> Result<(), TokenError> {
    let now = expected.now;
    if now >= claims.expires {
        return Err(TokenError::Expired {
            expires: claims.expires,
            now,
        });
    }
    if claims.issued > now.saturating_add(MAX_SKEW) {
        return Err(TokenError::NotYetValid {
            issued: claims.issued,
            now,
        });
    }
    if claims.session != expected.session {
        return Err(TokenError::WrongSession);
    }
    if claims.plugin_digest != *expected.plugin_digest {
        return Err(TokenError::WrongPlugin);
    }
    Ok(())
}

/// Lets Biscuit run the checks as well: two readings of one token must agree.
fn authorize(biscuit: &Biscuit, now: i64) -> Result<(), TokenError> {
    // The library's default of one millisecond fails on a busy machine; no rule of ours can loop.
    let limits = AuthorizerLimits {
        max_facts: 1 << 17,
        max_iterations: 100,
        max_time: Duration::from_secs(30),
    };
    let refused = |error: biscuit_auth::error::Token| TokenError::Refused(error.to_string());
    let now = u64::try_from(now).map_err(|error| TokenError::Refused(error.to_string()))?;
    AuthorizerBuilder::new()
        .set_limits(limits)
        .fact(fact("time", &[Term::Date(now)]))
        .and_then(|builder| builder.policy("allow if true"))
        .and_then(|builder| builder.build(biscuit))
        .and_then(|mut authorizer| authorizer.authorize())
        .map(|_| ())
        .map_err(refused)
}

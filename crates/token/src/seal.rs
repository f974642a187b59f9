//! Minting, attenuating and verifying.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use biscuit_auth::builder::{Term, fact};
use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, Biscuit, UnverifiedBiscuit};

use crate::claims::check_time;
use crate::{Claims, Expectation, Keys, PublicKey, TokenError, Verified, block};
use bailiwick_capability::Grant;

/// Larger tokens are refused before they are decoded: whoever sends one controls its size.
pub const MAX_TOKEN_BYTES: usize = 256 * 1024;
/// More attenuations than this are refused: each costs a signature check.
pub const MAX_BLOCKS: usize = 16;
/// The version of Datalog (3.0) that our facts and checks need.
const DATALOG_VERSION: u32 = 3;
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

    fn read(&self) -> Result<UnverifiedBiscuit, TokenError> {
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

/// Narrows a token to what `grant` also permits, and at most until `expires` (seconds since 1970). Needs no key and
/// checks no signature: a narrowed forgery stays a forgery.
///
/// # Errors
/// As [`mint`], and [`TokenError::Malformed`] for what is no token or sealed against attenuation.
pub fn attenuate(token: &Token, grant: &Grant, expires: Option<i64>) -> Result<Token, TokenError> {
    expires.map_or(Ok(()), check_time)?;
    let biscuit = token.read()?;
    if biscuit.block_count() > MAX_BLOCKS {
        return Err(TokenError::TooLarge("too many attenuations"));
    }
    let bytes = biscuit
        .append(block::attenuation(grant, expires)?)
        .and_then(|biscuit| biscuit.to_vec())
        .map_err(malformed)?;
    Token::sized(bytes)
}

/// Verifies signatures, vocabulary, times, session and plugin, and meets all blocks' grants.
///
/// # Errors
/// One of each reason to refuse; see [`TokenError`].
pub fn verify(
    key: &PublicKey,
    token: &Token,
    expected: &Expectation<'_>,
) -> Result<Verified, TokenError> {
    let unverified = token.read()?;
    if unverified.root_key_id() != Some(key.hint()) {
        return Err(TokenError::ForeignKey);
    }
    let biscuit = unverified
        .verify(key.0)
        .map_err(|error| TokenError::Altered(error.to_string()))?;
    let claims = blocks(&biscuit)?;
    check(&claims, expected)?;
    authorize(&biscuit, expected.now)?;
    Ok(Verified {
        claims,
        revocation_ids: biscuit.revocation_identifiers(),
    })
}

/// Reads every block and meets what they say.
fn blocks(biscuit: &Biscuit) -> Result<Claims, TokenError> {
    let signers = biscuit.external_public_keys();
    let contexts = biscuit.context();
    let mut claims: Option<Claims> = None;
    for (number, (signer, context)) in signers.iter().zip(contexts).enumerate() {
        let unknown = |what: String| TokenError::Unknown {
            block: number,
            what,
        };
        if signer.is_some() {
            return Err(unknown("a third party's signature".to_owned()));
        }
        if context.is_some() {
            return Err(unknown("a context".to_owned()));
        }
        // Printing leaves a block's scope out; scopes, and all else we do not use, need a newer version of Datalog.
        let version = biscuit.block_version(number);
        if version != Ok(DATALOG_VERSION) {
            return Err(unknown("a newer version of Datalog".to_owned()));
        }
        let source = biscuit
            .print_block_source(number)
            .map_err(|error| unknown(error.to_string()))?;
        claims = Some(match claims {
            None => block::read_authority(&source).map_err(unknown)?,
            Some(before) => {
                let (grant, expires) = block::read_attenuation(&source).map_err(unknown)?;
                Claims {
                    grant: before.grant.meet(&grant),
                    expires: expires.map_or(before.expires, |at| at.min(before.expires)),
                    ..before
                }
            }
        });
    }
    claims.ok_or_else(|| TokenError::Malformed("no block".to_owned()))
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

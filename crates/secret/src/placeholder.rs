//! What a plugin holds instead of a secret.

use crate::error::SecretError;

/// What every placeholder begins with.
pub const PLACEHOLDER_PREFIX: &str = "bailiwick-secret-";
/// Bytes of randomness in a placeholder.
const RANDOM: usize = 16;

/// A new placeholder: `bailiwick-secret-` and 32 hexadecimal digits of randomness. It stands unescaped in a header, a
/// URL, JSON and a form, and is about as long as tokens are, for programs that check the length of theirs.
///
/// # Errors
/// [`SecretError::System`] where there is no randomness.
pub fn placeholder() -> Result<String, SecretError> {
    let mut random = [0_u8; RANDOM];
    getrandom::fill(&mut random).map_err(SecretError::random)?;
    Ok(format!("{PLACEHOLDER_PREFIX}{}", hex::encode(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_harmless_and_never_twice_the_same() {
        let all: std::collections::BTreeSet<_> =
            (0..1000).map(|_| placeholder().unwrap()).collect();
        assert_eq!(all.len(), 1000);
        for one in all {
            assert_eq!(one.len(), PLACEHOLDER_PREFIX.len() + 2 * RANDOM);
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            assert!(one.bytes().all(plain), "{one}");
        }
    }
}

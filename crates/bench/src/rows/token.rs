//! Verifying a sealed grant of twenty atoms, against one bare signature check.

use bailiwick_capability::{Grant, Granted};
use bailiwick_token::{Claims, Expectation, Keys, mint, verify};
use ed25519_dalek::{Signer as _, SigningKey};

use super::Effort;
use crate::Outcome;
use crate::sample::{Row, Side, compare};

const NOW: i64 = 1_790_000_000;

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let keys = Keys::generate();
    let atoms = (0..20)
        .map(|i| format!("read_files:/data/set{i}/").parse::<Granted>())
        .collect::<Result<Vec<_>, _>>()?;
    let claims = Claims {
        session: "s".to_owned(),
        plugin: "bench".to_owned(),
        plugin_version: "1.0.0".to_owned(),
        plugin_digest: [0; 32],
        user: "u".to_owned(),
        agent: "a".to_owned(),
        grant: Grant::new(atoms),
        asks: bailiwick_token::Asks::default(),
        issued: NOW,
        expires: NOW + 3600,
    };
    let token = mint(&keys, &claims)?;
    let (public, expected) = (
        keys.public(),
        Expectation {
            session: "s",
            plugin_digest: &[0; 32],
            now: NOW,
        },
    );
    let bytes = token.to_base64().into_bytes();
    let signer = SigningKey::from_bytes(&[7; 32]);
    let (signature, verifier) = (signer.sign(&bytes), signer.verifying_key());
    let mut sides = [
        Side::new("verify", || {
            let verified = verify(&public, &token, &expected)?;
            if verified.grant().atoms().len() == 20 {
                Ok(())
            } else {
                Err("the grant is another".into())
            }
        }),
        Side::new("Ed25519 verify", || {
            Ok(verifier.verify_strict(&bytes, &signature)?)
        }),
    ];
    compare("token of 20 atoms", effort.plan(1000, 1), &mut sides)
}

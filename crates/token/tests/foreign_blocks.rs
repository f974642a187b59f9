//! Blocks that another Biscuit tool appended: whatever is not ours is refused, even where it would do no harm.
#![expect(clippy::expect_used, reason = "helpers of tests may end the test")]

use bailiwick_capability::Grant;
use bailiwick_token::{Asks, Claims, Expectation, Keys, Token, TokenError, mint, verify};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use biscuit_auth::{BlockBuilder, KeyPair, UnverifiedBiscuit};

const DIGEST: [u8; 32] = [7; 32];
const EXPECTED: Expectation<'static> = Expectation {
    session: "s",
    plugin_digest: &DIGEST,
    now: 1_000,
};

fn minted(keys: &Keys) -> Token {
    let claims = Claims {
        session: "s".to_owned(),
        plugin: "p".to_owned(),
        plugin_version: "1.0.0".to_owned(),
        plugin_digest: DIGEST,
        user: "u".to_owned(),
        agent: "a".to_owned(),
        grant: Grant::default(),
        asks: Asks::default(),
        issued: 1_000,
        expires: 2_000,
    };
    mint(keys, &claims).expect("minted")
}

fn open(token: &Token) -> UnverifiedBiscuit {
    UnverifiedBiscuit::from(URL_SAFE.decode(token.to_base64()).expect("base64")).expect("a biscuit")
}

fn outcome(keys: &Keys, biscuit: &UnverifiedBiscuit) -> TokenError {
    let text = URL_SAFE.encode(biscuit.to_vec().expect("bytes"));
    let token = Token::from_base64(&text).expect("a token");
    verify(&keys.public(), &token, &EXPECTED)
        .expect_err(&biscuit.print_block_source(1).unwrap_or_default())
}

#[test]
fn l34_whatever_is_not_ours_is_refused() {
    let keys = Keys::generate();
    let with = [
        "",
        "atom(0, hex:636c6f636b);",
        "bailiwick_attenuation(2);",
        "bailiwick_attenuation(1); right(\"/\", \"read\");",
        "bailiwick_attenuation(1); bailiwick_grant(1);",
        "bailiwick_attenuation(1); session(hex:73);",
        "bailiwick_attenuation(1); atom(0, \"clock\");",
        "bailiwick_attenuation(1); atom(0, hex:00);",
        "bailiwick_attenuation(1); atom(3, hex:636c6f636b);",
        "bailiwick_attenuation(1); hole(0, hex:636c6f636b);",
        "bailiwick_attenuation(1); expires(1500);",
        "bailiwick_attenuation(1); expires(1500); expires(1600);",
        "bailiwick_attenuation(1); check if time($time), $time < 1970-01-01T00:25:00Z;",
        "bailiwick_attenuation(1); check if true;",
        "bailiwick_attenuation(1); atom($a, $b) <- atom($a, $b);",
    ];
    for source in with {
        let block = BlockBuilder::new().code(source).expect(source);
        let biscuit = open(&minted(&keys)).append(block).expect("appended");
        let refused = outcome(&keys, &biscuit);
        assert!(
            matches!(refused, TokenError::Unknown { block: 1, .. }),
            "{source}: {refused:?}"
        );
    }
    let scoped = BlockBuilder::new()
        .code("bailiwick_attenuation(1);")
        .expect("ours but for the scope")
        .scope(biscuit_auth::builder::Scope::Previous);
    let biscuit = open(&minted(&keys)).append(scoped).expect("appended");
    assert!(matches!(
        outcome(&keys, &biscuit),
        TokenError::Unknown { block: 1, .. }
    ));
    let ours = BlockBuilder::new()
        .code("bailiwick_attenuation(1); atom(0, hex:636c6f636b); expires(1500); check if time($time), $time < 1970-01-01T00:25:00Z;")
        .expect("ours");
    let biscuit = open(&minted(&keys)).append(ours).expect("appended");
    let text = URL_SAFE.encode(biscuit.to_vec().expect("bytes"));
    let token = Token::from_base64(&text).expect("a token");
    assert!(
        verify(&keys.public(), &token, &EXPECTED).is_ok(),
        "the one form that is"
    );
}

#[test]
fn a_context_and_a_third_partys_block_are_refused() {
    let keys = Keys::generate();
    let ours = || {
        BlockBuilder::new()
            .code("bailiwick_attenuation(1);")
            .expect("ours")
    };
    let spoken = open(&minted(&keys))
        .append(ours().context("hello".to_owned()))
        .expect("appended");
    assert!(matches!(
        outcome(&keys, &spoken),
        TokenError::Unknown { .. }
    ));

    let biscuit = open(&minted(&keys));
    let block = biscuit
        .third_party_request()
        .and_then(|request| request.create_block(&KeyPair::new().private(), ours()))
        .and_then(|block| block.serialize())
        .expect("a third party's block");
    let signed = biscuit.append_third_party(&block).expect("appended");
    assert!(matches!(
        outcome(&keys, &signed),
        TokenError::Unknown { .. }
    ));
}

#[test]
fn a_biscuit_that_is_no_grant_is_refused() {
    let keys = Keys::generate();
    let hint = open(&minted(&keys)).root_key_id().expect("a hint");
    let pair = KeyPair::from(
        &biscuit_auth::PrivateKey::from_bytes(
            &keys.private_bytes(),
            biscuit_auth::Algorithm::Ed25519,
        )
        .expect("a key"),
    );
    let other = biscuit_auth::Biscuit::builder()
        .fact("user(\"root\")")
        .expect("a fact")
        .root_key_id(hint)
        .build(&pair)
        .expect("built");
    let token =
        Token::from_base64(&URL_SAFE.encode(other.to_vec().expect("bytes"))).expect("a token");
    assert!(matches!(
        verify(&keys.public(), &token, &EXPECTED),
        Err(TokenError::Unknown { block: 0, .. })
    ));
}

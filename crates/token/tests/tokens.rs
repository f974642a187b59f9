//! Tokens as the gate uses them: what is sealed comes out, attenuation narrows, everything else is refused.
#![expect(clippy::expect_used, reason = "helpers of tests may end the test")]

use bailiwick_capability::{Capability, Grant, Granted};
use bailiwick_token::{
    Asks, Claims, Expectation, Keys, MAX_BLOCKS, MAX_TOKEN_BYTES, Narrowing, Retired, Token,
    TokenError, Trusted, attenuate, inspect, mint, verify,
};
use proptest::prelude::*;

const DIGEST: [u8; 32] = [7; 32];
const EXPECTED: Expectation<'static> = Expectation {
    session: "s-1",
    plugin_digest: &DIGEST,
    now: 1_000,
};

fn grant(atoms: &[&str]) -> Grant {
    Grant::new(
        atoms
            .iter()
            .map(|text| text.parse::<Granted>().expect(text)),
    )
}

fn to(grant: Grant, expires: Option<i64>) -> Narrowing {
    Narrowing {
        grant,
        expires,
        by: None,
    }
}

fn claims(grant: Grant) -> Claims {
    Claims {
        session: "s-1".to_owned(),
        plugin: "reader".to_owned(),
        plugin_version: "1.2.3".to_owned(),
        plugin_digest: DIGEST,
        user: "ann \"); atom(0, hex:00".to_owned(),
        agent: "agent\n\\".to_owned(),
        grant,
        asks: Asks::default(),
        issued: 990,
        expires: 2_000,
    }
}

fn usual() -> Claims {
    claims(grant(&["read_files:/data/ except /data/hr/", "clock"]))
}

#[test]
fn what_is_sealed_comes_out() {
    let keys = Keys::generate();
    let token = mint(&keys, &usual()).expect("minted");
    let token = Token::from_base64(&token.to_base64()).expect("base64");
    let verified = verify(&keys.public(), &token, &EXPECTED).expect("verified");
    assert_eq!(verified.claims(), &usual());
    assert_eq!(verified.expires(), 2_000);
    assert_eq!(verified.revocation_ids().len(), 1);
}

#[test]
fn keys_survive_their_bytes() {
    let keys = Keys::generate();
    let again = Keys::from_private_bytes(&keys.private_bytes()).expect("a key");
    assert_eq!(again.public(), keys.public());
    let token = mint(&again, &usual()).expect("minted");
    assert!(verify(&keys.public(), &token, &EXPECTED).is_ok());
    assert!(matches!(
        Keys::from_private_bytes(&[1; 5]),
        Err(TokenError::BadKey(_))
    ));
}

#[test]
fn each_reason_to_refuse_has_its_own_error() {
    let keys = Keys::generate();
    let token = mint(&keys, &usual()).expect("minted");
    let refused =
        |expected: Expectation<'_>| verify(&keys.public(), &token, &expected).expect_err("refused");
    assert_eq!(
        refused(Expectation {
            now: 2_000,
            ..EXPECTED
        }),
        TokenError::Expired {
            expires: 2_000,
            now: 2_000
        }
    );
    assert!(
        verify(
            &keys.public(),
            &token,
            &Expectation {
                now: 1_999,
                ..EXPECTED
            }
        )
        .is_ok()
    );
    assert_eq!(
        refused(Expectation { now: 0, ..EXPECTED }),
        TokenError::NotYetValid {
            issued: 990,
            now: 0
        }
    );
    assert_eq!(
        refused(Expectation {
            session: "s-2",
            ..EXPECTED
        }),
        TokenError::WrongSession
    );
    let other = [8; 32];
    assert_eq!(
        refused(Expectation {
            plugin_digest: &other,
            ..EXPECTED
        }),
        TokenError::WrongPlugin
    );
    assert_eq!(
        verify(&Keys::generate().public(), &token, &EXPECTED).expect_err("foreign"),
        TokenError::ForeignKey
    );
    assert!(matches!(
        Token::from_base64("no token"),
        Err(TokenError::Malformed(_))
    ));
    let long = "A".repeat(MAX_TOKEN_BYTES * 2);
    assert!(matches!(
        Token::from_base64(&long),
        Err(TokenError::TooLarge(_))
    ));
}

#[test]
fn every_altered_byte_is_refused() {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE;
    let keys = Keys::generate();
    let token = mint(&keys, &usual()).expect("minted");
    let token = attenuate(&token, &to(grant(&["clock"]), Some(1_500))).expect("attenuated");
    let bytes = engine.decode(token.to_base64()).expect("base64");
    let accepted = |bytes: &[u8]| {
        Token::from_base64(&engine.encode(bytes))
            .and_then(|token| verify(&keys.public(), &token, &EXPECTED))
            .is_ok()
    };
    assert!(accepted(&bytes));
    for at in 0..bytes.len() {
        let flip = 1 << (at % 8);
        let mut altered = bytes.clone();
        altered[at] ^= flip;
        assert!(!accepted(&altered), "byte {at} ^ {flip:#x}");
    }
    // An unknown protobuf field behind the signed ones (field 99, varint 1).
    let mut longer = bytes.clone();
    longer.extend([0x98, 0x06, 0x01]);
    assert!(!accepted(&longer));
    assert!(!accepted(&bytes[..bytes.len() - 1]));
    assert!(!accepted(&[]));
}

#[test]
fn attenuation_narrows_scope_and_time_and_keeps_who() {
    let keys = Keys::generate();
    let token = mint(&keys, &usual()).expect("minted");
    let narrowed =
        attenuate(&token, &to(grant(&["read_files:/data/docs/"]), Some(1_500))).expect("narrowed");
    let verified = verify(&keys.public(), &narrowed, &EXPECTED).expect("verified");
    assert_eq!(verified.grant(), &grant(&["read_files:/data/docs/"]));
    assert_eq!(verified.expires(), 1_500);
    assert_eq!(verified.claims().user, usual().user);
    assert_eq!(verified.revocation_ids().len(), 2);
    let later = Expectation {
        now: 1_500,
        ..EXPECTED
    };
    assert!(matches!(
        verify(&keys.public(), &narrowed, &later),
        Err(TokenError::Expired { .. })
    ));

    let hole =
        attenuate(&token, &to(grant(&["read_files:/"]), Some(9_999))).expect("a wish to widen");
    let verified = verify(&keys.public(), &hole, &EXPECTED).expect("verified");
    assert_eq!(
        verified.grant(),
        &grant(&["read_files:/data/ except /data/hr/"])
    );
    assert_eq!(verified.expires(), 2_000, "no later than was sealed");
}

#[test]
fn l2_an_empty_grant_grants_nothing() {
    let keys = Keys::generate();
    let token = mint(&keys, &claims(Grant::default())).expect("minted");
    assert!(
        verify(&keys.public(), &token, &EXPECTED)
            .expect("verified")
            .grant()
            .is_empty()
    );
    let token = mint(&keys, &usual()).expect("minted");
    let token = attenuate(&token, &Narrowing::default()).expect("attenuated");
    assert!(
        verify(&keys.public(), &token, &EXPECTED)
            .expect("verified")
            .grant()
            .is_empty()
    );
}

#[test]
fn blocks_are_bounded() {
    let keys = Keys::generate();
    let mut token = mint(&keys, &usual()).expect("minted");
    for _ in 0..MAX_BLOCKS {
        token = attenuate(&token, &to(usual().grant, None)).expect("within the bound");
    }
    assert!(verify(&keys.public(), &token, &EXPECTED).is_ok());
    assert!(matches!(
        attenuate(&token, &to(usual().grant, None)),
        Err(TokenError::TooLarge(_))
    ));
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let keys = Keys::generate();
    let wrong = [
        Claims {
            expires: 990,
            ..usual()
        },
        Claims {
            issued: -1,
            ..usual()
        },
        Claims {
            expires: i64::MAX,
            ..usual()
        },
        Claims {
            user: "u".repeat(2_000),
            ..usual()
        },
    ];
    for claims in wrong {
        assert!(
            matches!(mint(&keys, &claims), Err(TokenError::Unsealable(_))),
            "{claims:?}"
        );
    }
}

#[test]
fn l35_tokens_and_keys_do_not_print() {
    let keys = Keys::generate();
    let token = mint(&keys, &usual()).expect("minted");
    let shown = format!("{token:?}");
    assert!(
        shown.starts_with("Token(") && shown.ends_with("bytes, redacted)"),
        "{shown}"
    );
    assert!(!shown.contains(&token.to_base64()[..16]));

    // A key that learned to print would make the inherent constant apply.
    struct Probe<T>(std::marker::PhantomData<T>);
    trait Silent {
        const PRINTS: bool = false;
    }
    impl<T> Silent for Probe<T> {}
    macro_rules! prints {
        ($of:ty, $how:path) => {{
            #[expect(dead_code, reason = "applies only to types that print")]
            impl<T: $how> Probe<T> {
                const PRINTS: bool = true;
            }
            <Probe<$of>>::PRINTS
        }};
    }
    assert!(!prints!(Keys, std::fmt::Debug));
}

#[test]
fn a_retired_key_counts_for_what_it_minted_and_for_nothing_later() {
    let (old, new) = (Keys::generate(), Keys::generate());
    let token = mint(&old, &usual()).expect("minted before");
    let trusted = |at| {
        Trusted::new(
            new.public(),
            vec![Retired {
                key: old.public(),
                at,
            }],
        )
    };
    let grant = usual().grant;
    let verified = trusted(990).verify(&token, &EXPECTED).expect("verified");
    assert_eq!(verified.grant(), &grant);
    assert_eq!(
        trusted(989).verify(&token, &EXPECTED).expect_err("forged"),
        TokenError::RetiredKey {
            issued: 990,
            retired: 989
        }
    );
    let newer = mint(&new, &usual()).expect("minted after");
    assert!(trusted(0).verify(&newer, &EXPECTED).is_ok());
    assert_eq!(
        verify(&new.public(), &token, &EXPECTED).expect_err("not told of the old key"),
        TokenError::ForeignKey
    );
    let expired = Expectation {
        now: 2_000,
        ..EXPECTED
    };
    assert!(matches!(
        trusted(990).verify(&token, &expired),
        Err(TokenError::Expired { .. })
    ));
}

#[test]
fn inspection_says_who_narrowed_it_and_what_is_left() {
    let keys = Keys::generate();
    let token = mint(&keys, &usual()).expect("minted");
    let by = Narrowing {
        grant: grant(&["clock", "random"]),
        expires: Some(1_200),
        by: Some("sub-agent \u{1b}[31m \"x\"".to_owned()),
    };
    let token = attenuate(&token, &by).expect("narrowed");
    let told = inspect(&token, 1_000).expect("a token of ours");
    assert_eq!(told.sealed, usual());
    assert_eq!(told.narrowings, [by]);
    assert_eq!(told.grant, grant(&["clock"]));
    assert_eq!(told.expires, 1_200);
    let verified = verify(&keys.public(), &token, &EXPECTED).expect("verified");
    assert_eq!(told.grant, *verified.grant());
    assert_eq!(told.revocation_ids, verified.revocation_ids());
    let long = Narrowing {
        by: Some("b".repeat(2_000)),
        ..Narrowing::default()
    };
    assert!(matches!(
        attenuate(&token, &long),
        Err(TokenError::Unsealable(_))
    ));
}

fn atom() -> impl Strategy<Value = Granted> {
    let path = prop::sample::select(vec!["/a/", "/a/b/", "/a/b/c", "/d/", "/"]);
    let kind = prop::sample::select(vec!["read_files", "write_files"]);
    let file = (kind, path.clone(), prop::option::of(path)).prop_filter_map(
        "something must be left",
        |(kind, tree, hole)| {
            let capability: Capability = format!("{kind}:{tree}").parse().ok()?;
            let hole = hole.and_then(|hole| format!("{kind}:{hole}").parse::<Capability>().ok());
            Granted::with_holes(capability, hole)
        },
    );
    let other = prop::sample::select(vec![
        "network_access:https://*.example.com/v1/ GET",
        "network_access:tcp://db.example.com:5432",
        "network_access",
        "execute_code:/usr/bin/git 'log all of this'",
        "read_environment:APP_*",
        "use_secret:github_token",
        "clock",
    ])
    .prop_map(|text| Granted::whole(text.parse().expect(text)));
    prop_oneof![3 => file, 1 => other]
}

fn any_grant() -> impl Strategy<Value = Grant> {
    prop::collection::vec(atom(), 0..6).prop_map(Grant::new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn verify_after_mint_is_the_identity(grant in any_grant(), user in ".{0,40}", agent in ".{0,40}") {
        let keys = Keys::generate();
        let sealed = Claims { user, agent, ..claims(grant) };
        let token = mint(&keys, &sealed).expect("minted");
        let verified = verify(&keys.public(), &token, &EXPECTED).expect("verified");
        prop_assert_eq!(verified.claims(), &sealed);
    }

    #[test]
    fn l34_no_attenuation_widens(sealed in any_grant(), wishes in prop::collection::vec((any_grant(), prop::option::of(1_001_i64..5_000)), 1..4)) {
        let keys = Keys::generate();
        let mut token = mint(&keys, &claims(sealed.clone())).expect("minted");
        let mut wanted = sealed.clone();
        let mut until = 2_000;
        for (wish, expires) in wishes {
            token = attenuate(&token, &to(wish.clone(), expires)).expect("attenuated");
            let verified = verify(&keys.public(), &token, &EXPECTED).expect("verified");
            wanted = wanted.meet(&wish);
            until = until.min(expires.unwrap_or(until));
            prop_assert_eq!(verified.grant(), &wanted);
            prop_assert!(sealed.contains(verified.grant()));
            prop_assert_eq!(verified.expires(), until);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        use base64::Engine;
        let text = base64::engine::general_purpose::URL_SAFE.encode(bytes);
        let token = Token::from_base64(&text).expect("small base64");
        prop_assert!(verify(&Keys::generate().public(), &token, &EXPECTED).is_err());
        prop_assert!(attenuate(&token, &Narrowing::default()).is_err());
    }
}

//! The published samples of Biscuit: the library answers as the specification says, and none of them is a grant.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_token::{Expectation, PublicKey, Token, verify};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use biscuit_auth::builder::Term;
use biscuit_auth::datalog::ExternFunc;
use biscuit_auth::error::{FailedCheck, Logic, Token as Error};
use biscuit_auth::{Algorithm, AuthorizerBuilder, AuthorizerLimits, Biscuit};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/biscuit")
}

fn samples() -> Value {
    let text = std::fs::read(folder().join("samples.json")).expect("the samples");
    serde_json::from_slice(&text).expect("JSON")
}

fn root_key(samples: &Value) -> Vec<u8> {
    hex::decode(samples["root_public_key"].as_str().expect("a key")).expect("hex")
}

/// The one function that a sample calls.
fn test_function(left: Term, right: Option<Term>) -> Result<Term, String> {
    match (left, right) {
        (left, None) => Ok(left),
        (Term::Str(left), Some(Term::Str(right))) => {
            let word = if left == right { "equal" } else { "different" };
            Ok(Term::Str(format!("{word} strings")))
        }
        _ => Err("unsupported operands".to_owned()),
    }
}

/// An answer as far as the samples fix it: the policy, or the kind of error and what failed.
fn answer(bytes: &[u8], key: &[u8], code: &str) -> (Result<usize, String>, Vec<String>) {
    let root = biscuit_auth::PublicKey::from_bytes(key, Algorithm::Ed25519).expect("a key");
    let biscuit = match Biscuit::from(bytes, root) {
        Ok(biscuit) => biscuit,
        Err(error) => return (Err(kind(&error)), Vec::new()),
    };
    let ids = biscuit.revocation_identifiers();
    let limits = AuthorizerLimits {
        max_time: Duration::from_secs(60),
        ..AuthorizerLimits::default()
    };
    let function = ExternFunc::new(Arc::new(test_function));
    let answer = AuthorizerBuilder::new()
        .set_limits(limits)
        .set_extern_funcs(HashMap::from([("test".to_owned(), function)]))
        .code(code)
        .and_then(|builder| builder.build(&biscuit))
        .and_then(|mut authorizer| authorizer.authorize());
    let ids = ids.iter().map(hex::encode).collect();
    (answer.map_err(|error| kind(&error)), ids)
}

fn kind(error: &Error) -> String {
    match error {
        Error::Format(_) => "Format".to_owned(),
        Error::FailedLogic(Logic::Unauthorized { checks, .. }) => {
            let failed: BTreeSet<_> = checks
                .iter()
                .map(|check| match check {
                    FailedCheck::Block(check) => format!("{}/{}", check.block_id, check.check_id),
                    FailedCheck::Authorizer(check) => format!("authorizer/{}", check.check_id),
                })
                .collect();
            format!("Unauthorized {failed:?}")
        }
        Error::FailedLogic(Logic::InvalidBlockRule(block, _)) => {
            format!("InvalidBlockRule {block}")
        }
        Error::Execution(expression) => format!("Execution {expression:?}"),
        other => format!("{other:?}"),
    }
}

fn expected(result: &Value) -> Result<usize, String> {
    if let Some(policy) = result["Ok"].as_u64() {
        return Ok(usize::try_from(policy).expect("small"));
    }
    let error = &result["Err"];
    if error.get("Format").is_some() {
        return Err("Format".to_owned());
    }
    if let Some(expression) = error["Execution"].as_str() {
        return Err(format!("Execution {expression}"));
    }
    if let Some(rule) = error["FailedLogic"].get("InvalidBlockRule") {
        return Err(format!("InvalidBlockRule {}", rule[0]));
    }
    let checks = error["FailedLogic"]["Unauthorized"]["checks"]
        .as_array()
        .expect("failed checks");
    let failed: BTreeSet<_> = checks
        .iter()
        .map(|check| match check.get("Block") {
            Some(block) => format!("{}/{}", block["block_id"], block["check_id"]),
            None => format!("authorizer/{}", check["Authorizer"]["check_id"]),
        })
        .collect();
    Err(format!("Unauthorized {failed:?}"))
}

#[test]
fn the_library_answers_every_published_sample_as_it_should() {
    let samples = samples();
    let key = root_key(&samples);
    let mut answered = 0;
    for case in samples["testcases"].as_array().expect("cases") {
        let name = case["filename"].as_str().expect("a name");
        let bytes = std::fs::read(folder().join(name)).expect(name);
        for (which, validation) in case["validations"].as_object().expect("validations") {
            let code = validation["authorizer_code"].as_str().expect("code");
            let (answer, ids) = answer(&bytes, &key, code);
            assert_eq!(answer, expected(&validation["result"]), "{name} {which}");
            let told: Vec<_> = validation["revocation_ids"]
                .as_array()
                .expect("ids")
                .iter()
                .map(|id| id.as_str().expect("hex").to_owned())
                .collect();
            assert_eq!(ids, told, "{name} {which}");
            answered += 1;
        }
    }
    assert_eq!(answered, 50, "all of them");
}

#[test]
fn no_published_sample_is_a_grant() {
    let samples = samples();
    let key = PublicKey::from_bytes(&root_key(&samples)).expect("a key");
    let expected = Expectation {
        session: "",
        plugin_digest: &[0; 32],
        now: 1_000,
    };
    for case in samples["testcases"].as_array().expect("cases") {
        let name = case["filename"].as_str().expect("a name");
        let bytes = std::fs::read(folder().join(name)).expect(name);
        let token = Token::from_base64(&URL_SAFE.encode(&bytes)).expect("small");
        assert!(verify(&key, &token, &expected).is_err(), "{name}");
        assert!(bailiwick_token::inspect(&token, 1_000).is_err(), "{name}");
    }
}

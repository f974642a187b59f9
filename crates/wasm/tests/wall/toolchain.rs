//! A component that a language toolchain built: JavaScript, by `scripts/build-components.sh`.

use std::path::Path;

use bailiwick_wasm::{CallError, Wasm};
use serde_json::json;

use crate::{call, grant, limits};

/// Where the script puts what it built.
const BUILT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/components/text.wasm"
);

/// The built component. Missing, it is named and the test ends; in CI that is a failure.
fn built() -> Option<Vec<u8>> {
    let path = std::env::var("BAILIWICK_COMPONENTS")
        .map_or_else(|_| BUILT.into(), |dir| format!("{dir}/text.wasm"));
    match std::fs::read(Path::new(&path)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(
                !ci,
                "{path}: {error}; run scripts/build-components.sh first"
            );
            eprintln!("MISSING {path}: run scripts/build-components.sh; this test did nothing");
            None
        }
    }
}

#[tokio::test]
async fn a_javascript_component_runs_without_any_sdk() {
    let Some(bytes) = built() else { return };
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let wall = Wasm::new(Some(cache.clone())).unwrap();
    let limits = bailiwick_wall::Limits {
        memory_bytes: 256 << 20,
        ..limits()
    };
    let plugin = wall
        .load(&bytes, &grant::<&str>(&[]), Vec::new(), &limits)
        .unwrap();
    let names: Vec<_> = plugin
        .tools()
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    // The toolchain leaves an export of its own behind, which is offered like any other.
    assert_eq!(names, ["init", "text_parse-point", "text_shout"]);
    let (outcome, _) = call(&plugin, "text_shout", json!({"text": "quiet", "times": 2})).await;
    assert_eq!(outcome, Ok(json!({"result": "QUIET!!"})));
    let (outcome, _) = call(&plugin, "text_parse-point", json!({"text": "3,4"})).await;
    assert_eq!(outcome, Ok(json!({"x": 3.0, "y": 4.0})));
    let (outcome, _) = call(&plugin, "text_parse-point", json!({"text": "nowhere"})).await;
    assert_eq!(outcome, Err(CallError::Tool(json!("not a point: nowhere"))));
    // Compiled code was kept, and a second engine loads it.
    drop(wall);
    let again = Wasm::new(Some(cache))
        .unwrap()
        .load(&bytes, &grant::<&str>(&[]), Vec::new(), &limits)
        .unwrap();
    let (outcome, _) = call(&again, "text_shout", json!({"text": "b", "times": 1})).await;
    assert_eq!(outcome, Ok(json!({"result": "B!"})));
}

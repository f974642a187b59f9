//! The components of `examples/demo`, which `bailiwick demo` shows.

use std::fs;

use bailiwick_wasm::CallError;
use serde_json::json;

use crate::{call, component, load, refusal};

const NOTEBOOK: &str = include_str!("../../../../examples/demo/notebook.wat");
const COURIER: &str = include_str!("../../../../examples/demo/courier.wat");

#[tokio::test]
async fn the_notebook_counts_words_and_reads_its_notes() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path())
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    fs::create_dir(format!("{root}/notes")).unwrap();
    fs::write(format!("{root}/notes/monday"), "buy milk").unwrap();
    fs::write(format!("{root}/key"), "planted key").unwrap();
    let plugin = load(&component(NOTEBOOK), &[format!("read_files:{root}/notes/")]).unwrap();
    let (outcome, _) = call(&plugin, "word-count", json!({"text": "  one two\nthree "})).await;
    assert_eq!(outcome, Ok(json!({"result": 3})));
    let (outcome, aside) = call(
        &plugin,
        "read-note",
        json!({"path": format!("{root}/notes/monday")}),
    )
    .await;
    assert_eq!(outcome, Ok(json!({"result": "buy milk"})));
    assert!(aside.denied.is_empty());
    let (outcome, _) = call(&plugin, "read-note", json!({"path": format!("{root}/key")})).await;
    assert_eq!(
        outcome,
        Err(CallError::Tool(json!(
            "no directory that holds this path is open to me"
        )))
    );
    let sly = json!({"path": format!("{root}/notes/../key")});
    let (outcome, aside) = call(&plugin, "read-note", sly.clone()).await;
    assert_eq!(
        outcome,
        Err(CallError::Tool(json!("the host did not let me open it")))
    );
    assert_eq!(aside.denied[0].operation, "read_files");
    let wide = load(&component(NOTEBOOK), &[format!("read_files:{root}/")]).unwrap();
    assert_eq!(
        call(&wide, "read-note", sly).await.0,
        Ok(json!({"result": "planted key"})),
        "the attack is real"
    );
}

#[test]
fn the_courier_is_not_even_compiled_without_network() {
    let error = refusal(load(&component(COURIER), &[] as &[&str]));
    assert!(
        error.contains("wasi:http/outgoing-handler@0.2.0") && error.contains("network_access"),
        "{error}"
    );
    assert!(load(&component(COURIER), &["network_access:https://example.com"]).is_ok());
}

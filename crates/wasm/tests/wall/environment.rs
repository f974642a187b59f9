//! Only granted variables reach the component.

use serde_json::{Value, json};

use crate::{call, component, grant, limits, wall};

const NOSY: &str = r#"(component
  (import "wasi:cli/environment@0.2.0" (instance $env
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))))
  $$LIBC
  (core func $get (canon lower (func $env "get-environment") (memory $memory) (realloc $realloc)))
  (core func $args (canon lower (func $env "get-arguments") (memory $memory) (realloc $realloc)))
  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "get" (func $get (param i32)))
    (import "host" "args" (func $args (param i32)))
    (func (export "environment") (result i32) (call $get (i32.const 1024)) (i32.const 1024))
    (func (export "arguments") (result i32) (call $args (i32.const 1024)) (i32.const 1024)))
  (core instance $main (instantiate $main (with "libc" (instance $libc))
    (with "host" (instance (export "get" (func $get)) (export "args" (func $args))))))
  (func (export "environment") (result (list (tuple string string)))
    (canon lift (core func $main "environment") (memory $memory)))
  (func (export "arguments") (result (list string)) (canon lift (core func $main "arguments") (memory $memory))))"#;

async fn seen(atoms: &[&str]) -> Value {
    let env = ["LANG", "APP_MODE", "APP_KEY", "AWS_SECRET"]
        .map(|name| (name.to_owned(), name.to_lowercase()));
    let plugin = wall()
        .load(&component(NOSY), &grant(atoms), env.to_vec(), &limits())
        .unwrap();
    assert_eq!(
        call(&plugin, "arguments", json!({})).await.0,
        Ok(json!({"result": []})),
        "no arguments leak"
    );
    call(&plugin, "environment", json!({})).await.0.unwrap()["result"].clone()
}

#[tokio::test]
async fn l20_only_granted_variables_exist() {
    assert_eq!(seen(&[]).await, json!([]), "nothing of ours is inherited");
    assert_eq!(
        seen(&["read_environment:LANG"]).await,
        json!([["LANG", "lang"]])
    );
    assert_eq!(
        seen(&["read_environment:APP_*"]).await,
        json!([["APP_MODE", "app_mode"], ["APP_KEY", "app_key"]])
    );
    assert_eq!(
        seen(&["read_environment:APP_* except APP_KEY"]).await,
        json!([["APP_MODE", "app_mode"]])
    );
    assert_eq!(
        seen(&["read_environment"]).await.as_array().unwrap().len(),
        4
    );
}

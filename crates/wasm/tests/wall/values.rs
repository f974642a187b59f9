//! Values through real components.

use bailiwick_wasm::CallError;
use serde_json::{Value, json};

use crate::{call, component, load, refusal};

/// A component whose `same` returns its list of `ty`.
fn same(declared: &str, ty: &str) -> Vec<u8> {
    component(&format!(
        r#"(component $$LIBC {declared}
          (core module $main
            (import "libc" "memory" (memory 2))
            (func (export "same") (param i32 i32) (result i32)
              (i32.store (i32.const 1024) (local.get 0))
              (i32.store (i32.const 1028) (local.get 1))
              (i32.const 1024)))
          (core instance $main (instantiate $main (with "libc" (instance $libc))))
          (func (export "same") (param "items" (list {ty})) (result (list {ty}))
            (canon lift (core func $main "same") (memory $memory) (realloc $realloc))))"#
    ))
}

async fn comes_back(declared: &str, ty: &str, items: Value) {
    let plugin = load(&same(declared, ty), &[] as &[&str]).unwrap();
    let (outcome, _) = call(&plugin, "same", json!({"items": items})).await;
    assert_eq!(outcome, Ok(json!({"result": items})), "{ty}");
}

#[tokio::test]
async fn every_type_that_json_carries_comes_back() {
    comes_back("", "bool", json!([true, false])).await;
    comes_back("", "s8", json!([-128, 127])).await;
    comes_back("", "u32", json!([0, 4_294_967_295_u32])).await;
    comes_back("", "s64", json!([-1, "-9223372036854775808"])).await;
    comes_back("", "u64", json!([0, "18446744073709551615"])).await;
    comes_back("", "f64", json!([0.5, "NaN", "-Infinity"])).await;
    comes_back("", "char", json!(["a", "€", "\u{1f980}"])).await;
    comes_back("", "string", json!(["", "naïve\n", "日本"])).await;
    comes_back("", "u8", json!("AP8=")).await;
    comes_back("", "(option string)", json!([null, "x"])).await;
    comes_back(
        "",
        "(option (option bool))",
        json!([null, {"some": null}, {"some": true}]),
    )
    .await;
    comes_back(
        "",
        "(result string (error u8))",
        json!([{"ok": "x"}, {"error": 7}]),
    )
    .await;
    comes_back("", "(tuple u8 string)", json!([[1, "x"]])).await;
    comes_back("", "(list u16)", json!([[], [1, 2]])).await;
    let record = r#"(type $r' (record (field "x" s32) (field "label" (option string)))) (export $r "r" (type $r'))"#;
    comes_back(
        record,
        "$r",
        json!([{"x": -1, "label": null}, {"x": 2, "label": "b"}]),
    )
    .await;
    let variant =
        r#"(type $v' (variant (case "none") (case "some-number" f32))) (export $v "v" (type $v'))"#;
    comes_back(variant, "$v", json!(["none", {"some-number": 1.5}])).await;
    let colour = r#"(type $e' (enum "red" "blue")) (export $e "e" (type $e'))"#;
    comes_back(colour, "$e", json!(["blue", "red"])).await;
    let flags = r#"(type $f' (flags "a" "b" "c")) (export $f "f" (type $f'))"#;
    comes_back(flags, "$f", json!([[], ["a", "c"]])).await;
}

#[tokio::test]
async fn wrong_arguments_run_nothing_and_say_what_is_wrong() {
    let plugin = load(&same("", "u8"), &[] as &[&str]).unwrap();
    for (arguments, says) in [
        (json!({}), "`items` is missing"),
        (json!({"items": [1]}), "not a list<u8>"),
        (json!({"items": "!"}), "not base64"),
        (json!({"items": "", "more": 1}), "`more` is unknown"),
    ] {
        let (outcome, _) = call(&plugin, "same", arguments).await;
        let Err(CallError::Arguments(why)) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(why.contains(says), "{why}");
    }
    let (outcome, _) = call(&plugin, "other", json!({})).await;
    assert_eq!(outcome, Err(CallError::UnknownTool("other".into())));
}

/// One function in an interface, one at the root, one that takes a resource, one that fails.
const TOOLS: &str = r#"(component $$LIBC
  (type $thing (resource (rep i32)))
  (core module $main
    (import "libc" "memory" (memory 2))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "fail") (param i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.ne (local.get 0) (i32.const 0)))
      (i32.store8 (i32.const 1025) (local.get 0))
      (i32.const 1024))
    (func (export "nothing"))
    (func (export "use") (param i32)))
  (core instance $main (instantiate $main (with "libc" (instance $libc))))
  (func $add (param "a" u16) (param "b" u16) (result u32) (canon lift (core func $main "add")))
  (instance $sums (export "add" (func $add)))
  (export "acme:maths/sums@1.0.0" (instance $sums))
  (export $t "thing" (type $thing))
  (func (export "use") (param "it" (own $t)) (canon lift (core func $main "use")))
  (func (export "nothing") (canon lift (core func $main "nothing")))
  (func (export "fail") (param "with" u8) (result (result (error u8)))
    (canon lift (core func $main "fail") (memory $memory))))"#;

#[tokio::test]
async fn exported_functions_are_tools_with_schemas() {
    let plugin = load(&component(TOOLS), &[] as &[&str]).unwrap();
    let names: Vec<_> = plugin
        .tools()
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["fail", "nothing", "sums_add"],
        "a function over resources is no tool"
    );
    let add = &plugin.tools()[2];
    assert_eq!(add.description, "add: func(a: u16, b: u16) -> u32");
    assert_eq!(
        add.input_schema,
        json!({
            "type": "object",
            "properties": {
                "a": {"type": "integer", "minimum": 0, "maximum": 65535},
                "b": {"type": "integer", "minimum": 0, "maximum": 65535},
            },
            "required": ["a", "b"],
            "additionalProperties": false,
        })
    );
    let output = add.output_schema.as_ref().unwrap();
    assert_eq!(output["properties"]["result"]["maximum"], json!(u32::MAX));
    assert_eq!(
        call(&plugin, "sums_add", json!({"a": 65535, "b": 1}))
            .await
            .0,
        Ok(json!({"result": 65536}))
    );
    assert_eq!(call(&plugin, "nothing", json!({})).await.0, Ok(Value::Null));
    assert_eq!(
        call(&plugin, "fail", json!({"with": 0})).await.0,
        Ok(Value::Null)
    );
    assert_eq!(
        call(&plugin, "fail", json!({"with": 7})).await.0,
        Err(CallError::Tool(json!(7)))
    );
}

#[tokio::test]
async fn no_state_outlives_a_call() {
    let counter = component(
        r#"(component
          (core module $main (global $n (mut i32) (i32.const 0))
            (func (export "next") (result i32)
              (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
          (core instance $main (instantiate $main))
          (func (export "next") (result u32) (canon lift (core func $main "next"))))"#,
    );
    let plugin = load(&counter, &[] as &[&str]).unwrap();
    for _ in 0..3 {
        assert_eq!(
            call(&plugin, "next", json!({})).await.0,
            Ok(json!({"result": 1}))
        );
    }
}

#[test]
fn what_is_no_component_is_refused() {
    let none: &[&str] = &[];
    assert!(refusal(load(b"\x7fELF", none)).contains("not a wasm component"));
    assert!(refusal(load(&component("(module)"), none)).contains("core wasm module"));
    assert!(refusal(load(&component("(component)"), none)).contains("exports no function"));
    let mut torn = component(TOOLS);
    torn.truncate(torn.len() / 2);
    assert!(refusal(load(&torn, none)).contains("not a wasm component"));
}

#[tokio::test]
async fn calls_run_side_by_side_on_any_thread() {
    let plugin = std::sync::Arc::new(load(&component(TOOLS), &[] as &[&str]).unwrap());
    let tasks: Vec<_> = (0..8_u16)
        .map(|n| {
            let plugin = std::sync::Arc::clone(&plugin);
            tokio::spawn(async move { call(&plugin, "sums_add", json!({"a": n, "b": n})).await.0 })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), Ok(json!({"result": 2 * n})));
    }
}

//! Memory, time and output are bounded, and the wall lives on.

use std::time::Duration;

use bailiwick_wall::Limits;
use bailiwick_wasm::{CallError, Plugin};
use serde_json::json;

use crate::{call, component, grant, limits, wall};

const GREEDY: &str = r#"(component
  (core module $main
    (memory (export "memory") 1)
    (table 1 funcref)
    (func (export "spin") (loop $l (br $l)))
    (func (export "crash") unreachable)
    (func (export "deep") (result i32) (call 2))
    (func (export "hoard") (loop $l
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) (br $l)))
    (func (export "tables") (loop $l
      (if (i32.eq (table.grow (ref.null func) (i32.const 65536)) (i32.const -1)) (then unreachable)) (br $l)))
    (func (export "flood") (param $len i32) (result i32)
      (drop (memory.grow (i32.const 400)))
      (memory.fill (i32.const 2048) (i32.const 97) (local.get $len))
      (i32.store (i32.const 1024) (i32.const 2048))
      (i32.store (i32.const 1028) (local.get $len))
      (i32.const 1024)))
  (core instance $main (instantiate $main))
  (alias core export $main "memory" (core memory $memory))
  (func (export "spin") (canon lift (core func $main "spin")))
  (func (export "crash") (canon lift (core func $main "crash")))
  (func (export "deep") (result u32) (canon lift (core func $main "deep")))
  (func (export "hoard") (canon lift (core func $main "hoard")))
  (func (export "tables") (canon lift (core func $main "tables")))
  (func (export "flood") (param "len" u32) (result string) (canon lift (core func $main "flood") (memory $memory)))
  (func (export "items") (param "len" u32) (result (list bool))
    (canon lift (core func $main "flood") (memory $memory))))"#;

fn greedy(limits: &Limits) -> Plugin {
    wall()
        .load(&component(GREEDY), &grant::<&str>(&[]), Vec::new(), limits)
        .unwrap()
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_time_and_others_run_meanwhile() {
    // One thread: the loop must yield for anything else to run.
    let short = Limits {
        call: Duration::from_millis(300),
        ..limits()
    };
    let plugin = greedy(&short);
    let other = greedy(&limits());
    let (spun, flooded) = tokio::join!(
        call(&plugin, "spin", json!({})),
        call(&other, "flood", json!({"len": 3}))
    );
    assert_eq!(spun.0, Err(CallError::TimedOut(Duration::from_millis(300))));
    assert_eq!(flooded.0, Ok(json!({"result": "aaa"})));
    assert_eq!(
        call(&plugin, "flood", json!({"len": 1})).await.0,
        Ok(json!({"result": "a"}))
    );
}

#[tokio::test]
async fn an_endless_start_function_ends_too() {
    let spinning = component(
        r#"(component
          (core module $main (func $spin (loop $l (br $l))) (func (export "f")) (start $spin))
          (core instance $main (instantiate $main))
          (func (export "f") (canon lift (core func $main "f"))))"#,
    );
    let short = Limits {
        call: Duration::from_millis(200),
        ..limits()
    };
    let plugin = wall()
        .load(&spinning, &grant::<&str>(&[]), Vec::new(), &short)
        .unwrap();
    assert!(matches!(
        call(&plugin, "f", json!({})).await.0,
        Err(CallError::TimedOut(_))
    ));
}

#[tokio::test]
async fn crashes_are_errors_of_one_call() {
    let plugin = greedy(&limits());
    for tool in ["crash", "deep"] {
        let (outcome, _) = call(&plugin, tool, json!({})).await;
        assert!(
            matches!(outcome, Err(CallError::Trap(_))),
            "{tool}: {outcome:?}"
        );
    }
    assert_eq!(
        call(&plugin, "flood", json!({"len": 1})).await.0,
        Ok(json!({"result": "a"}))
    );
}

#[tokio::test]
async fn memory_and_tables_have_an_end() {
    let plugin = greedy(&limits());
    for tool in ["hoard", "tables"] {
        assert_eq!(
            call(&plugin, tool, json!({})).await.0,
            Err(CallError::Memory(32 << 20)),
            "{tool}"
        );
    }
}

#[tokio::test]
async fn memories_are_counted_together() {
    let many = |count: usize| {
        let memories = "(memory 160)".repeat(count);
        component(&format!(
            r#"(component (core module $m {memories} (func (export "f")))
              (core instance $i (instantiate $m)) (func (export "f") (canon lift (core func $i "f"))))"#
        ))
    };
    // 160 pages are 10 MiB: three fit into 32 MiB, four do not.
    for (count, fits) in [(3, true), (4, false)] {
        let plugin = wall()
            .load(&many(count), &grant::<&str>(&[]), Vec::new(), &limits())
            .unwrap();
        let (outcome, _) = call(&plugin, "f", json!({})).await;
        assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
    }
}

#[tokio::test]
async fn output_has_an_end() {
    let plugin = greedy(&Limits {
        output_bytes: 100_000,
        ..limits()
    });
    assert!(
        call(&plugin, "flood", json!({"len": 90_000}))
            .await
            .0
            .is_ok()
    );
    for (tool, len) in [
        ("flood", 100_001),
        ("flood", 20_000_000),
        ("items", 20_000),
        ("items", 20_000_000),
    ] {
        let (outcome, _) = call(&plugin, tool, json!({"len": len})).await;
        assert_eq!(outcome, Err(CallError::TooLarge(100_000)), "{tool} {len}");
    }
}

const TALKER: &str = r#"(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $outer))
    (export "error" (type $error (eq $outer)))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "output-stream" (type $output-stream (sub resource)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $outer))
    (export "output-stream" (type $output-stream (eq $outer)))
    (export "get-stdout" (func (result (own $output-stream))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  $$LIBC
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory) (realloc $realloc)))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "get" (func $get (result i32)))
    (import "host" "exit" (func $exit (param i32)))
    (func (export "say") (param $at i32) (param $len i32) (param $times i32)
      (local $out i32)
      (local.set $out (call $get))
      (loop $again
        (call $write (local.get $out) (local.get $at) (local.get $len) (i32.const 1024))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $again (local.get $times))))
    (func (export "leave") (call $exit (i32.const 1))))
  (core instance $main (instantiate $main (with "libc" (instance $libc)) (with "host" (instance
    (export "write" (func $write)) (export "get" (func $get)) (export "exit" (func $exit))))))
  (func (export "say") (param "text" string) (param "times" u32)
    (canon lift (core func $main "say") (memory $memory) (realloc $realloc)))
  (func (export "leave") (canon lift (core func $main "leave"))))"#;

#[tokio::test]
async fn what_it_prints_goes_to_the_log_it_was_granted_and_has_an_end() {
    let load = |atoms: &[&str]| {
        wall()
            .load(&component(TALKER), &grant(atoms), Vec::new(), &limits())
            .unwrap()
    };
    let say = json!({"text": "hello ", "times": 2});
    let (outcome, aside) = call(&load(&["write_to_logs"]), "say", say.clone()).await;
    assert_eq!(
        (outcome, aside.log.as_slice()),
        (Ok(json!(null)), b"hello hello ".as_slice())
    );
    let (outcome, aside) = call(&load(&[]), "say", say).await;
    assert_eq!(
        (outcome, aside.log.as_slice()),
        (Ok(json!(null)), b"".as_slice()),
        "not granted, not kept"
    );
    let flood = json!({"text": "x".repeat(4096), "times": 20});
    let (outcome, aside) = call(&load(&["write_to_logs"]), "say", flood).await;
    assert_eq!(
        (outcome, aside.log.len(), aside.log_dropped),
        (Ok(json!(null)), 64 << 10, 4 * 4096)
    );
}

#[tokio::test]
async fn exit_ends_the_call_and_not_the_host() {
    let plugin = wall()
        .load(
            &component(TALKER),
            &grant::<&str>(&[]),
            Vec::new(),
            &limits(),
        )
        .unwrap();
    assert_eq!(
        call(&plugin, "leave", json!({})).await.0,
        Err(CallError::Exited(1))
    );
}

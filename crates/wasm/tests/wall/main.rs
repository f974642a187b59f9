//! The Wasm wall from outside: each attack works with a wide grant and not with the narrow one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bounds;
mod demo;
mod environment;
mod files;
mod http;
mod imports;
mod toolchain;
mod values;

use std::sync::OnceLock;
use std::time::Duration;

use bailiwick_capability::Grant;
use bailiwick_wall::{Limits, WallError};
use bailiwick_wasm::{Aside, CallError, Plugin, Wasm};
use serde_json::Value;

/// Memory, an allocator, and a `main` that answers by what it was given.
const LIBC: &str = r#"
  (core module $libc
    (memory (export "memory") 2)
    (global $heap (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
      (local $start i32)
      (local.set $start (i32.and (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $heap (i32.add (local.get $start) (local.get $size)))
      (local.get $start)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
"#;

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text.replace("$$LIBC", LIBC)).unwrap_or_else(|error| panic!("{error}"))
}

fn wall() -> &'static Wasm {
    static WALL: OnceLock<Wasm> = OnceLock::new();
    WALL.get_or_init(|| Wasm::new(None).unwrap())
}

fn grant<S: AsRef<str>>(atoms: &[S]) -> Grant {
    Grant::new(atoms.iter().map(|atom| atom.as_ref().parse().unwrap()))
}

/// Short enough for tests, long enough for a busy machine.
fn limits() -> Limits {
    Limits {
        call: Duration::from_secs(30),
        memory_bytes: 32 << 20,
        ..Limits::default()
    }
}

fn load<S: AsRef<str>>(bytes: &[u8], atoms: &[S]) -> Result<Plugin, WallError> {
    wall().load(bytes, &grant(atoms), Vec::new(), &limits())
}

fn refusal(outcome: Result<Plugin, WallError>) -> String {
    match outcome {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    }
}

async fn call(plugin: &Plugin, tool: &str, arguments: Value) -> (Result<Value, CallError>, Aside) {
    let mut aside = Aside::default();
    let outcome = plugin
        .call(tool, arguments.as_object().unwrap(), &mut aside)
        .await;
    (outcome, aside)
}

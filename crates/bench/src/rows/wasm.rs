//! One call of a component's tool: through the gate with everything, by the wall alone, and by bare wasmtime.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailiwick_audit::{Log, Options, SystemClock};
use bailiwick_capability::Grant;
use bailiwick_gate::discover::source;
use bailiwick_gate::ledger::InMemory;
use bailiwick_gate::record::Recorder;
use bailiwick_gate::resolve::SearchPath;
use bailiwick_gate::withdrawn::NothingRevoked;
use bailiwick_gate::world::Builder;
use bailiwick_gate::{Facts, Host, Judge, Ruling, Session};
use bailiwick_manifest::Manifest;
use bailiwick_mcp::CancellationToken;
use bailiwick_policy::{Agent, Classification, Pdp};
use bailiwick_token::Keys;
use bailiwick_wall::Limits;
use bailiwick_wasm::{Aside, Wasm};
use serde_json::{Map, Value};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::Effort;
use crate::Outcome;
use crate::sample::{Row, Side, compare};
use crate::wasm_wall::WasmBuilder;

/// Answers with the text that it was given.
const ECHO: &str = r#"(component
  (core module $main
    (memory (export "memory") 1)
    (global $heap (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $start i32)
      (local.set $start (global.get $heap))
      (global.set $heap (i32.add (global.get $heap) (local.get 3)))
      (local.get $start))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 8) (local.get 0))
      (i32.store (i32.const 12) (local.get 1))
      (i32.const 8)))
  (core instance $main (instantiate $main))
  (func (export "echo") (param "message" string) (result string)
    (canon lift (core func $main "echo")
      (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))"#;
const MANIFEST: &str = "id: echo\nversion: 1.0.0\nruntime: {component: plugin.wasm}\n";

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bytes = wat::parse_str(ECHO)?;
    let message = "x".repeat(200);
    let arguments = Map::from_iter([("message".to_owned(), Value::String(message.clone()))]);
    let folder = tempfile::tempdir()?;

    let host = Arc::new(host(Log::open(
        &folder.path().join("audit"),
        Options::default(),
    )?)?);
    let manifest = Manifest::parse("plugin.yaml", MANIFEST.as_bytes())?;
    let plugin = source(manifest, None, Some(bytes.clone()));
    let agent = Agent {
        name: "bench".to_owned(),
        version: "1".to_owned(),
    };
    let session = runtime.block_on(Session::open(
        host,
        vec![plugin],
        agent,
        "2026-07-28",
        false,
    ))?;
    let cancel = CancellationToken::new();

    let wall = Wasm::new(None)?;
    let loaded = wall.load(&bytes, &Grant::default(), Vec::new(), &Limits::default())?;

    let engine = Engine::default();
    let bare =
        Linker::<()>::new(&engine).instantiate_pre(&Component::from_binary(&engine, &bytes)?)?;

    let same = |answer: &str| {
        if answer == message {
            Ok(())
        } else {
            Err(format!("the answer is {answer:?}").into())
        }
    };
    let mut sides = [
        Side::new("gate", || {
            let call = session.call("echo", arguments.clone(), None, &cancel);
            same(&runtime.block_on(call)?.all_text())
        }),
        Side::new("bare wasmtime", || {
            let mut store = Store::new(&engine, ());
            let instance = bare.instantiate(&mut store)?;
            let echo = instance.get_typed_func::<(&str,), (String,)>(&mut store, "echo")?;
            same(&echo.call(&mut store, (&message,))?.0)
        }),
        Side::new("the wall alone", || {
            let mut aside = Aside::default();
            let answer = runtime.block_on(loaded.call("echo", &arguments, &mut aside))?;
            same(
                answer
                    .get("result")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            )
        }),
    ];
    compare(
        "call of a component's tool",
        effort.plan(3000, 1),
        &mut sides,
    )
}

fn host(log: Log) -> Outcome<Host> {
    let wasm: Arc<dyn Builder> = Arc::new(WasmBuilder(Arc::new(Wasm::new(None)?)));
    Ok(Host {
        approvals: bailiwick_gate::approve::Approvals::nobody(),
        judge: Judge {
            in_force: Ruling {
                pdp: Pdp::load(&Pdp::default_sources(), &Classification::default())?,
                facts: Facts::default(),
                digest: String::new(),
            }
            .into(),
            clock: Arc::new(SystemClock),
            zone: Arc::new(|_| 0),
            native: Err("not needed here".to_owned()),
            wasm: Ok(wasm),
            machine: BTreeSet::new(),
            search: SearchPath::new("/usr/bin"),
        },
        keys: Keys::generate(),
        revocations: Arc::new(NothingRevoked::default()),
        ledger: Arc::new(InMemory::default()),
        recorder: Recorder::new(log, false),
        variables: Vec::new(),
        progress: Arc::new(|_| {}),
        token_seconds: 3600,
        learning: None,
        config_digest: String::new(),
    })
}

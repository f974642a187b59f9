//! The Wasm wall: wasmtime lives here only.

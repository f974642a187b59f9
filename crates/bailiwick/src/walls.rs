//! The concrete walls, adapted to what the gate asks of one.

mod native;
mod wasm;

pub(crate) use native::{NativeBuilder, extend_closure};
pub(crate) use wasm::WasmBuilder;

//! The concrete walls, adapted to what the gate asks of one.

mod confined;
mod native;
mod programs;
mod wasm;
mod world;

pub(crate) use native::{NativeBuilder, granted_programs};
pub(crate) use wasm::WasmBuilder;
pub(crate) use world::{NativeWall, World};

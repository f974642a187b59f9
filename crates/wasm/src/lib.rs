//! The Wasm wall: wasmtime lives here only.
//!
//! A component is linked with exactly what was granted. Its imports are read from its bytes and compared
//! with the grant before anything is compiled; its exported functions become tools with JSON Schemas made
//! from their types; memory, time and output are bounded.
//!
//! Every call gets a fresh store and instance: a component keeps no state between calls, and what one call
//! broke or hoarded is gone with it.

mod aside;
mod bounds;
mod cache;
mod convert;
mod files;
mod http;
mod imports;
mod link;
mod plugin;
mod report;
mod shape;
mod tools;
mod wasm;

pub use aside::Aside;
pub use bailiwick_wall::{Addresses, Resolve};
pub use http::SystemResolver;
pub use imports::{Import, Imports, Need};
pub use plugin::{CallError, Plugin};
pub use tools::ToolSpec;
pub use wasm::Wasm;

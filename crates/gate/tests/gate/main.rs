//! The gate over its real parts: real policies, a real log, real tokens, and real components behind the Wasm wall.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod admission;
mod approve;
mod calls;
mod endpoint;
#[path = "../../../audit/tests/faulty/mod.rs"]
mod faulty;
mod finding;
mod house;
mod life;
mod narrowed;
mod no_record;
mod puppet;
mod questions;
mod reload;
mod revoked;
mod rules;
mod walk;
mod wanting;
mod witness;

//! The whole gate through its real binary: real third-party plugins, hostile ones, attacks on the wall,
//! the wire, and what people see. Every scenario has its own state folder, and its log is verified.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, also in helpers outside of test functions"
)]

mod approvals;
mod attacks;
mod check;
mod commands;
mod component;
mod doctor;
mod exec;
mod exec_report;
mod full;
mod gates;
mod hostile;
mod learn;
mod memory;
mod network;
mod ordinary;
mod packages;
mod preparation;
mod programs;
mod real;
mod refused;
mod reload;
mod secret;
mod seen;
mod state;
mod streams;
mod support;
mod terminal;
mod token;
mod wire;

//! The egress in a network namespace of its own: what a plugin can reach, and what it cannot.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may end the test"
)]

mod bounds;
mod clients;
mod connect;
mod dns;
mod support;
mod tls;

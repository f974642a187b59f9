//! The witness, those that ask it, and places where checkpoints are published.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

mod crash;
mod decide;
mod http;
mod publish;
mod support;

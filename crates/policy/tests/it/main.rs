//! What the decision point promises, tested from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod arguments;
mod authors;
mod calls;
mod counterexamples;
mod defaults;
mod docs;
mod load;
mod network;
mod oracle;
mod partial;
mod standing;
mod support;
mod worlds;

//! Proofs, witnesses and published checkpoints through the real binary, with programs of others on the other side: Go's
//! transparency log packages, a witness and a verifier in Python, a browser.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, also in helpers outside of test functions"
)]

mod cross;
mod page;
mod prove;
mod support;
mod witness;

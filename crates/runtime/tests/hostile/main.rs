//! Packages made to harm, from registries that serve them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

mod tarballs;
mod wheels;

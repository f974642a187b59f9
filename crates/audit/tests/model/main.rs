//! The log on a disk that fails: against a model of what was promised, at every request that changes the disk.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test helpers stop the test"
)]

mod disk;
mod faults;
mod life;
mod points;
mod random;

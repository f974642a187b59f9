//! What a wall is: the trait behind which every enforcement point stands, and its report.
//!
//! A wall holds an atom exactly or not at all. There is no "partly": a caller that asks for an atom
//! which a wall cannot hold is refused, never given something wider.

mod launch;
mod limits;
mod report;

pub use launch::{Closure, Denied, Program};
pub use limits::Limits;
pub use report::{HeldAtom, Hold, Report, Wall, WallError};

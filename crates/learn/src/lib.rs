//! From what a plugin was seen to use, the least that it has to ask for.
//!
//! Pure: what was seen comes in, capabilities with their evidence go out. What is seen comes from inside a wall, so it
//! is good for a proposal to a person, never for a decision.

mod files;
mod lessons;
mod propose;
mod seen;
mod standing;

pub use lessons::{Lesson, Lessons, MAX_LESSONS};
pub use propose::{Evidence, Line, MANY, Proposal, leaves_a_trace, propose};
pub use seen::Seen;
pub use standing::{Standing, is_told};

//! Questions to people. A [`Desk`] keeps what waits and bounds how often may be asked; whoever asks judges the answers;
//! [`socket`] lets a person, or a console, read and answer from another terminal.
//!
//! The crate decides nothing: an answer counts only once whoever asked has verified it.

mod desk;
mod pace;
mod plain;
mod question;
pub mod socket;
mod words;

pub use desk::{Answered, Desk, Given, Ticket, Verdict};
pub use pace::{Pace, TooOften};
pub use plain::{evident, line, plain, visible};
pub use question::{About, Answer, Choice, MAX_SHOWN, Question, Shown};

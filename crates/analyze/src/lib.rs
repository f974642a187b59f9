//! Questions about all requests at once, answered by Cedar's symbolic compiler and the SMT solver cvc5.
//!
//! *Does a new policy set permit anything that the old one did not?* [`permits_more`]. *Can who reads confidential data
//! also reach the network?* [`together`]. An answer *yes* comes with an example, and the example was evaluated by the
//! ordinary authorizer before it is told: an example that the authorizer does not confirm is no answer.
//!
//! What is asked about are single points: one path, one address, one call. How the decision point cuts a request into
//! points and puts the permitted ones together is not encoded; property tests of the policy crate hold that. Nor are
//! the values of a call's arguments and how often a quota was used: where policies ask of those, the answer is
//! [`Answer::Undecided`].

mod encode;
mod error;
mod example;
mod question;
mod solver;

pub use error::AnalyzeError;
pub use example::Example;
pub use question::{Answer, Asking, Finding, actions, permits_more, together};
pub use solver::Solver;

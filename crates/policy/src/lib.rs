//! The policy decision point: who may be granted what, decided by Cedar policies; Cedar lives here only.
//!
//! [`Pdp::load`] takes texts and refuses whatever is not exactly right; [`Pdp::decide`] answers one asked
//! [`Capability`](bailiwick_capability::Capability) with the part of it of which *every point* is permitted.
//! No I/O, no clock, no async: texts and times are handed in. The vocabulary is `schema.cedarschema`.

mod annotation;
mod arguments;
mod call;
mod classification;
mod constant;
mod decide;
mod decision;
mod error;
mod evaluate;
mod explain;
mod family;
mod key;
mod lint;
mod mention;
mod network;
mod pdp;
mod person;
mod quota;
mod rule;
mod schema;
mod shelf;
mod source;
mod standing;
mod subject;
mod template;
mod tools;
#[cfg(test)]
mod unfiled;
mod unscoped;
mod world;

pub use arguments::ToolSchema;
pub use call::{Call, CallDecision, CallVerdict};
pub use classification::{Classification, UNCLASSIFIED};
pub use decision::{Decision, Effect, Outcome, Reason};
pub use error::{PolicyError, Problem};
pub use explain::{Explained, Explanation, Question, Step};
pub use lint::{Known, Lint, Remark};
pub use pdp::Pdp;
pub use quota::{Charge, Counts, Per, Quota, Tally, Uncounted};
pub use schema::SCHEMA;
pub use source::PolicySource;
pub use standing::StandingAnswer;
pub use subject::{Agent, Context, PluginFacts, Principal, User};
pub use world::{InForce, facts};

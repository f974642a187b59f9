//! What an audit log shows for the controls of a framework, in a period: how much evidence there is, which entries
//! are examples of it, each with a proof, and what is not covered.
//!
//! The texts and which events count for which control are data: `data/*.json`. The same log gives the same report,
//! to the byte.
#![forbid(unsafe_code)]

mod assess;
mod error;
mod evidence;
mod framework;
mod grants;
mod html;
mod markdown;
mod oscal;
mod proofs;
mod words;

pub use assess::{Assessed, Assessment, Period, assess};
pub use error::ReportError;
pub use evidence::{Evidence, Example, LogState};
pub use framework::{Control, Framework};
pub use grants::{GrantUse, Grants};
pub use html::html;
pub use markdown::markdown;
pub use oscal::{OSCAL_VERSION, oscal};
pub use proofs::write_proofs;

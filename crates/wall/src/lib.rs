//! What a wall is: the trait behind which every enforcement point stands, and its report.
//!
//! A wall holds an atom exactly or not at all. There is no "partly": a caller that asks for an atom
//! which a wall cannot hold is refused, never given something wider.

mod address;
mod denials;
mod launch;
mod limits;
mod private;
mod report;
mod resolve;
mod secret;
mod uses;

pub use address::not_public;
pub use denials::{Denials, MAX_PENDING, MAX_TARGET};
pub use launch::{Closure, Denied, Program};
pub use limits::{Limit, LimitHit, Limits};
pub use private::{NoPrefix, Prefix, PrivateNames};
pub use report::{HeldAtom, Hold, Report, Wall, WallError};
pub use resolve::{Addresses, Resolve, misleads};
pub use secret::{Binding, MAX_SECRET, Place, Secret, SecretValue};
pub use uses::{MAX_USES, Used};

//! Capability kinds, scopes and their lattice: pure, no I/O, no clock.
//!
//! A [`Capability`] is a [`Kind`] and a [`Scope`]. Scopes form a meet-semilattice: [`Capability::contains`]
//! and [`Capability::meet`] are the only comparisons there are. A [`Grant`] is a set of [`Granted`] atoms,
//! each with the holes that a policy cut out of it. What does not parse is refused.

mod atom;
mod error;
mod grant;
mod granted;
mod host;
mod kind;
mod name;
mod net;
mod path;
mod program;
mod scope;
mod url;

pub use atom::Capability;
pub use error::CapabilityError;
pub use grant::Grant;
pub use granted::Granted;
pub use host::{DnsName, Host, HostPattern};
pub use kind::Kind;
pub use name::{Name, NameScope};
pub use net::{ListenScope, Method, NetScope, Scheme};
pub use path::{AbsPath, PathScope};
pub use program::{ProgramRef, ProgramScope};
pub use scope::Scope;
pub use url::UrlPath;

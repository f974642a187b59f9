//! The gate: discovers, decides, grants, seals, starts and mediates, over traits.
//!
//! Data flows one way: [`discover`] finds manifests, [`assess`] asks policy and the wall, [`admit`] seals the
//! grant, a [`world::Builder`] starts the plugin with exactly that, and [`session::Session::call`] is the one way
//! to its tools. Every step is recorded before it takes effect. The gate knows no concrete wall.

pub mod admit;
pub mod approve;
mod ask;
pub mod assess;
pub mod bind;
mod consent;
mod created;
pub mod discover;
pub mod gate;
pub mod host;
pub mod learning;
pub mod ledger;
mod limits;
mod matter;
pub mod narrowed;
mod note;
pub mod order;
mod pending;
pub mod plugin;
pub mod record;
pub mod refusal;
mod reload;
pub mod resolve;
mod rules;
pub mod schema;
mod seen;
pub mod session;
mod shelf;
pub mod tool;
mod trace;
mod wanting;
pub mod withdrawn;
pub mod world;

pub use bailiwick_approval::{line, plain};
pub use gate::{Gate, Notes};
pub use host::{Facts, GateError, Host, InForce, Judge, Ruling};
pub use reload::Reload;
pub use session::Session;

//! Network by name for native plugins.
//!
//! A plugin lives in a network namespace with nothing but a loopback device. On it listen sockets that
//! this crate serves from outside: DNS, which answers granted names alone and with addresses that mean
//! something only in there, and TCP on the granted ports. The address that a connection was made to tells
//! the name that was asked for; the real name is resolved here, each answer checked, a checked address
//! dialled. See `docs/network.md`.

mod accept;
mod broker;
mod ca;
mod context;
mod dial;
mod dns;
mod hold;
mod http;
mod names;
mod pace;
mod prepared;
mod replay;
mod rules;
mod splice;
mod tls;

pub use broker::{MayUse, SecretUses};
pub use context::Counters;
pub use dial::SystemResolver;
pub use hold::hold;
pub use http::{Ambiguous, Framing, http_head};
pub use prepared::{Egress, Listeners, Prepared, Settings};

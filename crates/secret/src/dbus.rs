//! As much of D-Bus as the Secret Service needs: one blocking connection, calls, and waiting for one signal.
//!
//! Ours, because the libraries that are kept up bring an async runtime with threads of its own, or a C library and
//! its packages, for half a dozen method calls. D-Bus Specification 0.43, `https://dbus.freedesktop.org/doc/`.

mod address;
mod connection;
mod value;

pub(crate) use address::escape;
pub(crate) use connection::{Call, CallError, Connection};
pub(crate) use value::Value;

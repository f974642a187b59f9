//! The store of secrets: values and their bindings, never in plain on a disk.
//!
//! Where a system keyring answers (the freedesktop Secret Service), each secret is an item of it. Elsewhere all of
//! them are one file sealed with [age](https://age-encryption.org/v1) for an X25519 identity, which lies beside the
//! other keys or wherever a person keeps it. What is chosen first stays chosen until the last secret is gone, so that
//! a keyring that does not answer is an error and not an empty store.
//!
//! Values are wiped from memory when they are dropped, and no error and no `Debug` shows one.
#![forbid(unsafe_code)]

mod binding;
mod dbus;
mod document;
mod error;
mod file;
mod identity;
mod keyring;
mod placeholder;
mod private;
mod protect;
mod seal;
mod store;

pub use binding::{MAX_DESTINATIONS, MAX_PLACES, checked, default_places, default_variable, name};
pub use error::SecretError;
pub use placeholder::{PLACEHOLDER_PREFIX, placeholder};
pub use protect::protect;
pub use store::{Keep, Keeper, Listed, Options, Store};

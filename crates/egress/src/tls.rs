//! What is seen of TLS without ending it.

pub(crate) mod hello;

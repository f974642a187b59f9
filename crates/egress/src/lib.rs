//! Network by name for native plugins.
//!
//! A plugin lives in a network namespace with nothing but a loopback device. On it listen sockets that
//! this crate serves from outside: DNS, which answers granted names alone and with addresses that mean
//! something only in there, and TCP on the granted ports. The address that a connection was made to tells
//! the name that was asked for; the real name is resolved here, each answer checked, a checked address
//! dialled. See `docs/network.md`.

mod accept;
mod broker;
mod bytes;
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

/// What reads foreign bytes, for the fuzz targets alone.
#[doc(hidden)]
pub mod fuzzing {
    use bailiwick_capability::DnsName;

    use crate::dns::message::{self, Asked, Code, Received};
    use crate::tls::hello::{self, Reading};

    /// Reads a DNS message: the host name, if it is one, and the type of its question, and an answer to it.
    #[must_use]
    pub fn dns_message(bytes: &[u8]) -> Option<(Option<DnsName>, u16, Vec<u8>)> {
        let Received::Question(question) = message::read(bytes) else {
            return None;
        };
        let answer = question.answer(Code::NxDomain, None);
        match question.name {
            Asked::Host(name) => Some((Some(name), question.kind, answer)),
            Asked::Other(_) => Some((None, question.kind, answer)),
        }
    }

    /// Reads a ClientHello: the server name in it.
    #[must_use]
    pub fn client_hello(bytes: &[u8]) -> Option<Option<DnsName>> {
        match hello::read(bytes) {
            Reading::Hello(hello) => Some(hello.server_name),
            Reading::Incomplete | Reading::Wrong(_) => None,
        }
    }
}

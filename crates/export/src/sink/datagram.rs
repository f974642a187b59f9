//! One message in one datagram: local sockets such as `/dev/log`, and UDP (RFC 5426).

use std::net::{ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::{Failure, PATIENCE, Sink};
use crate::format::{Format, encode_message};
use crate::record::Record;

/// What one datagram over IPv4 carries, less its headers.
const MAX_UDP: usize = 65_507;
/// What a local socket takes with the kernel's usual buffer, and some room.
const MAX_UNIX: usize = 128 << 10;

pub(super) struct Unix {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) host: String,
}

impl Sink for Unix {
    fn send(&mut self, batch: &[Record]) -> Result<(), Failure> {
        // Anew for every batch: the receiver may have been started anew.
        let socket = UnixDatagram::unbound().map_err(Failure::later)?;
        socket
            .set_write_timeout(Some(PATIENCE))
            .map_err(Failure::later)?;
        socket.connect(&self.path).map_err(Failure::later)?;
        for record in batch {
            let message = encode_message(self.format, record, &self.host, MAX_UNIX);
            socket.send(&message).map_err(Failure::later)?;
        }
        Ok(())
    }
}

pub(super) struct Udp {
    pub(super) to: (String, u16),
    pub(super) format: Format,
    pub(super) host: String,
}

impl Sink for Udp {
    fn send(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let (name, port) = &self.to;
        let mut addresses = (name.as_str(), *port)
            .to_socket_addrs()
            .map_err(Failure::later)?;
        let to = addresses
            .next()
            .ok_or_else(|| Failure::later("the name has no address"))?;
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).map_err(Failure::later)?;
        // Connected, so that the kernel tells when nobody listens there.
        socket.connect(to).map_err(Failure::later)?;
        for record in batch {
            let message = encode_message(self.format, record, &self.host, MAX_UDP);
            socket.send(&message).map_err(Failure::later)?;
        }
        Ok(())
    }
}

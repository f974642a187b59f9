//! A connection for each batch. Syslog over TCP has no answer, so the receiver's closing is the answer: we end our
//! side, and it closes its own when it has read everything. What a dead receiver never read, comes again.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Instant;

use rustls_pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{BATCH, Failure, MAX_ANSWER, PATIENCE, Sink};
use crate::format::{Format, encode_lines, encode_message};
use crate::record::Record;
use crate::syslog::frame;

/// How much is written before the clock is looked at.
const CHUNK: usize = 16 << 10;

pub(super) struct Stream {
    pub(super) to: (String, u16),
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) format: Format,
    pub(super) host: String,
}

impl Sink for Stream {
    fn send(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let deadline = Instant::now() + BATCH;
        let bytes = self.bytes(batch);
        let socket = self.connect()?;
        let Some(tls) = &self.tls else {
            write_all(&mut &socket, &bytes, deadline)?;
            socket.shutdown(Shutdown::Write).map_err(Failure::later)?;
            return until_closed(&mut &socket, deadline);
        };
        let name = ServerName::try_from(self.to.0.clone()).map_err(Failure::later)?;
        let connection = ClientConnection::new(tls.clone(), name).map_err(Failure::later)?;
        let mut stream = StreamOwned::new(connection, socket);
        write_all(&mut stream, &bytes, deadline)?;
        stream.conn.send_close_notify();
        stream.flush().map_err(Failure::later)?;
        stream
            .sock
            .shutdown(Shutdown::Write)
            .map_err(Failure::later)?;
        until_closed(&mut stream, deadline)
    }
}

impl Stream {
    fn bytes(&self, batch: &[Record]) -> Vec<u8> {
        if self.format == Format::Ocsf {
            return encode_lines(self.format, batch, &self.host);
        }
        let messages = batch
            .iter()
            .map(|record| encode_message(self.format, record, &self.host, usize::MAX));
        messages.flat_map(|message| frame(&message)).collect()
    }

    fn connect(&self) -> Result<TcpStream, Failure> {
        let (name, port) = &self.to;
        let mut last = Failure::later("the name has no address");
        for address in (name.as_str(), *port)
            .to_socket_addrs()
            .map_err(Failure::later)?
        {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(socket) => {
                    socket
                        .set_read_timeout(Some(PATIENCE))
                        .map_err(Failure::later)?;
                    socket
                        .set_write_timeout(Some(PATIENCE))
                        .map_err(Failure::later)?;
                    return Ok(socket);
                }
                Err(error) => last = Failure::later(error),
            }
        }
        Err(last)
    }
}

fn write_all(to: &mut impl Write, bytes: &[u8], deadline: Instant) -> Result<(), Failure> {
    for chunk in bytes.chunks(CHUNK) {
        in_time(deadline)?;
        to.write_all(chunk).map_err(Failure::later)?;
    }
    to.flush().map_err(Failure::later)
}

fn until_closed(from: &mut impl Read, deadline: Instant) -> Result<(), Failure> {
    let mut buffer = [0; 1024];
    let mut answered = 0;
    loop {
        in_time(deadline)?;
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => answered += read,
            // A receiver that closes without TLS's own end has read all the same, and we take nothing from it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(Failure::later(
                    "it has not closed the connection, so it may not have read everything",
                ));
            }
            Err(error) => return Err(Failure::later(error)),
        }
        if answered > MAX_ANSWER {
            return Err(Failure::later("it talks without end"));
        }
    }
}

fn in_time(deadline: Instant) -> Result<(), Failure> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(Failure::later("it takes too long"))
}

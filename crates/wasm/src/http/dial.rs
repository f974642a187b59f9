//! From a decided target to a connected stream: resolve once, check every address, dial a checked one.

use std::io;
use std::net::{IpAddr, SocketAddr};

use bailiwick_capability::{Host, Kind, Scheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use wasmtime_wasi_http::Error;

use super::{Outside, Target};
use crate::aside::Notes;

/// A plain or TLS connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Connects to a target that the grant permits.
pub(super) async fn dial(
    target: &Target,
    outside: &Outside,
    notes: &Notes,
) -> Result<Box<dyn Stream>, Error> {
    let addresses = addresses(target, outside, notes).await?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(address, target.port)).await {
            Ok(stream) => return secure(stream, target, outside).await,
            Err(error) => last = error,
        }
    }
    Err(Error::Connect(last))
}

/// The addresses that may be dialled. One bad answer spoils all: it would be the attacker's choice.
async fn addresses(
    target: &Target,
    outside: &Outside,
    notes: &Notes,
) -> Result<Vec<IpAddr>, Error> {
    let name = match &target.host {
        Host::Ip(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
    };
    let found = outside
        .resolver
        .resolve(name)
        .await
        .map_err(|error| Error::DnsError {
            rcode: Some(error.kind().to_string()),
            info_code: None,
        })?;
    if found.is_empty() {
        return Err(Error::DestinationNotFound);
    }
    for address in &found {
        if let Some(why) = outside.private.misleads(name, *address) {
            let reason = format!(
                "`{name}` leads to {address}, which is {why}; only a grant of that address itself opens it, or `private_names` in \
                 the configuration"
            );
            notes.denied(Kind::NetworkAccess.as_str(), &target.shown, reason);
            return Err(Error::DestinationIpProhibited);
        }
    }
    Ok(found)
}

async fn secure(
    stream: TcpStream,
    target: &Target,
    outside: &Outside,
) -> Result<Box<dyn Stream>, Error> {
    if target.scheme != Scheme::Https {
        return Ok(Box::new(stream));
    }
    let name = match &target.host {
        Host::Ip(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned())
            .map_err(|_| Error::HttpRequestUriInvalid)?,
    };
    let stream = TlsConnector::from(outside.tls.clone())
        .connect(name, stream)
        .await
        .map_err(Error::Tls)?;
    Ok(Box::new(stream))
}

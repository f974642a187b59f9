//! Addresses of buses: `unix:path=/run/user/1000/bus,guid=…`, several separated by `;`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;

/// Connects to the first socket of `address` that can be connected to.
///
/// # Errors
/// A sentence, with the last one's cause.
pub(crate) fn connect(address: &str) -> Result<UnixStream, String> {
    let mut last = format!(
        "`{}` names no socket of this machine: only `unix:path=…` and `unix:abstract=…` are used",
        address.escape_debug()
    );
    for one in address.split(';') {
        let Some(place) = parse(one) else { continue };
        let connected = match &place {
            Place::Path(path) => UnixStream::connect(path),
            Place::Abstract(name) => SocketAddr::from_abstract_name(name)
                .and_then(|address| UnixStream::connect_addr(&address)),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                last = format!(
                    "cannot connect to the bus `{}`: {error}",
                    one.escape_debug()
                )
            }
        }
    }
    Err(last)
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

fn parse(one: &str) -> Option<Place> {
    use std::os::unix::ffi::OsStringExt as _;
    let pairs = one.strip_prefix("unix:")?.split(',');
    pairs.into_iter().find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = unescape(value)?;
        match key {
            "path" => Some(Place::Path(std::ffi::OsString::from_vec(value).into())),
            "abstract" => Some(Place::Abstract(value)),
            _ => None,
        }
    })
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let mut one = [0];
                hex::decode_to_slice(digits, &mut one).ok()?;
                let [one] = one;
                one
            }
            other => other,
        });
    }
    Some(out)
}

/// A path as it stands in an address.
pub(crate) fn escape(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_/.\\*".contains(&b);
    path.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02x}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_specification_writes_them() {
        let path = |text: &str| Some(Place::Path(text.into()));
        assert_eq!(
            parse("unix:path=/run/user/1000/bus"),
            path("/run/user/1000/bus")
        );
        assert_eq!(parse("unix:path=/tmp/a%20b,guid=00ff"), path("/tmp/a b"));
        assert_eq!(
            parse("unix:guid=00ff,abstract=/tmp/x"),
            Some(Place::Abstract(b"/tmp/x".to_vec()))
        );
        assert_eq!(
            parse(&format!("unix:path={}", escape("/tmp/a,b;c=d%é"))),
            path("/tmp/a,b;c=d%é")
        );
        for bad in [
            "",
            "unix:",
            "unix:path=/a%2",
            "unix:path=/a%zz",
            "tcp:host=localhost,port=1",
            "unix:tmpdir=/tmp",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
            assert!(connect(bad).is_err());
        }
    }
}

//! Socket addresses as a program hands them over (`struct sockaddr`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::sys::notify::read_memory;

/// As much as the kernel takes (`struct sockaddr_storage`).
const MAX: usize = 128;

/// Where a program wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Ip(SocketAddr),
    /// A path, or a name of the abstract kind after an `@`.
    Unix(String),
    /// Of another family.
    Other(u16),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix(name) => write!(f, "unix:{name}"),
            Self::Other(family) => write!(f, "address family {family}"),
        }
    }
}

impl Address {
    /// Reads an address of `length` bytes from a thread's memory.
    pub(super) fn read(thread: u32, at: u64, length: u64) -> Option<Self> {
        let mut bytes = [0u8; MAX];
        let length = usize::try_from(length & u64::from(u32::MAX)).ok()?;
        let wanted = bytes.get_mut(..length.min(MAX))?;
        let got = read_memory(thread, at, wanted).ok()?;
        Self::parse(bytes.get(..got)?)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first_chunk::<2>()?;
        let family = u16::from_ne_bytes(*family);
        match i32::from(family) {
            libc::AF_UNSPEC => None,
            libc::AF_INET => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let ip = Ipv4Addr::from_octets(*rest.first_chunk::<4>()?);
                Some(Self::ip(ip.into(), *port))
            }
            libc::AF_INET6 => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let (_, rest) = rest.split_first_chunk::<4>()?;
                let ip = Ipv6Addr::from_octets(*rest.first_chunk::<16>()?);
                Some(Self::ip(ip.into(), *port))
            }
            libc::AF_UNIX => Some(Self::Unix(unix_name(rest))),
            _ => Some(Self::Other(family)),
        }
    }

    fn ip(ip: IpAddr, port: [u8; 2]) -> Self {
        Self::Ip(SocketAddr::new(ip, u16::from_be_bytes(port)))
    }
}

fn unix_name(bytes: &[u8]) -> String {
    let (sign, name) = match bytes.split_first() {
        Some((0, name)) => ("@", name),
        _ => ("", bytes),
    };
    let end = name.iter().position(|byte| *byte == 0);
    let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
    format!("{sign}{}", String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(family: i32, rest: &[u8]) -> Option<String> {
        let mut bytes = u16::try_from(family).unwrap().to_ne_bytes().to_vec();
        bytes.extend_from_slice(rest);
        Address::parse(&bytes).map(|address| address.to_string())
    }

    #[test]
    fn addresses_are_read_as_the_kernel_reads_them() {
        let v4 = parsed(libc::AF_INET, &[1, 187, 10, 0, 0, 7, 0, 0]);
        assert_eq!(v4.as_deref(), Some("10.0.0.7:443"));
        let mut v6 = vec![0, 80, 0, 0, 0, 0];
        v6.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(parsed(libc::AF_INET6, &v6).as_deref(), Some("[::1]:80"));
        let path = parsed(libc::AF_UNIX, b"/run/docker.sock\0rest");
        assert_eq!(path.as_deref(), Some("unix:/run/docker.sock"));
        let name = parsed(libc::AF_UNIX, b"\0dbus");
        assert_eq!(name.as_deref(), Some("unix:@dbus"));
        let other = parsed(libc::AF_VSOCK, &[0; 8]);
        assert_eq!(other.as_deref(), Some("address family 40"));
    }

    #[test]
    fn what_is_cut_short_is_no_address() {
        for short in [&[][..], &[1], &[1, 187, 10, 0]] {
            assert_eq!(parsed(libc::AF_INET, short), None);
        }
        assert_eq!(parsed(libc::AF_INET6, &[0; 20]), None);
        assert_eq!(parsed(libc::AF_UNSPEC, &[0; 14]), None);
        assert_eq!(Address::parse(&[2]), None);
    }
}

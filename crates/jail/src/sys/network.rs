//! System calls on sockets and interfaces (netdevice(7), unix(7)).

use super::{Errno, call, done, fd};

/// An interface name as `ifreq` has it.
type Name = [u8; 16];

const LO: Name = *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[repr(C)]
struct FlagsRequest {
    name: Name,
    flags: i16,
    _rest: [u8; 22],
}

#[repr(C)]
struct AddressRequest {
    name: Name,
    address: libc::sockaddr_in,
    _rest: [u8; 8],
}

#[repr(C)]
struct Address6Request {
    address: [u8; 16],
    prefix: u32,
    index: i32,
}

pub(crate) fn socket(family: i32, kind: i32) -> Result<i32, Errno> {
    fd(number_call!(libc::SYS_socket, family, kind, 0))
}

/// Number of network interfaces that are configured and up, by `SIOCGIFCONF`.
pub(crate) fn interfaces_up(socket: i32) -> Result<usize, Errno> {
    #[repr(C)]
    struct IfConf {
        len: i32,
        buffer: *mut u8,
    }
    let mut buffer = [0u8; 400];
    let mut conf = IfConf {
        len: 400,
        buffer: buffer.as_mut_ptr(),
    };
    number_call!(libc::SYS_ioctl, socket, libc::SIOCGIFCONF, &raw mut conf)?;
    Ok(conf.len as usize / 40)
}

/// Brings `lo` up; the kernel then gives it 127.0.0.1/8 and ::1.
pub(crate) fn loopback_up(socket: i32) -> Result<(), Errno> {
    let request = FlagsRequest {
        name: LO,
        flags: (libc::IFF_UP | libc::IFF_RUNNING) as i16,
        _rest: [0; 22],
    };
    done(number_call!(
        libc::SYS_ioctl,
        socket,
        libc::SIOCSIFFLAGS,
        &raw const request
    ))
}

/// Gives `lo` a further address, with all that its prefix covers. `label` tells the addresses apart.
pub(crate) fn loopback_address(
    socket: i32,
    label: u16,
    address: [u8; 4],
    mask: [u8; 4],
) -> Result<(), Errno> {
    let mut name = *b"lo:00000\0\0\0\0\0\0\0\0";
    let mut rest = label;
    for digit in name.iter_mut().skip(3).take(5).rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    for (what, value) in [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, mask)] {
        let request = AddressRequest {
            name,
            address: v4(value, 0),
            _rest: [0; 8],
        };
        number_call!(libc::SYS_ioctl, socket, what, &raw const request)?;
    }
    Ok(())
}

/// Gives `lo` a further IPv6 address. `lo` is always interface 1 of its namespace.
pub(crate) fn loopback_address6(socket: i32, address: [u8; 16]) -> Result<(), Errno> {
    let request = Address6Request {
        address,
        prefix: 128,
        index: 1,
    };
    done(number_call!(
        libc::SYS_ioctl,
        socket,
        libc::SIOCSIFADDR,
        &raw const request
    ))
}

fn v4(address: [u8; 4], port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(address),
        },
        sin_zero: [0; 8],
    }
}

const BACKLOG: usize = 256;

/// A socket bound to `address:port`; one that listens where it is a stream.
pub(crate) fn bound(kind: i32, address: [u8; 4], port: u16) -> Result<i32, Errno> {
    let socket = socket(
        libc::AF_INET,
        kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
    )?;
    let at = v4(address, port);
    number_call!(
        libc::SYS_bind,
        socket,
        &raw const at,
        size_of::<libc::sockaddr_in>()
    )?;
    listen(socket, kind)
}

/// A stream socket that listens on every IPv6 address.
pub(crate) fn bound6(port: u16) -> Result<i32, Errno> {
    let kind = libc::SOCK_STREAM;
    let socket = socket(
        libc::AF_INET6,
        kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
    )?;
    let only = 1i32;
    number_call!(
        libc::SYS_setsockopt,
        socket,
        libc::IPPROTO_IPV6,
        libc::IPV6_V6ONLY,
        &raw const only,
        4
    )?;
    let at = libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as u16,
        sin6_port: port.to_be(),
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    };
    number_call!(
        libc::SYS_bind,
        socket,
        &raw const at,
        size_of::<libc::sockaddr_in6>()
    )?;
    listen(socket, kind)
}

fn listen(socket: i32, kind: i32) -> Result<i32, Errno> {
    if kind == libc::SOCK_STREAM {
        number_call!(libc::SYS_listen, socket, BACKLOG)?;
    }
    Ok(socket)
}

/// Tries to connect a fresh datagram socket, which sends nothing: tells whether a route exists.
pub(crate) fn routes_to(address: [u8; 4]) -> Result<(), Errno> {
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC)?;
    let at = v4(address, 9);
    let outcome = done(number_call!(
        libc::SYS_connect,
        socket,
        &raw const at,
        size_of::<libc::sockaddr_in>()
    ));
    super::close(socket);
    outcome
}

/// Most descriptors in one message (the kernel's `SCM_MAX_FD` is 253).
pub(crate) const MAX_PASSED: usize = 240;

#[repr(C, align(8))]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptors: [i32; MAX_PASSED],
}

/// Sends one byte and `descriptors` over a socket of the Unix family.
pub(crate) fn send(socket: i32, byte: u8, descriptors: &[i32]) -> Result<(), Errno> {
    let mut control = Control {
        length: 16 + size_of_val(descriptors),
        level: libc::SOL_SOCKET,
        kind: libc::SCM_RIGHTS,
        descriptors: [-1; MAX_PASSED],
    };
    for (slot, descriptor) in control.descriptors.iter_mut().zip(descriptors) {
        *slot = *descriptor;
    }
    if descriptors.len() > MAX_PASSED {
        return Err(libc::E2BIG);
    }
    let vector = libc::iovec {
        iov_base: (&raw const byte).cast_mut().cast(),
        iov_len: 1,
    };
    // SAFETY: `msghdr` is plain data for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = (&raw const vector).cast_mut();
    message.msg_iovlen = 1;
    if !descriptors.is_empty() {
        message.msg_control = (&raw const control).cast_mut().cast();
        message.msg_controllen = control.length;
    }
    done(number_call!(
        libc::SYS_sendmsg,
        socket,
        &raw const message,
        libc::MSG_NOSIGNAL
    ))
}

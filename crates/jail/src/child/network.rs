//! The network inside: nothing, or `lo` with the listeners that the host serves.

use super::{LISTENERS, NetworkPlan};
use crate::sys::{self, Errno};

/// The namespace is new, so this can only fail where something else configures new ones.
pub(super) fn none() -> Result<(), Errno> {
    let socket = match sys::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) {
        Ok(socket) => socket,
        Err(libc::EAFNOSUPPORT) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let up = sys::interfaces_up(socket)?;
    sys::close(socket);
    if up == 0 {
        Ok(())
    } else {
        Err(libc::ENETUNREACH)
    }
}

/// Brings `lo` up with its addresses, binds what is served there, and hands it to the host.
pub(super) fn make(plan: &NetworkPlan) -> Result<(), Errno> {
    let socket = sys::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC)?;
    sys::loopback_up(socket)?;
    for ((address, mask), label) in plan.v4.iter().zip(1..) {
        sys::loopback_address(socket, label, *address, *mask)?;
    }
    sys::close(socket);
    if !plan.v6.is_empty() {
        let socket = sys::socket(libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC)?;
        for address in &plan.v6 {
            sys::loopback_address6(socket, *address)?;
        }
        sys::close(socket);
    }
    let mut passed = [-1; sys::MAX_PASSED];
    let mut count = 0;
    let mut keep = |descriptor: i32| match passed.get_mut(count) {
        Some(slot) => {
            *slot = descriptor;
            count += 1;
            Ok(())
        }
        None => Err(libc::E2BIG),
    };
    keep(sys::bound(libc::SOCK_DGRAM, plan.dns, 53)?)?;
    keep(sys::bound(libc::SOCK_STREAM, plan.dns, 53)?)?;
    for (port, on_v6) in &plan.listeners {
        keep(match on_v6 {
            true => sys::bound6(*port)?,
            false => sys::bound(libc::SOCK_STREAM, [0; 4], *port)?,
        })?;
    }
    sys::send(LISTENERS, b'L', passed.get(..count).unwrap_or_default())
}

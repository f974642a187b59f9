//! The host's end of the sockets over which the child hands out descriptors.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketFlags,
    SocketType, recvmsg, socketpair,
};

use crate::sys::MAX_PASSED;

/// A connected pair: the host's end, the child's end.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    Ok(socketpair(
        AddressFamily::UNIX,
        kind,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// One message: its byte and descriptors; none at the end.
///
/// # Errors
/// The kernel's own, `WouldBlock` where nothing is there yet and `wait` is false, and a cut message.
pub(crate) fn receive(socket: impl AsFd, wait: bool) -> io::Result<Option<(u8, Vec<OwnedFd>)>> {
    let mut byte = [0u8; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PASSED))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = if wait {
        RecvFlags::empty()
    } else {
        RecvFlags::DONTWAIT
    } | RecvFlags::CMSG_CLOEXEC;
    let message = loop {
        let vectors = &mut [io::IoSliceMut::new(&mut byte)];
        match recvmsg(&socket, vectors, &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors were lost: too many are open"));
    }
    let descriptors = control.drain().flat_map(|part| match part {
        RecvAncillaryMessage::ScmRights(rights) => rights.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let descriptors = descriptors.collect();
    let [byte] = byte;
    Ok((message.bytes > 0).then_some((byte, descriptors)))
}

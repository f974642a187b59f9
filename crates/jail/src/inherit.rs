//! Which of the host's standard streams may be handed to a program as they are.
//!
//! A descriptor brings its own powers past every mount and every rule on paths: from an open folder the
//! files below it can be named, and a socket without a peer can be given any.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::fs::{CWD, FileType, OFlags, fcntl_getfl, fstat, readlinkat, stat};
use rustix::net::{SocketType, getpeername, sockopt::socket_type};

use rustix::process::geteuid;

use crate::base;
use crate::child::Reopened;

/// Refuses what is more than a stream.
///
/// # Errors
/// When the descriptor is a folder, a place rather than an open file, a disk, or a socket that could reach
/// another than its peer: any socket, where the program may `connect`, for it could be parted from its peer.
pub(crate) fn check(fd: BorrowedFd<'_>, networked: bool) -> io::Result<()> {
    let refuse = |what: &str| {
        Err(io::Error::other(format!(
            "a standard stream is {what}, which would let the program reach past the wall; \
             redirect it from or to a file, a pipe or /dev/null"
        )))
    };
    if fcntl_getfl(fd)?.contains(OFlags::PATH) {
        return refuse("a place and no open file");
    }
    match FileType::from_raw_mode(fstat(fd)?.st_mode) {
        FileType::RegularFile | FileType::Fifo | FileType::CharacterDevice => Ok(()),
        FileType::Socket => {
            if networked {
                return refuse("a socket, beside a granted network");
            }
            let streams = matches!(socket_type(fd)?, SocketType::STREAM | SocketType::SEQPACKET);
            if streams && getpeername(fd).is_ok() {
                return Ok(());
            }
            refuse("a socket that could be sent anywhere")
        }
        FileType::Directory => refuse("a folder"),
        FileType::BlockDevice => refuse("a disk"),
        // Event and timer descriptors and their like.
        _ => refuse("no stream"),
    }
}

/// The path inside of the device that `fd` is, if it is one that stands there. The program then gets the
/// one inside: through the host's, its owner could change the mode of the host's own `/dev/null`.
pub(crate) fn device(fd: impl AsFd) -> io::Result<Option<CString>> {
    let own = fstat(fd)?;
    if FileType::from_raw_mode(own.st_mode) != FileType::CharacterDevice {
        return Ok(None);
    }
    for path in base::DEVICES {
        if stat(path)?.st_rdev == own.st_rdev {
            return Ok(Some(CString::new(path)?));
        }
    }
    Ok(None)
}

/// Whether the program may have this stream as it is: a pipe or a socket, which nobody finds by a name, a device that
/// stands inside as well, or a terminal that can be opened anew. What else there is has to be carried: of a file that is
/// handed over, its mode, owner and times could be changed by whoever has it, and it could be locked.
///
/// # Errors
/// When the stream cannot be looked at.
pub fn can_be_handed_over(stream: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(match FileType::from_raw_mode(fstat(stream)?.st_mode) {
        FileType::Fifo => place_of(stream)?.to_bytes().starts_with(b"pipe:"),
        FileType::RegularFile => false,
        FileType::CharacterDevice => {
            device(stream)?.is_some() || reopened(stream).is_ok_and(|found| found.is_some())
        }
        // Nothing that is handed over is a folder or a disk: these are refused.
        _ => true,
    })
}

/// How a terminal of the host is opened anew; none where it is no terminal.
///
/// # Errors
/// When it has no place that leads to it, or is another's.
pub(crate) fn reopened(stream: impl AsFd) -> io::Result<Option<Reopened>> {
    if !rustix::termios::isatty(&stream) {
        return Ok(None);
    }
    let own = fstat(&stream)?;
    let path = place_of(stream.as_fd())?;
    let found = stat(path.as_c_str())?;
    let identity = (own.st_dev, own.st_ino);
    if (found.st_dev, found.st_ino) != identity || own.st_uid != geteuid().as_raw() {
        return Err(io::Error::other(
            "a standard stream is a terminal that is another's, or has no name here, and cannot be opened anew; \
             redirect it from or to a file, a pipe or /dev/null",
        ));
    }
    let flags = (fcntl_getfl(&stream)? & OFlags::RWMODE).bits();
    Ok(Some(Reopened {
        path,
        identity,
        flags: flags.cast_signed(),
    }))
}

fn place_of(stream: BorrowedFd<'_>) -> io::Result<CString> {
    let link = format!("/proc/self/fd/{}", stream.as_raw_fd());
    Ok(readlinkat(CWD, link, Vec::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn l20_only_streams_are_handed_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("f")).unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        let (one, _two) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        for stream in [
            file.as_fd(),
            read.as_fd(),
            write.as_fd(),
            one.as_fd(),
            null.as_fd(),
        ] {
            check(stream, false).unwrap();
        }
        let folder = File::open(dir.path()).unwrap();
        let place = rustix::fs::open("/dev/null", OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let (datagram, _other) = UnixDatagram::pair().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect(udp.local_addr().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let more = [
            folder.as_fd(),
            place.as_fd(),
            datagram.as_fd(),
            udp.as_fd(),
            listener.as_fd(),
        ];
        for fd in more {
            let error = check(fd, false).unwrap_err().to_string();
            assert!(error.contains("past the wall"), "{error}");
        }
    }

    #[test]
    fn l20_no_socket_is_handed_to_who_may_connect() {
        let (one, _two) = UnixStream::pair().unwrap();
        assert!(check(one.as_fd(), true).is_err());
        let null = File::open("/dev/null").unwrap();
        check(null.as_fd(), true).unwrap();
    }

    #[test]
    fn what_has_a_name_is_carried_and_not_handed_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("f")).unwrap();
        assert!(!can_be_handed_over(file.as_fd()).unwrap());
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        let fifo = File::options().read(true).write(true).open(fifo).unwrap();
        assert!(!can_be_handed_over(fifo.as_fd()).unwrap());
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert!(can_be_handed_over(read.as_fd()).unwrap());
        let (one, _two) = UnixStream::pair().unwrap();
        assert!(can_be_handed_over(one.as_fd()).unwrap());
        let null = File::open("/dev/null").unwrap();
        assert!(can_be_handed_over(null.as_fd()).unwrap());
        assert_eq!(reopened(&null).unwrap(), None);
    }

    #[test]
    fn devices_that_stand_inside_are_known() {
        let path = |path: &str| device(File::open(path).unwrap()).unwrap();
        assert_eq!(path("/dev/null").as_deref(), Some(c"/dev/null"));
        assert_eq!(path("/dev/zero").as_deref(), Some(c"/dev/zero"));
        assert_eq!(path("/etc/passwd"), None);
    }
}

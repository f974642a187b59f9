//! The attacks themselves, run inside a process of their own: 0 when it worked, `BLOCKED` when not.

use std::fs;
use std::io::{Error, Read, Result, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::process::{Command, Stdio};

use crate::world::BLOCKED;

/// What was hidden was read.
const BREACH: i32 = 99;

fn check(result: i64) -> Result<i64> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

macro_rules! sys {
    ($nr:expr $(, $a:expr)*) => {
        // SAFETY: a probe in a process of its own; pointers among the arguments are to live values.
        check(unsafe { libc::syscall($nr $(, $a)*) })
    };
}

/// Runs the attack named by the first word, with the other words as its arguments, and ends the process.
pub(crate) fn main(attack: &str) -> ! {
    let words: Vec<&str> = attack.split(' ').collect();
    let outcome = run(words[0], &words[1..]);
    println!("{attack}: {outcome:?}");
    std::process::exit(if outcome.is_ok() { 0 } else { BLOCKED })
}

fn run(name: &str, a: &[&str]) -> Result<()> {
    match name {
        "read" => fs::read(a[0]).map(drop),
        "write" => fs::write(a[0], "x"),
        "append" => fs::OpenOptions::new().append(true).open(a[0]).map(drop),
        "list" => fs::read_dir(a[0]).map(drop),
        "see" => fs::symlink_metadata(a[0]).map(drop),
        "link" => fs::hard_link(a[0], a[1]),
        "rename" => fs::rename(a[0], a[1]),
        "remove" => fs::remove_file(a[0]),
        "follow" => std::os::unix::fs::symlink(a[0], a[1]).and_then(|()| fs::read(a[1]).map(drop)),
        "chmod" => fs::set_permissions(
            a[0],
            PermissionsExt::from_mode(u32::from_str_radix(a[1], 8).unwrap()),
        ),
        "create-set-id" => create_set_id(a[0]),
        "spawn" => spawn(Command::new(a[0]).args(&a[1..])),
        "write-and-run" => write_and_run(a[0], a[1]),
        "memfd-run" => memfd_run(a[0]),
        "execveat" => execveat(a[0]),
        "lease" => lease(a[0]),
        "chmod-stdin" => sys!(libc::SYS_fchmod, 0, 0o666).map(drop),
        "chmod-below-stdin" => {
            let name = std::ffi::CString::new(a[0])?;
            sys!(libc::SYS_fchmodat, 0, name.as_ptr(), 0o666).map(drop)
        }
        "stdin-and-stdout-work" => {
            std::io::stdout().write_all(b"x")?;
            std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
        }
        "tcp" => TcpStream::connect(a[0]).map(drop),
        "udp" => UdpSocket::bind("0.0.0.0:0")?.send_to(b"x", a[0]).map(drop),
        "listen" => std::net::TcpListener::bind("127.0.0.1:0").map(drop),
        "unix" => UnixStream::connect(a[0]).map(drop),
        "abstract" => UnixStream::connect_addr(&SocketAddr::from_abstract_name(a[0])?).map(drop),
        "datagram-pair" => UnixDatagram::pair()?.0.send_to(b"x", a[0]).map(drop),
        "datagram" => UnixDatagram::unbound()?.send_to(b"x", a[0]).map(drop),
        "environment" => std::env::var(a[0]).map(drop).map_err(Error::other),
        "descriptor" => descriptor(a[0].parse().unwrap()),
        "thread" => std::thread::spawn(|| ())
            .join()
            .map_err(|_| Error::other("panicked")),
        "alone" => alone(),
        "start-while-watched" => start_while_watched(),
        "shifting" => shifting(a[0], a[1]),
        "odd-paths" => odd_paths(),
        "pipe-open" => pipe_open(a[0]),
        other => raw(other, a),
    }
}

/// Attacks that are one system call.
fn raw(name: &str, a: &[&str]) -> Result<()> {
    let pid = || a[0].parse::<i32>().unwrap();
    let zero = 0usize;
    match name {
        "limits-of" => sys!(
            libc::SYS_prlimit64,
            pid(),
            libc::RLIMIT_NOFILE,
            zero,
            [0u64; 2].as_mut_ptr()
        ),
        "signal" => sys!(libc::SYS_kill, pid(), 0),
        "socket" => sys!(libc::SYS_socket, pid(), a[1].parse::<i32>().unwrap(), 0),
        "ptrace" => in_child(|| sys!(libc::SYS_ptrace, libc::PTRACE_TRACEME, zero, zero, zero)),
        "vm-read" => vm_read(pid(), a[1].parse().unwrap()),
        "unshare" => in_child(|| sys!(libc::SYS_unshare, libc::CLONE_NEWUSER)),
        "clone-user" => sys!(
            libc::SYS_clone,
            libc::CLONE_NEWUSER | libc::SIGCHLD,
            zero,
            zero,
            zero,
            zero
        )
        .map(|pid| {
            if pid == 0 {
                std::process::exit(0)
            }
            pid
        }),
        "clone3" => {
            sys!(libc::SYS_clone3, zero, zero).or_else(|error| match error.raw_os_error() {
                Some(libc::EINVAL | libc::EFAULT) => Ok(0),
                _ => Err(error),
            })
        }
        "mount" => sys!(
            libc::SYS_mount,
            c"none".as_ptr(),
            c"/tmp".as_ptr(),
            c"tmpfs".as_ptr(),
            libc::MS_RDONLY,
            zero
        )
        .and_then(|_| sys!(libc::SYS_umount2, c"/tmp".as_ptr(), libc::MNT_DETACH)),
        "fsopen" => sys!(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0),
        "open-tree" => sys!(libc::SYS_open_tree, libc::AT_FDCWD, c"/".as_ptr(), 0),
        "chroot" => sys!(libc::SYS_chroot, c"/".as_ptr()),
        "bpf" => {
            sys!(libc::SYS_bpf, 11, [0u64; 16].as_ptr(), 128usize).or_else(not_found_is_reached)
        }
        "keyctl" => sys!(libc::SYS_keyctl, 0, -3, 1),
        "add-key" => sys!(
            libc::SYS_add_key,
            c"user".as_ptr(),
            c"bailiwick".as_ptr(),
            b"x".as_ptr(),
            1usize,
            -2
        ),
        "perf" => perf(),
        "userfaultfd" => sys!(libc::SYS_userfaultfd, 1),
        "io-uring" => sys!(libc::SYS_io_uring_setup, 1, [0u64; 32].as_mut_ptr()),
        "personality" => sys!(libc::SYS_personality, 0x0004_0000),
        "handle" => sys!(
            libc::SYS_open_by_handle_at,
            libc::AT_FDCWD,
            [0u64; 4].as_ptr(),
            0
        )
        .or_else(not_found_is_reached),
        "setns" => {
            let namespace = fs::File::open("/proc/self/ns/uts")?;
            sys!(libc::SYS_setns, namespace.as_raw_fd(), 0)
        }
        "hostname" => {
            let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or("x".into());
            sys!(
                libc::SYS_sethostname,
                name.trim().as_ptr(),
                name.trim().len()
            )
        }
        "device" => {
            let path = std::ffi::CString::new(a[0]).unwrap();
            sys!(
                libc::SYS_mknodat,
                libc::AT_FDCWD,
                path.as_ptr(),
                libc::S_IFCHR | 0o600,
                0x103
            )
        }
        "syslog" => sys!(libc::SYS_syslog, 10, zero, zero),
        "pidfd-getfd" => pidfd_getfd(pid()),
        "type-into-terminal" => type_into_terminal(),
        "i386" => i386(),
        other => panic!("no such probe: {other}"),
    }
    .map(drop)
}

/// In a process with one thread only, as some calls demand.
fn in_child(call: impl FnOnce() -> Result<i64>) -> Result<i64> {
    // SAFETY: a probe; the child makes one system call and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let status = call()
            .err()
            .and_then(|error| error.raw_os_error())
            .unwrap_or(0);
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(status) }
    }
    let mut status = 0;
    // SAFETY: waits for the child just made.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) }.into())?;
    match libc::WEXITSTATUS(status) {
        0 => Ok(0),
        errno => Err(Error::from_raw_os_error(errno)),
    }
}

/// The kernel looked at the arguments: the system call is open.
fn not_found_is_reached(error: Error) -> Result<i64> {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::ENOSYS | libc::EACCES) => Err(error),
        _ => Ok(0),
    }
}

fn spawn(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::other(format!("{status}")))
    }
}

fn write_and_run(program: &str, place: &str) -> Result<()> {
    fs::copy(program, place)?;
    fs::set_permissions(place, PermissionsExt::from_mode(0o755))?;
    let ran = spawn(&mut Command::new(place));
    fs::remove_file(place)?;
    ran
}

fn memfd_run(program: &str) -> Result<()> {
    let descriptor = sys!(libc::SYS_memfd_create, c"x".as_ptr(), 0)?;
    // SAFETY: the descriptor was just made and has no other owner.
    let mut file = unsafe { fs::File::from_raw_fd(descriptor as i32) };
    file.write_all(&fs::read(program)?)?;
    spawn(&mut Command::new(format!("/proc/self/fd/{descriptor}")))
}

fn execveat(program: &str) -> Result<()> {
    let file = fs::File::open(program)?;
    let argv = [c"x".as_ptr(), std::ptr::null()];
    sys!(
        libc::SYS_execveat,
        file.as_raw_fd(),
        c"".as_ptr(),
        argv.as_ptr(),
        argv[1..].as_ptr(),
        libc::AT_EMPTY_PATH
    )
    .map(drop)
}

fn create_set_id(path: &str) -> Result<()> {
    let path = std::ffi::CString::new(std::ffi::OsStr::new(path).as_bytes()).unwrap();
    sys!(
        libc::SYS_openat,
        libc::AT_FDCWD,
        path.as_ptr(),
        libc::O_CREAT | libc::O_WRONLY,
        0o4755
    )
    .map(drop)
}

fn descriptor(number: i32) -> Result<()> {
    let mut byte = [0u8];
    sys!(libc::SYS_pread64, number, byte.as_mut_ptr(), 1usize, 0i64).map(drop)
}

/// Only one may watch a process: with somebody around it already, the wall stands and tells nothing.
fn start_while_watched() -> Result<()> {
    let allow = libc::sock_filter {
        code: 6,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    let filter = libc::sock_fprog {
        len: 1,
        filter: (&raw const allow).cast_mut(),
    };
    let before = bailiwick_jail::Native::probe().map_err(Error::other)?;
    sys!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
    sys!(
        libc::SYS_seccomp,
        libc::SECCOMP_SET_MODE_FILTER,
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
        &raw const filter
    )?;
    let native = bailiwick_jail::Native::probe().map_err(Error::other)?;
    assert!(before.tells() && !native.tells());
    let program = crate::world::program("/bin/true".as_ref());
    let explained = native.explain(&program, &crate::world::grant(&[]));
    assert!(explained.iter().any(|line| line.contains("NOT told")));
    let extras = bailiwick_jail::Extras {
        watch: bailiwick_jail::Watch::Everything,
        ..bailiwick_jail::Extras::default()
    };
    let limits = bailiwick_wall::Limits::default();
    let ended = crate::world::run_with(&program, &crate::world::grant(&[]), &limits, &extras);
    assert!(ended.map_err(Error::other)?.status.success());
    Ok(())
}

/// Opens by a path that another thread changes all the while, and ends in the middle of it.
fn shifting(one: &str, other: &str) -> Result<()> {
    let paths = [one, other].map(|path| std::ffi::CString::new(path).unwrap());
    let longest = one.len().max(other.len()) + 1;
    let shared: &'static [std::sync::atomic::AtomicU8] = Vec::leak(
        (0..longest)
            .map(|_| std::sync::atomic::AtomicU8::new(0))
            .collect(),
    );
    let put = move |path: &std::ffi::CStr| {
        for (slot, byte) in shared.iter().zip(path.to_bytes_with_nul()) {
            slot.store(*byte, std::sync::atomic::Ordering::Relaxed);
        }
    };
    put(&paths[0]);
    std::thread::spawn(move || {
        loop {
            paths.iter().for_each(|path| put(path));
        }
    });
    for _ in 0..4 {
        std::thread::spawn(move || {
            loop {
                let (flags, mode) = (libc::O_RDONLY, 0);
                let file = sys!(
                    libc::SYS_openat,
                    libc::AT_FDCWD,
                    shared.as_ptr(),
                    flags,
                    mode
                );
                let Ok(file) = file else { continue };
                // SAFETY: the descriptor was just made and has no other owner.
                let mut file = unsafe { fs::File::from_raw_fd(file as i32) };
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                if text == "canary" {
                    std::process::exit(BREACH);
                }
            }
        });
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    Ok(())
}

/// Paths that are too long, endless, nowhere in memory, or empty.
fn odd_paths() -> Result<()> {
    let long = vec![b'a'; 5000];
    let loops = b"/proc/self/cwd/proc/self/cwd/proc/self/fd/0/x\0";
    let dots = [b"/..".repeat(1300), vec![0]].concat();
    for address in [
        long.as_ptr() as usize,
        loops.as_ptr() as usize,
        dots.as_ptr() as usize,
        c"".as_ptr() as usize,
        0,
        1,
        usize::MAX - 8,
    ] {
        for folder in [libc::AT_FDCWD, -1, 0, 7777] {
            let flags = libc::O_RDONLY | libc::O_PATH;
            let _ = sys!(libc::SYS_openat, folder, address, flags, 0);
            let _ = sys!(libc::SYS_unlinkat, folder, address, 0);
        }
    }
    Ok(())
}

/// A pipe that nobody reads: opening it waits, and only the one who opens it.
fn pipe_open(path: &str) -> Result<()> {
    let name = std::ffi::CString::new(path).unwrap();
    sys!(
        libc::SYS_mknodat,
        libc::AT_FDCWD,
        name.as_ptr(),
        libc::S_IFIFO | 0o600,
        0
    )?;
    let waiting = path.to_owned();
    std::thread::spawn(move || fs::File::open(waiting));
    std::thread::sleep(std::time::Duration::from_millis(50));
    fs::read("/proc/self/status").map(drop)
}

fn vm_read(pid: i32, address: usize) -> Result<i64> {
    let mut byte = [0u8];
    let local = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let remote = libc::iovec {
        iov_base: address as *mut _,
        iov_len: 1,
    };
    sys!(
        libc::SYS_process_vm_readv,
        pid,
        &raw const local,
        1usize,
        &raw const remote,
        1usize,
        0usize
    )
}

fn pidfd_getfd(pid: i32) -> Result<i64> {
    let pidfd = sys!(libc::SYS_pidfd_open, pid, 0)?;
    sys!(libc::SYS_pidfd_getfd, pidfd, 0, 0)
}

/// As long as it is held, opening the file for writing waits (`/proc/sys/fs/lease-break-time`).
fn lease(path: &str) -> Result<()> {
    let file = fs::File::open(path)?;
    sys!(
        libc::SYS_fcntl,
        file.as_raw_fd(),
        libc::F_SETLEASE,
        libc::F_RDLCK
    )
    .map(drop)
}

fn perf() -> Result<i64> {
    // A software clock of this process, user space only: what perf_event_paranoid permits everyone up to 2.
    let mut attributes = [0u64; 16];
    attributes[0] = 128 << 32 | 1;
    attributes[5] = 0b110_0000;
    sys!(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0)
}

fn type_into_terminal() -> Result<i64> {
    let null = fs::File::open("/dev/null")?;
    // ENOTTY would come from the device; the wall says EPERM before it. The upper bits must not help.
    sys!(
        libc::SYS_ioctl,
        null.as_raw_fd(),
        libc::TIOCSTI | 1 << 32,
        b"x".as_ptr()
    )
    .or_else(|error| {
        if error.raw_os_error() == Some(libc::ENOTTY) {
            Ok(0)
        } else {
            Err(error)
        }
    })
}

#[cfg(target_arch = "x86_64")]
fn i386() -> Result<i64> {
    let result: i64;
    // SAFETY: getpid by the 32-bit entry; rbx holds no argument, and the kernel clobbers r8 to r11.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20i64 => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if result > 0 {
        Ok(result)
    } else {
        Err(Error::from_raw_os_error(-result as i32))
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn i386() -> Result<i64> {
    Err(Error::other("no such entry"))
}

/// Succeeds when only processes of this namespace are seen: init, this one, and its threads.
fn alone() -> Result<()> {
    let mut others = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name().into_string().unwrap();
        if name
            .parse::<u32>()
            .is_ok_and(|pid| pid != 1 && pid != std::process::id())
        {
            others += 1;
        }
    }
    let mut stat = String::new();
    fs::File::open("/proc/1/comm")?.read_to_string(&mut stat)?;
    if others == 0 && stat.trim() == ".init" {
        Ok(())
    } else {
        Err(Error::other(format!("{others} others, {stat}")))
    }
}

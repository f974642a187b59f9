//! Names what the filter refuses: the call, and those of its arguments that say what it was for.

use bailiwick_wall::Denials;
use libc as c;
use syscalls::Sysno;

use super::address::Address;
use crate::seccomp::{Profile, THIS_ARCH, X32};
use crate::sys::notify::Notification;

/// 32-bit calls of x86 (`AUDIT_ARCH_I386`).
const I386: u32 = 0x4000_0003;

const NOBODY: &str = "no program inside the wall may make it";
const THESE: &str = "no program inside the wall may make it with these arguments";
const NO_NETWORK: &str = "no network was granted";
/// Telling all the same: which socket it was to be cannot be known before it is there.
const NO_UNIX: &str = "no Unix socket leads out; C libraries look for a cache of names by one";
const NO_SUCH_SOCKET: &str = "only connections to what was granted may be made";

/// What of these constants `value` is.
macro_rules! named {
    ($value:expr, $($name:ident)*) => {
        match $value {
            $(value if value == c::$name as u64 => Some(stringify!($name)),)*
            _ => None,
        }
    };
}

/// Those of these flags that `value` has.
macro_rules! flags {
    ($value:expr, $($name:ident)*) => {{
        let mut names = Vec::new();
        $(if $value & (c::$name as u64) == c::$name as u64 { names.push(stringify!($name)); })*
        names.join("|")
    }};
}

/// Tells a call that the filter refuses. It still waits: what is read of its process is its own.
pub(super) fn tell(
    call: &Notification,
    profile: Profile,
    denials: &Denials,
    valid: impl Fn() -> bool,
) {
    if falls_back(call) {
        return;
    }
    let (operation, target, reason) = described(call, profile);
    let who = std::fs::read_to_string(format!("/proc/{}/comm", call.pid)).ok();
    // Else the number may be another's by now.
    let who = who.filter(|_| valid());
    let reason = match who {
        Some(who) => format!("{reason} (tried by `{}`)", who.trim_end().escape_debug()),
        None => reason.to_owned(),
    };
    denials.add(operation, &target, &reason);
}

/// What every copying program tries first, to save itself the copying.
fn falls_back(call: &Notification) -> bool {
    let [_, request, ..] = call.args;
    call.arch == THIS_ARCH
        && c::c_long::from(call.number) == c::SYS_ioctl
        && low(request) == c::FICLONE
}

fn described(call: &Notification, profile: Profile) -> (&'static str, String, &'static str) {
    let number = call.number.cast_unsigned();
    if call.arch != THIS_ARCH {
        return ("system_call", foreign(call.arch, number), NOBODY);
    }
    if number >= X32 {
        return ("system_call", format!("x32 {}", name(number - X32)), NOBODY);
    }
    if let Some(network) = network(call, profile) {
        return network;
    }
    match arguments(call) {
        Some(arguments) => {
            let target = format!("{}({arguments})", name(number));
            ("system_call", target, THESE)
        }
        None => ("system_call", name(number), NOBODY),
    }
}

fn name(number: u32) -> String {
    match Sysno::new(number as usize) {
        Some(known) => known.name().to_owned(),
        None => format!("system call {number}"),
    }
}

fn foreign(arch: u32, number: u32) -> String {
    let known = syscalls::x86::Sysno::new(number as usize).filter(|_| arch == I386);
    match known {
        Some(known) => format!("32-bit {}", known.name()),
        None => format!("system call {number} of architecture {arch:#x}"),
    }
}

/// What has to do with sockets.
fn network(call: &Notification, profile: Profile) -> Option<(&'static str, String, &'static str)> {
    let [a, b, d, _, e, f] = call.args;
    let target = match c::c_long::from(call.number) {
        c::SYS_socket | c::SYS_socketpair => {
            let what = name(call.number.cast_unsigned());
            format!("{what}({}, {})", family(a), kind(b))
        }
        c::SYS_connect | c::SYS_bind => reached(call, b, d),
        c::SYS_sendto => reached(call, e, f),
        c::SYS_listen | c::SYS_accept | c::SYS_accept4 | c::SYS_sendmmsg => {
            name(call.number.cast_unsigned())
        }
        _ => return None,
    };
    let reason = if low(a) == c::AF_UNIX as u64 && c::c_long::from(call.number) == c::SYS_socket {
        NO_UNIX
    } else if profile.network {
        NO_SUCH_SOCKET
    } else {
        NO_NETWORK
    };
    Some(("network_access", target, reason))
}

fn reached(call: &Notification, at: u64, length: u64) -> String {
    let what = name(call.number.cast_unsigned());
    match Address::read(call.pid, at, length) {
        Some(address) => format!("{what}({address})"),
        None => what,
    }
}

fn low(value: u64) -> u64 {
    value & u64::from(u32::MAX)
}

fn family(value: u64) -> String {
    let known = named!(low(value), AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK AF_ALG AF_KEY
        AF_BLUETOOTH AF_CAN AF_TIPC AF_XDP AF_RDS AF_NFC AF_IB AF_LLC AF_APPLETALK AF_IPX AF_X25 AF_AX25
        AF_PPPOX AF_PHONET AF_IEEE802154 AF_CAIF);
    known.map_or_else(|| format!("family {}", low(value)), str::to_owned)
}

fn kind(value: u64) -> String {
    let known = named!(low(value) & 0xf, SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET);
    known.map_or_else(|| format!("type {}", low(value) & 0xf), str::to_owned)
}

/// The arguments that say what other calls were for.
fn arguments(call: &Notification) -> Option<String> {
    let [a, b, ..] = call.args;
    let or_hex = |known: Option<&str>, value: u64| {
        known.map_or_else(|| format!("{:#x}", low(value)), str::to_owned)
    };
    let process = |value: u64| match low(value) {
        0 => "itself".to_owned(),
        pid => format!("process {pid}"),
    };
    Some(match c::c_long::from(call.number) {
        c::SYS_ioctl => or_hex(request(low(b)), b),
        c::SYS_fcntl => or_hex(named!(low(b), F_SETLEASE F_NOTIFY F_SETPIPE_SZ), b),
        c::SYS_prctl => or_hex(option(low(a)), a),
        c::SYS_personality => format!("{:#x}", low(a)),
        c::SYS_memfd_create => "without MFD_NOEXEC_SEAL".to_owned(),
        c::SYS_clone | c::SYS_unshare => namespaces(a)?,
        c::SYS_setns => namespaces(b)?,
        c::SYS_ptrace => format!("{}, {}", or_hex(trace(low(a)), a), process(b)),
        c::SYS_process_vm_readv | c::SYS_process_vm_writev | c::SYS_prlimit64 => process(a),
        c::SYS_sched_setaffinity | c::SYS_sched_setattr => process(a),
        c::SYS_sched_setparam | c::SYS_sched_setscheduler => process(a),
        c::SYS_setpriority if low(a) == 0 => process(b),
        c::SYS_setpriority => "a whole group or user".to_owned(),
        c::SYS_keyctl | c::SYS_bpf | c::SYS_seccomp => format!("{}", low(a)),
        c::SYS_openat | c::SYS_fchmodat | c::SYS_fchmod | c::SYS_mknodat => {
            "set-id bits".to_owned()
        }
        c::SYS_fchmodat2 => "set-id bits".to_owned(),
        c::SYS_kcmp => format!("{}, {}", process(a), process(b)),
        #[cfg(target_arch = "x86_64")]
        c::SYS_open | c::SYS_creat | c::SYS_chmod | c::SYS_mknod => "set-id bits".to_owned(),
        _ => return None,
    })
}

fn namespaces(value: u64) -> Option<String> {
    let names = flags!(low(value), CLONE_NEWNS CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER
        CLONE_NEWPID CLONE_NEWNET);
    (!names.is_empty()).then_some(names)
}

fn request(value: u64) -> Option<&'static str> {
    named!(value, TIOCSTI TIOCSCTTY TIOCLINUX TIOCNOTTY TIOCCONS TIOCSETD TIOCSWINSZ FICLONE FICLONERANGE
        TCSBRK TCXONC TCFLSH FIOASYNC SIOCGIFCONF SIOCGIFFLAGS SIOCSIFFLAGS FS_IOC_GETFLAGS FS_IOC_SETFLAGS)
}

fn option(value: u64) -> Option<&'static str> {
    named!(value, PR_SET_MM PR_SET_PTRACER PR_SET_DUMPABLE PR_CAP_AMBIENT PR_SET_SECCOMP PR_SET_KEEPCAPS
        PR_SET_SECUREBITS PR_CAPBSET_DROP PR_SET_TSC PR_SET_UNALIGN PR_SET_FPEMU PR_SET_TIMING
        PR_MCE_KILL PR_SET_SPECULATION_CTRL PR_GET_SPECULATION_CTRL
        PR_SCHED_CORE PR_GET_TSC PR_GET_THP_DISABLE PR_GET_TIMERSLACK PR_GET_CHILD_SUBREAPER)
}

fn trace(value: u64) -> Option<&'static str> {
    named!(value, PTRACE_TRACEME PTRACE_ATTACH PTRACE_SEIZE PTRACE_PEEKDATA PTRACE_PEEKTEXT PTRACE_POKEDATA
        PTRACE_CONT PTRACE_DETACH PTRACE_GETREGSET)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extras::Watch;

    const ALONE: Profile = Profile {
        network: false,
        terminals: false,
        watch: Watch::Everything,
    };

    fn told(number: i64, args: [u64; 6]) -> (&'static str, String) {
        let call = Notification {
            number: i32::try_from(number).unwrap(),
            arch: THIS_ARCH,
            args,
            ..Notification::default()
        };
        let (operation, target, _) = described(&call, ALONE);
        (operation, target)
    }

    #[test]
    fn calls_are_told_by_name_with_what_they_were_for() {
        for (number, args, wanted) in [
            (c::SYS_bpf, [5, 0, 0, 0, 0, 0], "bpf(5)"),
            (c::SYS_io_uring_setup, [0; 6], "io_uring_setup"),
            (c::SYS_ptrace, [0; 6], "ptrace(PTRACE_TRACEME, itself)"),
            (
                c::SYS_ptrace,
                [16, 7, 0, 0, 0, 0],
                "ptrace(PTRACE_ATTACH, process 7)",
            ),
            (c::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0], "ioctl(TIOCSTI)"),
            (c::SYS_ioctl, [0, 0xbeef, 0, 0, 0, 0], "ioctl(0xbeef)"),
            (c::SYS_prctl, [4, 1, 0, 0, 0, 0], "prctl(PR_SET_DUMPABLE)"),
            (
                c::SYS_unshare,
                [0x1002_0000, 0, 0, 0, 0, 0],
                "unshare(CLONE_NEWNS|CLONE_NEWUSER)",
            ),
            (c::SYS_prlimit64, [1, 0, 0, 0, 0, 0], "prlimit64(process 1)"),
            (c::SYS_mount, [0; 6], "mount"),
        ] {
            assert_eq!(told(number, args), ("system_call", wanted.to_owned()));
        }
        let netlink = told(c::SYS_socket, [16, 0x80003, 0, 0, 0, 0]);
        let wanted = "socket(AF_NETLINK, SOCK_RAW)".to_owned();
        assert_eq!(netlink, ("network_access", wanted));
        assert_eq!(told(c::SYS_listen, [0; 6]).0, "network_access");
    }

    #[test]
    fn other_ways_into_the_kernel_are_told_as_such() {
        let x32 = told(i64::from(X32) + c::SYS_openat, [0; 6]);
        assert_eq!(x32.1, "x32 openat");
        assert_eq!(foreign(I386, 20), "32-bit getpid");
        assert!(foreign(0xdead, 20).contains("0xdead"));
        assert_eq!(name(9999), "system call 9999");
    }
}

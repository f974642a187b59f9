//! Process 1 inside the wall: starts the plugin, reaps what is orphaned, passes signals on, and ends
//! everything when the host goes away.
//!
//! Freestanding and tiny on purpose: it shares user, namespace and filter with the plugin, so whatever
//! its memory held, the plugin could read. It holds nothing but what the plugin was given anyway.
//!
//! Descriptors at start: 0–2 stdio, 3 write end of a pipe that takes the `errno` of a failed exec,
//! 4 read end of a pipe whose writers are the host alone. Arguments: the program, then its `argv`.
//! Called `.hold` and not process 1, it keeps a namespace: it says by a byte that it runs, and waits until stdin ends.
//! Called `.init-terminal`, it leads a session whose controlling terminal is stdin, and 5 takes a byte each time
//! the program is stopped, so that whoever started the host can do something else meanwhile.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

const REPORT: usize = 3;
const LIFE: usize = 4;
const STOPS: usize = 5;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(70)
}

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor %ebp, %ebp",
    "mov %rsp, %rdi",
    "and $-16, %rsp",
    "call init_main",
    "ud2",
    options(att_syntax)
);

#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x0, sp", "bl init_main", "brk #1");

#[cfg(target_arch = "x86_64")]
mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const SIGPROCMASK: usize = 14;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const FCNTL: usize = 72;
    pub const IOCTL: usize = 16;
    pub const SETPGID: usize = 109;
    pub const SETSID: usize = 112;
    pub const GETPID: usize = 39;
    pub const EXIT_GROUP: usize = 231;
    pub const PPOLL: usize = 271;
    pub const SIGNALFD4: usize = 289;
}

#[cfg(target_arch = "aarch64")]
mod nr {
    pub const FCNTL: usize = 25;
    pub const IOCTL: usize = 29;
    pub const SETPGID: usize = 154;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const PPOLL: usize = 73;
    pub const SIGNALFD4: usize = 74;
    pub const EXIT_GROUP: usize = 94;
    pub const KILL: usize = 129;
    pub const SIGPROCMASK: usize = 135;
    pub const SETSID: usize = 157;
    pub const GETPID: usize = 172;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
}

/// One system call with up to six arguments.
#[cfg(target_arch = "x86_64")]
fn call(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the callers below pass pointers to live locals, or to the arguments the kernel gave us.
    unsafe {
        asm!("syscall", inlateout("rax") nr => ret,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    ret
}

/// One system call with up to six arguments.
#[cfg(target_arch = "aarch64")]
fn call(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the callers below pass pointers to live locals, or to the arguments the kernel gave us.
    unsafe {
        asm!("svc 0", in("x8") nr, inlateout("x0") a[0] => ret,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    ret
}

fn exit(status: i32) -> ! {
    loop {
        call(nr::EXIT_GROUP, [status as usize, 0, 0, 0, 0, 0]);
    }
}

/// `WEXITSTATUS`, or 128 and the signal, as shells have it.
fn shell_status(status: i32) -> i32 {
    let signal = status & 0x7f;
    if signal == 0 { (status >> 8) & 0xff } else { 128 + signal }
}

#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;
const SIGHUP: u32 = 1;
const SIGINT: u32 = 2;
const SIGQUIT: u32 = 3;
const SIGCHLD: u32 = 17;
const SIGCONT: u32 = 18;
const SIGSTOP: u32 = 19;
const SIGTSTP: u32 = 20;
const TIOCSPGRP: usize = 0x5410;
const WNOHANG: usize = 1;
const WUNTRACED: usize = 2;
const EINTR: isize = -4;

/// Replaces this process (the fork) by the plugin, or reports why not.
fn become_plugin(argv: usize, envp: usize, mask: &u64, terminal: bool) -> ! {
    if terminal {
        // A group beside its parent's in one session: it can be stopped from the terminal, and go on.
        call(nr::SETPGID, [0; 6]);
        call(nr::CLOSE, [STOPS, 0, 0, 0, 0, 0]);
        let group = call(nr::GETPID, [0; 6]) as i32;
        call(nr::IOCTL, [0, TIOCSPGRP, &group as *const i32 as usize, 0, 0, 0]);
    } else {
        call(nr::SETSID, [0; 6]);
    }
    call(nr::CLOSE, [LIFE, 0, 0, 0, 0, 0]);
    call(nr::FCNTL, [REPORT, 2, 1, 0, 0, 0]);
    call(nr::SIGPROCMASK, [SIG_SETMASK, mask as *const u64 as usize, 0, 8, 0, 0]);
    // SAFETY: the host always passes at least one argument, so `argv[0]` is a string pointer.
    let program = unsafe { *(argv as *const usize) };
    let errno = -(call(nr::EXECVE, [program, argv, envp, 0, 0, 0]) as i32);
    call(nr::WRITE, [REPORT, &errno as *const i32 as usize, 4, 0, 0, 0]);
    exit(127)
}

/// Collects every ended child; ends with the plugin's status once the plugin itself is gone.
fn reap(plugin: isize, terminal: bool) {
    let options = if terminal { WNOHANG | WUNTRACED } else { WNOHANG };
    loop {
        let mut status = 0i32;
        let ended = call(nr::WAIT4, [usize::MAX, &mut status as *mut i32 as usize, options, 0, 0, 0]);
        if ended > 0 && status & 0xff == 0x7f {
            if ended == plugin {
                call(nr::WRITE, [STOPS, &status as *const i32 as usize, 1, 0, 0, 0]);
            }
            continue;
        }
        if ended == plugin {
            exit(shell_status(status));
        }
        if ended <= 0 {
            return;
        }
    }
}

/// Passes a signal on: to the plugin, or to its group where a terminal sends it to a group. Stopping must not depend
/// on whether anybody could wake it again: the host does.
fn pass_on(plugin: isize, signal: u32) {
    let group = -plugin;
    let (to, signal) = match signal {
        SIGINT | SIGQUIT | SIGHUP | SIGCONT => (group, signal),
        SIGTSTP => (group, SIGSTOP),
        _ => (plugin, signal),
    };
    // Before it has a group of its own there is only itself.
    if call(nr::KILL, [to as usize, signal as usize, 0, 0, 0, 0]) != 0 {
        call(nr::KILL, [plugin as usize, signal as usize, 0, 0, 0, 0]);
    }
}

/// No kernel has this call; the filter hands it to the host, which answers with an exit status.
const ASK: usize = 5000;

/// As a stub in a program's place: asks the host to run it with these arguments.
fn ask_for_program(argv: usize) -> ! {
    let status = call(ASK, [argv, 0, 0, 0, 0, 0]);
    if status >= 0 {
        exit(status as i32);
    }
    let text = b"bailiwick: this program may not be run with these arguments\n";
    call(nr::WRITE, [2, text.as_ptr() as usize, text.len(), 0, 0, 0]);
    exit(126)
}

/// Whether `name` begins with the letters that the host calls whoever keeps a namespace.
fn is_holder(name: *const u8) -> bool {
    if name.is_null() {
        return false;
    }
    // SAFETY: a string of the kernel's; no byte behind its null is read.
    (0..6).all(|at| unsafe { *name.add(at) } == b".hold\0"[at])
}

/// Tells the host, and waits until it closes its end of stdin.
fn hold() -> ! {
    let mut byte = 0u8;
    call(nr::WRITE, [1, &byte as *const u8 as usize, 1, 0, 0, 0]);
    call(nr::CLOSE, [1, 0, 0, 0, 0, 0]);
    loop {
        let read = call(nr::READ, [0, &mut byte as *mut u8 as usize, 1, 0, 0, 0]);
        if read <= 0 && read != EINTR {
            exit(0);
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn init_main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts argc, then argv and a null, then envp and a null on the initial stack.
    let (argv, envp) = unsafe {
        let argc = *stack;
        (stack.add(2) as usize, stack.add(argc + 2) as usize)
    };
    if call(nr::GETPID, [0; 6]) != 1 {
        // SAFETY: argv begins right after argc, and ends in a null where it is empty.
        if is_holder(unsafe { *(stack.add(1) as *const *const u8) }) {
            hold();
        }
        // SAFETY: argv begins right after argc.
        ask_for_program(unsafe { stack.add(1) } as usize);
    }
    // SAFETY: the host always passes its name, of at least five letters and a null.
    let terminal = unsafe { *(*(argv as *const *const u8).sub(1)).add(5) == b'-' };
    let (every, mut before) = (u64::MAX, 0u64);
    call(nr::SIGPROCMASK, [SIG_BLOCK, &every as *const u64 as usize, &mut before as *mut u64 as usize, 8, 0, 0]);
    let signals = call(nr::SIGNALFD4, [usize::MAX, &every as *const u64 as usize, 8, 0o2_000_000, 0, 0]);
    let plugin = call(nr::CLONE, [SIGCHLD as usize, 0, 0, 0, 0, 0]);
    if plugin == 0 {
        become_plugin(argv, envp, &before, terminal);
    }
    // The plugin's stdio is the plugin's: end of file must show when it closes them.
    for descriptor in [0, 1, 2, REPORT] {
        call(nr::CLOSE, [descriptor, 0, 0, 0, 0, 0]);
    }
    if signals < 0 || plugin < 0 {
        exit(71);
    }
    let mut polled = [
        PollFd { fd: signals as i32, events: 1, revents: 0 },
        PollFd { fd: LIFE as i32, events: 1, revents: 0 },
    ];
    loop {
        reap(plugin, terminal);
        let ready = call(nr::PPOLL, [polled.as_mut_ptr() as usize, 2, 0, 0, 8, 0]);
        // Whoever cannot watch the host any more must not outlive it.
        if ready < 0 && ready != EINTR {
            exit(71);
        }
        if polled[1].revents != 0 {
            exit(137);
        }
        if polled[0].revents != 0 {
            let mut info = [0u32; 32];
            if call(nr::READ, [signals as usize, info.as_mut_ptr() as usize, 128, 0, 0, 0]) == 128 && info[0] != SIGCHLD {
                pass_on(plugin, info[0]);
            }
        }
    }
}

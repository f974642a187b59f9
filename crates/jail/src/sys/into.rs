//! A clone straight into a control group (clone3(2)): moving a process there later waits for the whole machine.

use core::arch::asm;
use core::ffi::c_void;

use libc::c_int;

use super::{Errno, Outcome, call};

/// `struct clone_args` (`linux/sched.h`).
#[repr(C, align(8))]
#[derive(Default)]
pub(crate) struct CloneArgs {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    pub(crate) parent_tid: u64,
    pub(crate) exit_signal: u64,
    pub(crate) stack: u64,
    pub(crate) stack_size: u64,
    pub(crate) tls: u64,
    pub(crate) set_tid: u64,
    pub(crate) set_tid_size: u64,
    pub(crate) cgroup: u64,
}

/// `CLONE_INTO_CGROUP`.
pub(crate) const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Whether this process may use it: a container's filter often refuses it. Without arguments it makes nothing.
pub(crate) fn can_clone_into() -> bool {
    // SAFETY: a size of zero is refused before anything is read.
    let refused = unsafe { call(libc::SYS_clone3, [0; 6]) };
    refused == Err(libc::EINVAL)
}

/// Makes a child that runs `entry` with `argument` on the stack that `args` names; gives its process id.
///
/// # Safety
/// As for clone(2): the stack, `argument` and all that `entry` touches must outlive the child or its exec,
/// and `entry` must not return.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn clone_into(
    args: &CloneArgs,
    entry: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Outcome {
    let result: isize;
    // SAFETY: in the child, which is told by a zero, nothing follows but `entry` on a stack of its own.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") args, in("rsi") size_of::<CloneArgs>(), in("r8") entry, in("r9") argument,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    usize::try_from(result).map_err(|_| result.wrapping_neg() as Errno)
}

/// Makes a child that runs `entry` with `argument` on the stack that `args` names; gives its process id.
///
/// # Safety
/// As for clone(2): the stack, `argument` and all that `entry` touches must outlive the child or its exec,
/// and `entry` must not return.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn clone_into(
    args: &CloneArgs,
    entry: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Outcome {
    let result: isize;
    // SAFETY: in the child, which is told by a zero, nothing follows but `entry` on a stack of its own.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3, inlateout("x0") args => result, in("x1") size_of::<CloneArgs>(),
            in("x9") entry, in("x10") argument, out("x30") _,
        );
    }
    usize::try_from(result).map_err(|_| result.wrapping_neg() as Errno)
}

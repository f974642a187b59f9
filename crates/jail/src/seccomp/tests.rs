//! The compiled program is run by a small interpreter and compared with the table.

use proptest::prelude::*;

use super::descriptors::{FCNTLS, LOCKS, WITHOUT_LOCKS};
use super::*;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Classic BPF, as far as the compiler uses it.
fn run(program: &[sock_filter], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let (mut pc, mut a) = (0usize, 0u32);
    loop {
        let i = program[pc];
        pc += 1;
        match i.code {
            LOAD if i.k == NUMBER => a = number,
            LOAD if i.k == ARCH => a = arch,
            LOAD => a = arguments[((i.k - ARGUMENTS) / 8) as usize] as u32,
            AND => a &= i.k,
            JUMP => pc += i.k as usize,
            IF_EQUAL => pc += usize::from(if a == i.k { i.jt } else { i.jf }),
            IF_AT_LEAST => pc += usize::from(if a >= i.k { i.jt } else { i.jf }),
            RETURN => return i.k,
            other => panic!("unknown instruction {other}"),
        }
    }
}

const ALONE: Profile = Profile {
    network: false,
    terminals: false,
    watch: Watch::Nothing,
};

fn judge(number: libc::c_long, arguments: [u64; 6]) -> u32 {
    run(
        &compile(ALONE),
        THIS_ARCH,
        u32::try_from(number).unwrap(),
        arguments,
    )
}

/// What the table says, read without the compiler.
fn expected(number: u32, arguments: [u64; 6]) -> u32 {
    let number = libc::c_long::from(number);
    let mut rules = UNGUARDED.iter().chain(JUDGED);
    if let Some((_, rule)) = rules.find(|(n, _)| *n == number) {
        return match rule {
            Rule::Unlocked => libc::SECCOMP_RET_ERRNO | libc::ENOLCK as u32,
            Rule::Absent | Rule::Refused => ENOSYS,
            Rule::Unsupported => libc::SECCOMP_RET_ERRNO | libc::EOPNOTSUPP as u32,
            Rule::When(tests) => {
                let holds = |t: &Test| {
                    let value = arguments[t.argument as usize] as u32 & t.mask;
                    t.any.contains(&value) != t.negated
                };
                if tests.iter().all(holds) {
                    ALLOW
                } else {
                    EPERM
                }
            }
        };
    }
    if ALLOWED.contains(&number) || LEGACY.contains(&number) {
        return ALLOW;
    }
    if number > libc::c_long::from(LAST_KNOWN) {
        ENOSYS
    } else {
        EPERM
    }
}

proptest! {
    #[test]
    fn the_program_says_what_the_table_says(number in 0u32..600, arguments in any::<[u64; 6]>()) {
        prop_assert_eq!(run(&compile(ALONE), THIS_ARCH, number, arguments), expected(number, arguments));
    }

    #[test]
    fn small_arguments_too(number in prop::sample::select(JUDGED.iter().map(|(n, _)| *n as u32).collect::<Vec<_>>()),
                           arguments in prop::array::uniform6(0u64..0x8000)) {
        prop_assert_eq!(run(&compile(ALONE), THIS_ARCH, number, arguments), expected(number, arguments));
    }

    #[test]
    fn l12_a_foreign_architecture_is_killed(arch in any::<u32>(), number in 0u32..600) {
        prop_assume!(arch != THIS_ARCH);
        prop_assert_eq!(run(&compile(ALONE), arch, number, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}

#[test]
fn l12_x32_numbers_do_not_exist() {
    for number in 0..600u32 {
        assert_eq!(
            run(&compile(ALONE), THIS_ARCH, 0x4000_0000 | number, [0; 6]),
            ENOSYS
        );
    }
}

#[test]
fn l11_what_leaves_or_rebuilds_the_world_is_refused() {
    for number in [
        libc::SYS_ptrace,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_open_by_handle_at,
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_chroot,
        libc::SYS_pivot_root,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_open_tree,
        libc::SYS_execveat,
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_seccomp,
    ] {
        assert_eq!(judge(number, [0; 6]), EPERM, "system call {number}");
    }
}

#[test]
fn l11_no_flag_makes_a_namespace() {
    for flag in [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ] {
        let flags = (flag | libc::SIGCHLD) as u64;
        assert_eq!(judge(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]), EPERM);
        assert_eq!(
            judge(libc::SYS_clone, [flags | 1 << 40, 0, 0, 0, 0, 0]),
            EPERM
        );
    }
    assert_eq!(
        judge(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]),
        ALLOW
    );
    assert_eq!(judge(libc::SYS_clone3, [0; 6]), ENOSYS);
}

#[test]
fn upper_bits_do_not_hide_a_terminal_request() {
    assert_eq!(
        judge(libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0]),
        EPERM
    );
    assert_eq!(
        judge(libc::SYS_ioctl, [0, libc::TIOCSTI | 1 << 32, 0, 0, 0, 0]),
        EPERM
    );
    assert_eq!(judge(libc::SYS_ioctl, [0, libc::TCGETS, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn l11_init_is_out_of_reach_by_number() {
    for number in [
        libc::SYS_prlimit64,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setaffinity,
    ] {
        for one in [1, 1 | 1 << 32] {
            assert_eq!(judge(number, [one, 0, 0, 0, 0, 0]), EPERM, "{number}");
        }
        for other in [0, 2, 1 << 8] {
            assert_eq!(judge(number, [other, 0, 0, 0, 0, 0]), ALLOW, "{number}");
        }
    }
    let priority = |which, who| judge(libc::SYS_setpriority, [which, who, 19, 0, 0, 0]);
    assert_eq!(priority(0, 0), ALLOW);
    assert_eq!(priority(0, 2), ALLOW);
    assert_eq!(priority(0, 1), EPERM);
    assert_eq!(priority(1, 0), EPERM, "a process group may hold init");
    assert_eq!(priority(2, 0), EPERM, "the user is init's too");
}

#[test]
fn the_program_stays_small() {
    let length = compile(ALONE).len();
    assert!(
        length < 410,
        "{length} instructions: each costs at every start"
    );
}

fn profiles() -> impl Strategy<Value = Profile> {
    let watch = prop::sample::select(vec![
        Watch::Nothing,
        Watch::Acts,
        Watch::Everything,
        Watch::Looks,
    ]);
    (any::<bool>(), any::<bool>(), watch).prop_map(|(network, terminals, watch)| Profile {
        network,
        terminals,
        watch,
    })
}

const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;

proptest! {
    /// Whatever is watched, the same is refused; and the host's own judgement is the filter's.
    #[test]
    fn watching_changes_no_answer(profile in profiles(), number in 0u32..600, arguments in prop::array::uniform6(0u64..0x8000)) {
        let quiet = Profile { watch: Watch::Nothing, ..profile };
        // Without a host that answers there are no locks.
        let locks = [libc::SYS_flock, libc::SYS_fcntl].contains(&libc::c_long::from(number));
        prop_assume!(!locks || profile.watch == Watch::Nothing);
        let unwatched = run(&compile(quiet), THIS_ARCH, number, arguments);
        let watched = run(&compile(profile), THIS_ARCH, number, arguments);
        let judged = super::judge(profile, THIS_ARCH, number.cast_signed(), &arguments);
        match watched {
            ALLOW => prop_assert_eq!(unwatched, ALLOW),
            ASK => prop_assert_ne!(profile.watch, Watch::Nothing),
            refused => prop_assert_eq!(unwatched, refused),
        }
        match judged {
            Judged::Watched => prop_assert_eq!(unwatched, ALLOW),
            Judged::Refused(errno) => {
                prop_assert_eq!(unwatched, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned());
            }
        }
    }
}

#[test]
fn locks_and_pipes_pass_by_the_host_or_there_are_none() {
    let on = |watch: Watch, number: libc::c_long, command: i32| {
        let number = u32::try_from(number).unwrap();
        let arguments = [0, u64::from(command.cast_unsigned()), 0, 0, 0, 0];
        run(
            &compile(Profile { watch, ..ALONE }),
            THIS_ARCH,
            number,
            arguments,
        )
    };
    let locks = [
        libc::F_SETLK,
        libc::F_SETLKW,
        libc::F_OFD_SETLK,
        libc::F_OFD_SETLKW,
    ];
    for watch in [Watch::Acts, Watch::Everything, Watch::Looks] {
        for lock in locks {
            assert_eq!(on(watch, libc::SYS_fcntl, lock), ASK);
        }
        for other in [libc::F_GETLK, libc::F_SETFD, libc::F_DUPFD_CLOEXEC] {
            assert_eq!(on(watch, libc::SYS_fcntl, other), ALLOW);
        }
        assert_eq!(on(watch, libc::SYS_flock, libc::LOCK_SH), ASK);
        assert_eq!(on(watch, libc::SYS_pipe2, 0), ASK);
        assert_eq!(on(watch, libc::SYS_fcntl, libc::F_SETPIPE_SZ), ASK);
    }
    for lock in locks {
        assert_eq!(on(Watch::Nothing, libc::SYS_fcntl, lock), EPERM);
    }
    let none = libc::SECCOMP_RET_ERRNO | libc::ENOLCK as u32;
    assert_eq!(on(Watch::Nothing, libc::SYS_flock, libc::LOCK_SH), none);
    assert_eq!(
        on(Watch::Nothing, libc::SYS_fcntl, libc::F_SETPIPE_SZ),
        EPERM
    );
    for command in 0..2048 {
        let listed = FCNTLS.contains(&command) && !LOCKS.contains(&command);
        assert_eq!(WITHOUT_LOCKS.contains(&command), listed, "{command}");
    }
    let shared = u64::from(libc::CLONE_FILES.cast_unsigned());
    assert_eq!(judge(libc::SYS_clone, [shared, 0, 0, 0, 0, 0]), EPERM);
    let thread = shared | u64::from(libc::CLONE_THREAD.cast_unsigned());
    assert_eq!(judge(libc::SYS_clone, [thread, 0, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn nothing_is_ever_typed_into_a_terminal_and_only_own_ones_are_made() {
    let on = |terminals: bool, request: u64| {
        let profile = Profile { terminals, ..ALONE };
        let number = u32::try_from(libc::SYS_ioctl).unwrap();
        run(
            &compile(profile),
            THIS_ARCH,
            number,
            [0, request, 0, 0, 0, 0],
        )
    };
    for typing in [
        libc::TIOCSTI,
        libc::TIOCLINUX,
        libc::TIOCCONS,
        libc::TIOCSETD,
    ] {
        assert_ne!(on(true, typing), ALLOW);
        assert_ne!(on(false, typing), ALLOW);
    }
    for making in [
        libc::TIOCSCTTY,
        libc::TIOCGPTPEER,
        libc::TIOCSPTLCK,
        libc::TIOCSWINSZ,
    ] {
        assert_eq!(on(true, making), ALLOW);
        assert_ne!(on(false, making), ALLOW);
    }
}

#[test]
fn l10_a_networked_wall_has_ip_sockets_and_no_others() {
    let profile = Profile {
        network: true,
        terminals: false,
        watch: Watch::Nothing,
    };
    let socket = |family: i32, kind: i32, protocol: i32| {
        let number = |n: i32| u64::from(n.cast_unsigned());
        let arguments = [number(family), number(kind), number(protocol), 0, 0, 0];
        run(
            &compile(profile),
            THIS_ARCH,
            libc::SYS_socket as u32,
            arguments,
        )
    };
    for family in [libc::AF_INET, libc::AF_INET6] {
        assert_eq!(
            socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0),
            ALLOW
        );
        assert_eq!(socket(family, libc::SOCK_DGRAM, libc::IPPROTO_UDP), ALLOW);
        assert_eq!(socket(family, libc::SOCK_RAW, libc::IPPROTO_ICMP), EPERM);
        assert_eq!(socket(family, libc::SOCK_DGRAM, libc::IPPROTO_ICMP), EPERM);
        assert_eq!(socket(family, libc::SOCK_STREAM, libc::IPPROTO_SCTP), EPERM);
    }
    for family in (0..64).filter(|family| ![libc::AF_INET, libc::AF_INET6].contains(family)) {
        assert_eq!(
            socket(family, libc::SOCK_STREAM, 0),
            EPERM,
            "family {family}"
        );
    }
    let listen = run(
        &compile(profile),
        THIS_ARCH,
        libc::SYS_listen as u32,
        [0; 6],
    );
    assert_eq!(listen, EPERM);
}

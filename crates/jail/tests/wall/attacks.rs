//! Each attack: bare it succeeds, inside it fails. Named after the lesson where there is one.

use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener};

use crate::world::{World, copy_program, grant};

macro_rules! attacks {
    ($($name:ident: $way:ident($attack:literal);)*) => {
        $(#[test]
        fn $name() {
            let world = World::new();
            world.$way(&$attack.replace("@", &world.root().display().to_string()));
        })*
    };
}

attacks! {
    l18_read_outside: attack("read @/secret/key");
    l18_read_outside_by_proc_root: attack("read /proc/self/root@/secret/key");
    l15_read_outside_by_planted_link: attack("read @/read/link");
    l15_read_outside_by_own_link: attack("follow @/secret/key @/write/own");
    l15_read_outside_by_dots: attack("read @/read/../secret/key");
    see_what_is_beside: attack("see @/secret");
    write_outside: attack("write @/other/new");
    write_into_the_runtime: attack_of_root("append /usr/bin/env");
    l16_write_what_is_read_only: attack("append @/read/data");
    l16_create_in_what_is_read_only: attack("write @/read/new");
    l16_remove_what_is_read_only: attack("remove @/read/data");
    l16_link_from_read_to_write: attack("link @/read/data @/write/data");
    l16_rename_from_read_to_write: attack("rename @/read/data @/write/data");
    l16_chmod_what_is_read_only: attack("chmod @/read/data 666");
    l14_create_a_control_file_beside_the_grant: attack("write @/.mcp.json");
    l11_ptrace: attack("ptrace");
    l11_unshare: attack("unshare");
    l11_clone_a_user_namespace: attack("clone-user");
    l11_clone3: attack("clone3");
    l11_mount: attack_of_root("mount");
    l11_fsopen: attack_of_root("fsopen");
    l11_open_tree: attack("open-tree");
    l11_chroot: attack_of_root("chroot");
    l11_setns: attack_of_root("setns");
    l11_bpf: attack_of_root("bpf");
    l11_keyctl: attack("keyctl");
    l11_add_key: attack("add-key");
    l11_perf_event_open: attack_of_root("perf");
    l11_userfaultfd: attack("userfaultfd");
    l11_open_by_handle: attack_of_root("handle");
    l11_hostname: attack_of_root("hostname");
    l11_make_a_device: attack_of_root("device @/write/device");
    l11_syslog: attack_of_root("syslog");
    l12_io_uring: attack("io-uring");
    l12_personality: attack("personality");
    l12_netlink: attack("socket 16 2");
    l12_netlink_sock_diag_raw: attack("socket 16 3");
    l9_a_socket_of_the_internet: attack("socket 2 1");
    l9_a_socket_of_ipv6: attack("socket 10 2");
    l9_a_packet_socket: attack_of_root("socket 17 3");
    l9_listen: attack("listen");
    l10_a_unix_socket: attack("socket 1 1");
    run_what_was_written: attack("write-and-run /usr/bin/true @/write/true");
    run_from_memory: attack("memfd-run /usr/bin/true");
    run_by_descriptor: attack("execveat /usr/bin/true");
    leave_a_set_id_program: attack("create-set-id @/write/suid");
    l18_the_pipe_that_ends_everything_with_the_host: blocked("append /proc/1/fd/4");
    l18_memory_of_init: blocked("read /proc/1/environ");
    l18_own_memory_by_file: attack("append /proc/self/mem");
    // With the modes they have anyway: bare, the machine's own are reached.
    l16_change_the_mode_of_the_hosts_devices: attack_of_root("chmod /dev/null 666");
    l11_reach_the_limits_of_init: attack_of_root("limits-of 1");
    hold_up_whoever_writes_what_is_only_read: attack("lease @/read/data");
    type_into_the_terminal: attack("type-into-terminal");
}

#[test]
fn l9_connect_to_a_listener_of_the_host() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    world.attack(&format!("tcp {}", listener.local_addr().unwrap()));
}

#[test]
fn l9_send_a_datagram() {
    let world = World::new();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    world.attack(&format!("udp {}", socket.local_addr().unwrap()));
}

#[test]
fn l10_connect_to_a_socket_in_a_granted_folder() {
    let world = World::new();
    for folder in ["read", "write"] {
        let path = world.path(folder).join("docker.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        world.attack(&format!("unix {}", path.display()));
    }
}

#[test]
fn l10_send_to_a_datagram_socket_in_a_granted_folder() {
    let world = World::new();
    let path = world.path("write/bus");
    let _socket = UnixDatagram::bind(&path).unwrap();
    world.attack(&format!("datagram {}", path.display()));
    world.attack(&format!("datagram-pair {}", path.display()));
}

#[test]
fn l10_connect_to_an_abstract_socket() {
    use std::os::linux::net::SocketAddrExt;
    let world = World::new();
    let name = format!("bailiwick-{}", world.root().display());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    world.attack(&format!("abstract {name}"));
}

#[test]
fn l10_signal_a_process_of_the_host() {
    let world = World::new();
    world.attack(&format!("signal {}", std::process::id()));
}

#[test]
fn l18_see_processes_of_the_host() {
    let world = World::new();
    let pid = std::process::id();
    for file in ["environ", "status", "root"] {
        world.attack(&format!("see /proc/{pid}/{file}"));
    }
    world.allowed("alone");
}

#[test]
fn l11_read_memory_of_the_host() {
    let world = World::new();
    let secret = Box::new(7u8);
    world.attack(&format!(
        "vm-read {} {}",
        std::process::id(),
        &raw const *secret as usize
    ));
}

#[test]
fn l11_take_a_descriptor_of_the_host() {
    let world = World::new();
    world.attack(&format!("pidfd-getfd {}", std::process::id()));
}

/// Killed rather than refused: nothing honest makes system calls of another architecture.
#[test]
#[cfg(target_arch = "x86_64")]
fn l12_system_calls_of_i386() {
    let world = World::new();
    assert_eq!(
        world.bare("i386").status.code(),
        Some(0),
        "this kernel has no 32-bit entry"
    );
    assert_eq!(
        world.inside("i386", &world.grant()).status.code(),
        Some(128 + libc::SIGSYS)
    );
}

#[test]
fn l20_inherited_environment() {
    let world = World::new();
    // Cargo and the test's own shell always leave some; PATH is in the host's, not in the probe's.
    world.attack("environment PATH");
}

#[test]
fn l20_inherited_descriptor() {
    let world = World::new();
    let file = std::fs::File::open(world.path("secret/key")).unwrap();
    // Not close-on-exec, and far away from any other.
    // SAFETY: plain descriptor numbers.
    let leaked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 300) };
    assert!(leaked >= 300);
    world.attack(&format!("descriptor {leaked}"));
    // SAFETY: made above, used by nobody else.
    unsafe { libc::close(leaked) };
}

#[test]
fn l18_the_loader_does_not_run_what_is_only_readable() {
    let world = World::new();
    copy_program("/usr/bin/true".as_ref(), &world.path("read/tool"));
    let tool = world.path("read/tool");
    world.attack(&format!("spawn {}", tool.display()));
    #[cfg(target_arch = "x86_64")]
    world.attack(&format!(
        "spawn /lib64/ld-linux-x86-64.so.2 {}",
        tool.display()
    ));
}

#[test]
fn a_program_that_was_not_granted_is_not_there() {
    let world = World::new();
    copy_program("/usr/bin/true".as_ref(), &world.path("other/tool"));
    world.attack(&format!("spawn {}", world.path("other/tool").display()));
    // Granted, the same program runs.
    let tool = world.path("other/tool");
    let granted = grant(&[&format!("execute_code:{}", tool.display())]);
    let inside = world.inside(&format!("spawn {}", tool.display()), &granted);
    assert_eq!(inside.status.code(), Some(0), "{}", inside.output);
}

#[test]
fn set_id_bits_cannot_be_set_afterwards() {
    let world = World::new();
    let file = world.path("write/mine");
    std::fs::write(&file, "x").unwrap();
    world.attack(&format!("chmod {} 4755", file.display()));
    world.allowed(&format!("chmod {} 755", file.display()));
}

#[test]
fn what_is_granted_works() {
    let world = World::new();
    let root = world.root().display();
    world.allowed(&format!("read {root}/read/data"));
    world.allowed(&format!("write {root}/write/new"));
    world.allowed(&format!("rename {root}/write/new {root}/write/newer"));
    world.allowed(&format!("list {root}/write"));
    world.allowed("write /tmp/scratch");
    world.allowed("write /home/plugin/scratch");
    world.allowed("read /etc/passwd");
    world.allowed("read /dev/urandom".replace("urandom", "null").as_str());
    world.allowed("thread");
    world.allowed("spawn /usr/bin/true");
}

#[test]
fn writing_is_not_reading() {
    let world = World::new();
    std::fs::write(world.path("write/old"), "x").unwrap();
    let only_write = grant(&[&format!("write_files:{}/write/", world.root().display())]);
    let code = |attack: &str| {
        world
            .inside(
                &format!("{attack} {}/write/old", world.root().display()),
                &only_write,
            )
            .status
            .code()
    };
    assert_eq!(code("write"), Some(0));
    assert_eq!(code("read"), Some(crate::world::BLOCKED));
}

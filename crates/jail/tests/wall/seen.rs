//! What the wall refuses is told: operation, target, reason; and nothing else is.

use bailiwick_capability::{Grant, Granted};
use bailiwick_jail::{Extras, Network, Watch};
use bailiwick_wall::{Denials, Denied, Limits, Program};

use crate::world::{World, grant, program, run_with};

/// What is told while a probe runs, and how it ended.
fn told(world: &World, attack: &str, watch: Watch) -> Vec<(String, String)> {
    let denied = world.denied(attack, &world.grant(), watch);
    denied
        .into_iter()
        .map(|d| (d.operation, d.target))
        .collect()
}

fn assert_told(world: &World, attack: &str, operation: &str, target: &str) {
    let attack = attack.replace('@', &world.root().display().to_string());
    let target = target.replace('@', &world.root().display().to_string());
    let told = told(world, &attack, Watch::Everything);
    assert_eq!(
        told,
        [(operation.to_owned(), target)],
        "of `{attack}`, this alone"
    );
}

macro_rules! told {
    ($($name:ident: $attack:literal => $operation:literal, $target:literal;)*) => {
        $(#[test]
        fn $name() {
            assert_told(&World::new(), $attack, $operation, $target);
        })*
    };
}

told! {
    reading_what_is_hidden: "read @/secret/key" => "read_files", "@/secret/key";
    listing_what_is_hidden: "list @/secret" => "read_files", "@/secret";
    listing_the_root: "list /" => "read_files", "/";
    l15_where_a_link_leads: "read @/read/link" => "read_files", "@/secret/key";
    l15_where_an_own_link_leads: "follow @/secret/key @/write/own" => "read_files", "@/secret/key";
    l15_where_dots_lead: "read @/read/../secret/key" => "read_files", "@/secret/key";
    l18_where_the_root_of_a_process_leads: "read /proc/self/root@/secret/key" => "read_files", "@/secret/key";
    making_beside_the_grant: "write @/other/new" => "write_files", "@/other/new";
    making_where_nothing_is_shown: "write @/.mcp.json" => "write_files", "@/.mcp.json";
    l16_writing_what_is_only_read: "append @/read/data" => "write_files", "@/read/data";
    l16_making_in_what_is_only_read: "write @/read/new" => "write_files", "@/read/new";
    l16_removing_what_is_only_read: "remove @/read/data" => "write_files", "@/read/data";
    l16_changing_the_mode_of_what_is_only_read: "chmod @/read/data 666" => "write_files", "@/read/data";
    l16_linking_what_is_only_read: "link @/read/data @/write/data" => "write_files", "@/read/data";
    l16_moving_what_is_only_read: "rename @/read/data @/write/data" => "write_files", "@/read/data";
    running_data: "spawn @/read/data" => "execute_code", "@/read/data";
    running_what_is_hidden: "spawn @/secret/key" => "execute_code", "@/secret/key";
    l18_writing_to_memory_by_file: "append /proc/sys/kernel/hostname" => "write_files", "/proc/sys/kernel/hostname";
    l11_tracing: "ptrace" => "system_call", "ptrace(PTRACE_TRACEME, itself)";
    l11_a_user_namespace: "unshare" => "system_call", "unshare(CLONE_NEWUSER)";
    l11_loading_a_filter_into_the_kernel: "bpf" => "system_call", "bpf(11)";
    l12_io_uring: "io-uring" => "system_call", "io_uring_setup";
    l12_the_persona_of_another_system: "personality" => "system_call", "personality(0x40000)";
    l12_netlink: "socket 16 2" => "network_access", "socket(AF_NETLINK, SOCK_DGRAM)";
    l9_a_socket_without_a_network: "socket 2 1" => "network_access", "socket(AF_INET, SOCK_STREAM)";
    l10_a_unix_socket: "socket 1 1" => "network_access", "socket(AF_UNIX, SOCK_STREAM)";
    typing_into_a_terminal: "type-into-terminal" => "system_call", "ioctl(TIOCSTI)";
}

#[cfg(target_arch = "x86_64")]
#[test]
fn l12_a_32_bit_call_is_told_and_does_not_work() {
    assert_told(&World::new(), "i386", "system_call", "32-bit getpid");
}

#[test]
fn the_reason_says_who_and_why() {
    let world = World::new();
    let denied = world.denied("ptrace", &world.grant(), Watch::Acts);
    assert!(
        denied[0].reason.contains("tried by `probe") && denied[0].reason.contains("no program"),
        "{denied:?}"
    );
}

#[test]
fn what_is_granted_and_what_is_nowhere_is_not_told() {
    let world = World::new();
    let root = world.root().display();
    for quiet in [
        format!("read {root}/read/data"),
        format!("read {root}/read/absent"),
        format!("read {root}/absent"),
        "read /usr/lib/absent".to_owned(),
        "read /absent/folder/file".to_owned(),
        "spawn /usr/bin/absent".to_owned(),
        format!("write {root}/write/new"),
        format!("rename {root}/write/new {root}/write/newer"),
        format!("remove {root}/write/absent"),
        "write /tmp/own".to_owned(),
        "stdin-and-stdout-work".to_owned(),
        "thread".to_owned(),
    ] {
        let told = told(&world, &quiet, Watch::Everything);
        assert_eq!(told, [], "of `{quiet}`");
    }
}

#[test]
fn reading_is_told_only_where_everything_is_watched() {
    let world = World::new();
    let read = format!("read {}", world.path("secret/key").display());
    assert_eq!(told(&world, &read, Watch::Acts), []);
    let write = format!("append {}", world.path("read/data").display());
    assert_eq!(told(&world, &write, Watch::Acts).len(), 1);
    assert_eq!(told(&world, &write, Watch::Nothing), []);
}

#[test]
fn a_hole_in_a_grant_is_told() {
    let world = World::new();
    std::fs::create_dir_all(world.path("read/private")).unwrap();
    std::fs::write(world.path("read/private/key"), "canary").unwrap();
    let root = world.root().display();
    let part = |rest: &str| format!("read_files:{root}/read/{rest}").parse().unwrap();
    let tree = Granted::with_holes(part(""), [part("private/")]).unwrap();
    let grant = Grant::new([tree]);
    let path = world.path("read/private/key").display().to_string();
    let denied = world.denied(&format!("read {path}"), &grant, Watch::Everything);
    let targets: Vec<_> = denied.iter().map(|d| d.target.as_str()).collect();
    assert_eq!(targets, [path.as_str()]);
}

/// What the C library asks in vain whenever it looks up a name of a user or host.
const UNIX: &str = "socket(AF_UNIX, SOCK_STREAM)";

/// Runs a script of bash inside, with a network where one is given.
fn scripted(script: &str, network: Option<Network>) -> Vec<Denied> {
    let denials = Denials::new();
    let extras = Extras {
        network,
        denials: denials.clone(),
        watch: Watch::Everything,
        ..Extras::default()
    };
    let program = Program {
        args: vec!["-c".into(), script.into()],
        ..program("/bin/bash".as_ref())
    };
    run_with(&program, &grant(&[]), &Limits::default(), &extras).unwrap();
    denials.take()
}

#[test]
fn connections_to_what_was_not_granted_are_told_with_their_address() {
    let network = Network {
        ports: [8443].into(),
        addresses: vec!["10.1.2.3".parse().unwrap()],
    };
    let dial = |target: &str| format!("(exec 3<>/dev/tcp/{target}) 2>/dev/null;");
    let script: String = [
        "8.8.8.8/443",
        "10.1.2.3/8443",
        "198.18.0.9/22",
        "127.0.0.1/8443",
    ]
    .map(dial)
    .concat();
    let denied = scripted(&script, Some(network));
    let told: Vec<_> = denied
        .iter()
        .filter(|d| d.operation == "network_access" && d.target != UNIX)
        .map(|d| d.target.as_str())
        .collect();
    assert_eq!(told, ["8.8.8.8:443", "198.18.0.9:22"], "{denied:?}");
}

#[test]
fn ordinary_starts_are_quiet() {
    for script in [
        "ls /usr >/dev/null; echo x >/tmp/x; cat /tmp/x >/dev/null; id >/dev/null 2>&1",
        "/usr/bin/env true; mkdir /tmp/d && cp /tmp/../usr/bin/env /tmp/d/ && mv /tmp/d /tmp/e && rm -r /tmp/e",
        "cd /tmp; python3 -c 'import json, ssl, asyncio, subprocess, tempfile; tempfile.mkdtemp()'",
        "node -e 'require(\"https\"); require(\"os\").cpus(); fetch'",
        "git init -q /tmp/r && cd /tmp/r && git -c user.name=a -c user.email=b commit -q --allow-empty -m c && git log",
    ] {
        let denied = scripted(script, None);
        let odd: Vec<_> = denied
            .iter()
            .filter(|d| d.target != UNIX)
            .map(|d| (&d.operation, &d.target))
            .collect();
        assert!(odd.is_empty(), "`{script}`: {odd:?}");
    }
}

#[test]
fn a_flood_is_counted_and_the_rest_of_the_world_goes_on() {
    let script = "i=0; while [ $i -lt 3000 ]; do : </etc/shadow; i=$((i+1)); done 2>/dev/null";
    let denied = scripted(script, None);
    let shadow: Vec<_> = denied
        .iter()
        .filter(|d| d.target == "/etc/shadow")
        .collect();
    assert_eq!(shadow.len(), 1, "{denied:?}");
    assert_eq!(shadow[0].times, 3000);
}

#[test]
fn many_different_targets_are_counted_too() {
    let script = "for i in {1..2000}; do : </etc/../etc/./shadow; : >/usr/x$i; done 2>/dev/null";
    let denied = scripted(script, None);
    let writes: u64 = denied
        .iter()
        .filter(|d| d.operation == "write_files")
        .map(|d| d.times)
        .sum();
    assert_eq!(writes, 2000);
    assert!(denied.len() < 300, "{}", denied.len());
}

#[test]
fn l17_a_program_that_changes_while_it_is_looked_at_gains_nothing_and_hangs_nobody() {
    let world = World::new();
    let hidden = world.path("secret/key").display().to_string();
    let attack = format!("shifting {hidden} {}", world.path("read/data").display());
    world.allowed(&attack);
    let denied = world.denied(&attack, &world.grant(), Watch::Everything);
    // Whatever was seen, it is one of the two, and only the hidden one is refused.
    assert!(denied.iter().all(|d| d.target == hidden), "{denied:?}");
}

#[test]
fn paths_that_no_kernel_takes_are_no_trouble() {
    let world = World::new();
    for attack in ["odd-paths", "pipe-open @/write/pipe"] {
        let attack = attack.replace('@', &world.root().display().to_string());
        assert_eq!(told(&world, &attack, Watch::Everything), [], "{attack}");
    }
}

#[test]
fn a_script_whose_interpreter_is_hidden_is_told_by_that() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let script = world.path("other/script");
    std::fs::write(
        &script,
        format!("#!{}\n", world.path("secret/key").display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let mut granted = world.grant().atoms().to_vec();
    granted.push(Granted::whole(
        format!("execute_code:{}", script.display())
            .parse()
            .unwrap(),
    ));
    let denied = world.denied(
        &format!("spawn {}", script.display()),
        &Grant::new(granted),
        Watch::Acts,
    );
    let told: Vec<_> = denied
        .iter()
        .map(|d| (d.operation.as_str(), d.target.clone()))
        .collect();
    let interpreter = world.path("secret/key").display().to_string();
    assert_eq!(told, [("execute_code", interpreter)]);
}

#[test]
fn l13_where_nothing_can_be_told_that_is_said_and_the_wall_stands() {
    let ended = World::new().bare("start-while-watched");
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
}

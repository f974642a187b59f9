//! Says in words what wall is built.

use bailiwick_capability::Grant;
use bailiwick_wall::{Hold, WallError};

use crate::layout::{Access, Layout, Node};
use crate::{base, cgroup, report};

/// A line for each part of the wall.
pub(crate) fn explain(
    abi: u32,
    bounds_pids: bool,
    layout: Result<Layout, WallError>,
    grant: &Grant,
) -> Vec<String> {
    let mut lines = vec![
        "namespaces: user, mount, pid, network (no interface up), ipc, uts, cgroup".to_owned(),
        format!("Landlock ABI {abi}: exactly the paths below, no TCP, no signals or abstract sockets out"),
        "system calls: an allow-list; no sockets, no tracing, no mounting, no namespaces, no io_uring".to_owned(),
        "privileges: no capabilities, no_new_privs, no set-id files made or honoured".to_owned(),
        "environment: only what is named; descriptors: only stdin, stdout, stderr".to_owned(),
        format!("private and empty: {}, {}", base::TMP, base::HOME),
    ];
    let (memory, processes) = cgroup::holds();
    lines.push(match memory {
        true => "memory: bounded for the whole plugin by a control group, exactly".to_owned(),
        false => "memory: measured for the whole plugin, ended within a tick (25 to 250 ms); each process by RLIMIT_DATA"
            .to_owned(),
    });
    lines.push(match (processes, bounds_pids) {
        (true, _) => "processes: bounded for the whole plugin by a control group, exactly".to_owned(),
        (false, true) => {
            "processes: bounded by RLIMIT_NPROC, and for root's own by pid_max (to within 300) and within a tick".to_owned()
        }
        (false, false) => "processes: bounded by RLIMIT_NPROC, and for root's own within a tick".to_owned(),
    });
    lines.push("open files, file size: bounded by rlimits; processor time, bytes written: measured, ended within a tick".to_owned());
    match layout {
        Err(error) => lines.push(format!("cannot be built: {error}")),
        Ok(layout) => lines.extend(layout.nodes.iter().filter_map(|(path, node)| {
            let how = match node {
                Node::Bind {
                    access: Access::Read,
                    ..
                } => "read",
                Node::Bind {
                    access: Access::Run,
                    ..
                } => "read and execute",
                Node::Bind {
                    access: Access::Write,
                    ..
                } => "write",
                _ => return None,
            };
            Some(format!(
                "shown: {} ({how})",
                path.display().to_string().escape_debug()
            ))
        })),
    }
    lines.extend(
        report::report(grant)
            .atoms
            .into_iter()
            .map(|held| match held.hold {
                Hold::Fully { how } => format!("held: {} ({how})", held.atom),
                Hold::Not { why } => format!("refused: {} ({why})", held.atom),
            }),
    );
    lines
}

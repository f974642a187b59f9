//! Says in words what wall is built.

use bailiwick_capability::Grant;
use bailiwick_wall::{Hold, WallError};

use crate::layout::{Access, Layout, Node};
use crate::{base, report};

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
        "limits: rlimits, each per process (no cgroup yet), so neither shared memory nor the whole plugin's is bounded".to_owned(),
    ];
    if bounds_pids {
        lines.push("processes: bounded for the whole plugin by pid_max of its pid namespace (to within 300)".to_owned());
    } else {
        lines.push(
            "processes: bounded by RLIMIT_NPROC, which the kernel does not apply to root's own"
                .to_owned(),
        );
    }
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

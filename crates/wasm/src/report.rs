//! What this wall says of each atom of a grant.

use bailiwick_capability::{Grant, Granted, Kind, Scheme, Scope};
use bailiwick_wall::{HeldAtom, Hold, Report};

use crate::files::{can_hold_files, kernel_tree};

/// The wall's name.
pub(crate) const WALL: &str = "wasm";

pub(crate) fn report(grant: &Grant) -> Report {
    let atoms = grant
        .atoms()
        .iter()
        .map(|atom| HeldAtom {
            atom: atom.clone(),
            hold: hold(atom),
        })
        .collect();
    Report { wall: WALL, atoms }
}

fn fully(how: &str) -> Hold {
    Hold::Fully {
        how: how.to_owned(),
    }
}

fn not(why: &str) -> Hold {
    Hold::Not {
        why: why.to_owned(),
    }
}

fn hold(atom: &Granted) -> Hold {
    let capability = atom.capability();
    match capability.kind() {
        Kind::ReadFiles | Kind::WriteFiles if reaches_the_kernel(capability.scope()) => not(
            "the machine's own interfaces (/proc, /sys, /dev) are no files: through them a component would reach the gate itself; name the folders that hold data",
        ),
        Kind::ReadFiles | Kind::WriteFiles if can_hold_files() => fully(
            "WASI preopen, and a check of the opened descriptor's real path at every operation",
        ),
        Kind::ReadFiles | Kind::WriteFiles => not(
            "this system does not tell where an open file really is, so its path cannot be checked",
        ),
        Kind::NetworkAccess => match capability.scope() {
            Scope::Net(net) if net.scheme() == Scheme::Tcp => {
                not("wasi:sockets is not linked yet; grant an https:// or http:// host")
            }
            Scope::Net(_) => {
                fully("wasi:http, each request checked, its name resolved and dialled by the host")
            }
            _ => not(
                "the whole of network_access includes raw sockets, which are not linked; name https:// hosts",
            ),
        },
        Kind::ReadEnvironment => fully("only granted variables are passed"),
        Kind::WriteToLogs => fully("stdout and stderr are captured, at most 64 KiB of a call"),
        Kind::Clock => fully("wasi:clocks is linked"),
        Kind::Random => fully("wasi:random is linked"),
        Kind::NetworkListen => not("a component cannot listen; run it as a native plugin"),
        Kind::ExecuteCode | Kind::ExecuteShell => {
            not("a component cannot start programs; run it as a native plugin")
        }
        Kind::UseSecret => not("secrets are not brokered to components yet"),
        Kind::CallTool | Kind::UseModel | Kind::AskUser => {
            not("a component has no import that reaches the agent's side")
        }
    }
}

/// Whether a scope of files holds, or lies in, what is no data.
fn reaches_the_kernel(scope: &Scope) -> bool {
    match scope {
        Scope::Path(path) => kernel_tree(path.path()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_held_is_said_so() {
        let atom = |text: &str| hold(&text.parse().unwrap());
        for held in [
            "read_files:/data/",
            "read_files:/data/ except /data/hr/",
            "write_files:/data/a.txt",
            "network_access:https://*.example.com/v1/ GET",
            "read_environment:LANG",
            "write_to_logs",
            "clock",
            "random",
        ] {
            assert!(matches!(atom(held), Hold::Fully { .. }), "{held}");
        }
        for refused in [
            "read_files",
            "write_files",
            "read_files:/",
            "network_access",
            "network_access:tcp://db.example:5432",
            "network_listen:127.0.0.1:8080",
            "execute_code:/usr/bin/git",
            "execute_shell",
            "use_secret:token",
            "call_tool:x",
            "use_model",
            "ask_user",
        ] {
            assert!(matches!(atom(refused), Hold::Not { .. }), "{refused}");
        }
    }

    #[test]
    fn l18_interfaces_of_the_kernel_are_no_files() {
        for atom in [
            "read_files:/proc/self/environ",
            "write_files:/proc/self/mem",
            "read_files:/proc/",
            "read_files:/sys/",
            "write_files:/dev/shm/",
        ] {
            assert!(
                matches!(hold(&atom.parse().unwrap()), Hold::Not { .. }),
                "{atom}"
            );
        }
        assert!(matches!(
            hold(&"read_files:/process/".parse().unwrap()),
            Hold::Fully { .. }
        ));
    }
}

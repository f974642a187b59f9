//! What the native wall says of each atom.

use std::path::Path;

use bailiwick_capability::{Grant, Granted, Kind, PathScope, ProgramRef, ProgramScope, Scope};
use bailiwick_wall::{HeldAtom, Hold, Report};

use crate::base;
use crate::holes::{beside, carve};
use crate::paths::{PathFault, What, follow};
use crate::scopes::{check_scope, hole_paths, kernel_tree};

/// The wall's name.
pub(crate) const NAME: &str = "native";

/// What becomes of every atom of `grant`.
pub(crate) fn report(grant: &Grant) -> Report {
    let atoms = grant.atoms().iter().map(|atom| HeldAtom {
        atom: atom.clone(),
        hold: hold(atom, grant),
    });
    Report {
        wall: NAME,
        atoms: atoms.collect(),
    }
}

fn fully(how: &str) -> Hold {
    Hold::Fully {
        how: how.to_owned(),
    }
}

fn not(why: impl Into<String>) -> Hold {
    Hold::Not { why: why.into() }
}

fn hold(atom: &Granted, grant: &Grant) -> Hold {
    let capability = atom.capability();
    match (capability.kind(), capability.scope()) {
        (Kind::ReadFiles | Kind::WriteFiles, Scope::Path(scope)) => files(atom, scope, grant),
        (Kind::ReadFiles | Kind::WriteFiles, _) => {
            not("a native plugin is shown folders, never the whole machine: name them")
        }
        (Kind::ExecuteCode, Scope::Program(scope)) => program(scope, atom, grant),
        (Kind::ExecuteCode, _) => {
            not("name the program: a native plugin is shown programs one by one")
        }
        (Kind::ExecuteShell, Scope::Program(scope)) => program(scope, atom, grant),
        (Kind::ExecuteShell, _) => not("name the shell, such as `execute_shell:/bin/sh`"),
        (Kind::NetworkAccess, _) => {
            not("cannot be enforced for a native plugin yet; it runs without any network")
        }
        (Kind::NetworkListen, _) => {
            not("cannot be enforced for a native plugin yet; its namespace has no usable loopback")
        }
        (Kind::UseSecret, _) => {
            not("cannot be brokered for a native plugin yet; it would hold the secret itself")
        }
        (Kind::ReadEnvironment, _) => {
            fully("the environment starts empty and holds only granted names")
        }
        (Kind::WriteToLogs, _) => fully("standard error, kept by the host"),
        (Kind::CallTool | Kind::UseModel | Kind::AskUser, _) => {
            fully("the plugin has only its pipes: the gate decides each request")
        }
        (Kind::Clock | Kind::Random, _) => {
            fully("ambient: any native program can read clock and randomness")
        }
    }
}

fn files(atom: &Granted, scope: &PathScope, grant: &Grant) -> Hold {
    let path = Path::new(scope.path().as_str());
    if let Some(why) = kernel_tree(path) {
        return not(why);
    }
    let write = atom.capability().kind() == Kind::WriteFiles;
    if write
        && !is_readable(path, grant)
        && [base::TMP, base::HOME]
            .iter()
            .any(|own| path.starts_with(own))
    {
        return not(format!(
            "`{}` lies in the plugin's own scratch space, which it can read: grant read_files too",
            path.display()
        ));
    }
    if let Err(PathFault(why)) = check_scope(scope) {
        return not(why);
    }
    let holes = hole_paths(atom);
    if holes.len() != atom.holes().len() {
        return not("it has a hole that is no path");
    }
    match (holes.as_slice(), write) {
        ([], false) => {
            fully("read-only bind mount, not executable, and Landlock read on exactly this path")
        }
        ([], true) => fully("bind mount, not executable, and Landlock write on exactly this path"),
        (holes, true) => match beside(path, holes) {
            Ok(_) => fully(
                "the folders beside the forbidden parts as writable bind mounts; the folders above them read-only, \
                 and what changes in those is done by the host, which looks at each name",
            ),
            Err(PathFault(why)) => not(why),
        },
        (holes, false) => {
            if writes_into(holes, grant) {
                return not(
                    "the forbidden part lies in a tree that may be written: the two cannot be told apart",
                );
            }
            match carve(path, holes) {
                Ok(_) => fully(
                    "everything beside the forbidden parts, each a read-only bind mount; what appears beside them later is seen after a restart",
                ),
                Err(PathFault(why)) => not(why),
            }
        }
    }
}

/// True when some whole tree grants reading `path`.
fn is_readable(path: &Path, grant: &Grant) -> bool {
    grant
        .of_kind(Kind::ReadFiles)
        .any(|atom| match atom.capability().scope() {
            Scope::Path(PathScope::Tree(tree)) => {
                atom.holes().is_empty() && path.starts_with(tree.as_str())
            }
            Scope::Path(PathScope::File(file)) => path == Path::new(file.as_str()),
            _ => false,
        })
}

fn writes_into(holes: &[std::path::PathBuf], grant: &Grant) -> bool {
    let written = |tree: &Path| {
        holes
            .iter()
            .any(|hole| hole.starts_with(tree) || tree.starts_with(hole))
    };
    grant
        .of_kind(Kind::WriteFiles)
        .any(|atom| match atom.capability().scope() {
            Scope::Path(scope) => written(Path::new(scope.path().as_str())),
            _ => true,
        })
}

fn program(scope: &ProgramScope, atom: &Granted, grant: &Grant) -> Hold {
    if !atom.holes().is_empty() {
        return not("a program with forbidden parts cannot be held");
    }
    if !scope.args().is_empty() {
        return not(
            "arguments of a program cannot be held yet: grant the program as a whole, or not at all",
        );
    }
    let ProgramRef::Path(path) = scope.program() else {
        return not("the program was not resolved to a path");
    };
    match follow(Path::new(path.as_str())) {
        Err(PathFault(why)) => not(why),
        Ok((found, _)) if found.kind != What::File => {
            not(format!("`{}` is not a program", path.as_str()))
        }
        Ok((found, _)) => {
            let written =
                grant
                    .of_kind(Kind::WriteFiles)
                    .any(|write| match write.capability().scope() {
                        Scope::Path(scope) => found.real.starts_with(scope.path().as_str()),
                        _ => true,
                    });
            if written {
                return not("it lies where the plugin may write: write and execute never meet");
            }
            fully("shown read-only with Landlock execute on exactly this file")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(atoms: &[&str]) -> Vec<(String, bool)> {
        let grant = Grant::new(
            atoms
                .iter()
                .map(|atom| Granted::whole(atom.parse().unwrap())),
        );
        let line = |held: HeldAtom| {
            (
                held.atom.to_string(),
                matches!(held.hold, Hold::Fully { .. }),
            )
        };
        report(&grant).atoms.into_iter().map(line).collect()
    }

    #[test]
    fn l2_whole_kinds_of_things_are_never_shown() {
        for atom in [
            "read_files",
            "write_files",
            "execute_code",
            "execute_shell",
            "network_access",
            "network_listen",
            "use_secret",
        ] {
            assert_eq!(said(&[atom]), [(atom.to_owned(), false)]);
        }
    }

    #[test]
    fn l18_interfaces_of_the_kernel_are_never_shown() {
        for atom in [
            "read_files:/",
            "read_files:/proc/",
            "read_files:/proc/1/environ",
            "write_files:/dev/shm/",
            "read_files:/sys/",
        ] {
            assert!(!said(&[atom])[0].1, "{atom}");
        }
    }

    #[test]
    fn l14_what_is_not_there_yet_cannot_be_held() {
        assert!(!said(&["write_files:/var/lib/there-is-no-such-folder/"])[0].1);
    }

    #[test]
    fn arguments_cannot_be_held_and_the_bare_program_can() {
        assert!(!said(&["execute_code:/bin/sh -c"])[0].1);
        assert!(said(&["execute_code:/bin/sh"])[0].1);
        assert!(said(&["execute_shell:/bin/sh"])[0].1);
        let both = said(&["execute_code:/bin/sh", "write_files:/usr/bin/"]);
        assert_eq!(both[1], ("execute_code:/bin/sh".to_owned(), false));
    }

    #[test]
    fn files_are_held_when_they_are_what_the_grant_says() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        std::fs::write(dir.path().join("f"), "x").unwrap();
        let tree = format!("read_files:{}/", dir.path().display());
        assert_eq!(said(&[&tree]), [(tree, true)]);
        let file = format!("write_files:{}/f", dir.path().display());
        assert_eq!(said(&[&file]), [(file, true)]);
        assert!(!said(&[&format!("read_files:{}/f/", dir.path().display())])[0].1);
        assert!(!said(&[&format!("read_files:{}", dir.path().display())])[0].1);
    }

    #[test]
    fn l14_holes_are_held_for_reading_and_for_writing() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        std::fs::create_dir(dir.path().join("hr")).unwrap();
        let atom = |kind: &str| {
            let part = |rest: &str| {
                format!("{kind}:{}/{rest}", dir.path().display())
                    .parse()
                    .unwrap()
            };
            Granted::with_holes(part(""), vec![part("hr/")]).unwrap()
        };
        let read = report(&Grant::new([atom("read_files")]));
        assert_eq!(read.refused().count(), 0);
        let write = report(&Grant::new([atom("write_files")]));
        assert_eq!(write.refused().count(), 0);
        let both = report(&Grant::new([
            atom("read_files"),
            Granted::whole(
                format!("write_files:{}/hr/", dir.path().display())
                    .parse()
                    .unwrap(),
            ),
        ]));
        assert_eq!(both.refused().count(), 1);
    }
}

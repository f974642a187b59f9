//! Granted paths, as the machine has them.

use std::path::{Path, PathBuf};

use bailiwick_capability::{Capability, Granted, PathScope, Scope};

use crate::mounted::kernel_mount;
use crate::paths::{Located, PathFault, What, locate};

/// Trees of the kernel: what is in them is no data, and some of it reaches other processes.
const KERNEL_TREES: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Why `path` is never shown, if it is one of those that are not.
pub(crate) fn kernel_tree(path: &Path) -> Option<String> {
    if path == Path::new("/") {
        return Some(
            "`/` holds the machine's own interfaces: name the folders themselves".to_owned(),
        );
    }
    let tree = KERNEL_TREES.iter().find(|tree| path.starts_with(tree))?;
    Some(format!(
        "`{tree}` is the kernel's interface, not data, and is never shown"
    ))
}

/// Looks at a granted path; a folder granted as file, or the other way round, is a fault.
pub(crate) fn check_scope(scope: &PathScope) -> Result<Located, PathFault> {
    let path = Path::new(scope.path().as_str());
    let found = locate(path)?;
    if let Some(why) = kernel_mount(path) {
        return Err(PathFault(why));
    }
    match (scope, found.kind) {
        (PathScope::File(_), What::File) | (PathScope::Tree(_), What::Folder) => Ok(found),
        (PathScope::File(_), What::Folder) => Err(PathFault(format!(
            "`{0}` is a folder; name it `{0}/`",
            path.display()
        ))),
        (PathScope::Tree(_), What::File) => Err(PathFault(format!(
            "`{}` is a file, not a folder",
            path.display()
        ))),
        (_, What::Character | What::Other) => Err(PathFault(format!(
            "`{}` is a device, socket or pipe, not a file",
            path.display()
        ))),
    }
}

/// The paths that a path atom leaves out.
pub(crate) fn hole_paths(atom: &Granted) -> Vec<PathBuf> {
    let path = |hole: &Capability| match hole.scope() {
        Scope::Path(scope) => Some(PathBuf::from(scope.path().as_str())),
        _ => None,
    };
    atom.holes().iter().filter_map(path).collect()
}

//! Debian's launcher for PostgreSQL's programs: it picks a version of the program of its own name.

use std::path::{Path, PathBuf};

use crate::error::{RuntimeError, io};

const LAUNCHER: &str = "/usr/share/postgresql-common/pg_wrapper";
const VERSIONS: &str = "/usr/lib/postgresql";

/// The newest version's program; which cluster it talks to is said by its arguments.
pub(crate) fn behind(program: &Path, real: &Path) -> Result<Option<PathBuf>, RuntimeError> {
    if real != Path::new(LAUNCHER) {
        return Ok(None);
    }
    let name = program.file_name().unwrap_or_default();
    let folder = Path::new(VERSIONS);
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder)
        .map_err(io("list", folder))?
        .flatten()
    {
        let version = entry.file_name().to_string_lossy().parse().ok();
        let path = entry.path().join("bin").join(name);
        if let Some(version) = version
            && crate::lookup::is_program(&path)
        {
            found.push((version, path));
        }
    }
    found.sort();
    match found.pop() {
        Some((_, path)) => Ok(Some(path)),
        None => Err(RuntimeError::Program {
            path: program.to_owned(),
            why: format!(
                "no version of it lies in {VERSIONS}; hint: install the client, such as Debian's `postgresql-client`"
            ),
        }),
    }
}

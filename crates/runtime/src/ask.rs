//! Version managers put small scripts ("shims") where an interpreter is expected. The machine's own
//! shims are asked what they stand for; a plugin's files are never run to find something out.

use std::path::{Path, PathBuf};

use crate::error::RuntimeError;
use crate::python;
use crate::settings::Settings;
use crate::tool;

/// The interpreter behind a shim that was found in the search path, or none when it is not a shim.
pub(crate) fn behind_shim(
    program: &Path,
    settings: &Settings,
) -> Result<Option<PathBuf>, RuntimeError> {
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let args: &[&str] = match name.as_str() {
        "node" | "nodejs" => &["-p", "process.execPath"],
        name if python::version_in_name(name).is_some() => &[
            "-I",
            "-S",
            "-c",
            "import os, sys; print(os.path.realpath(sys.executable))",
        ],
        _ => return Ok(None),
    };
    let trusted = program
        .parent()
        .is_some_and(|dir| settings.search_path.iter().any(|known| known == dir));
    if !trusted
        || settings
            .plugin_dir
            .as_deref()
            .is_some_and(|dir| program.starts_with(dir))
    {
        return Ok(None);
    }
    let args: Vec<_> = args.iter().map(Into::into).collect();
    let done = tool::run(settings, program, &args)?;
    let bad = |why: String| RuntimeError::Program {
        path: program.to_owned(),
        why,
    };
    if !done.success() {
        return Err(bad(
            done.why("asking this script which interpreter it stands for")
        ));
    }
    let real = PathBuf::from(done.said().trim());
    if !real.is_absolute() || !crate::lookup::is_program(&real) || real == program {
        return Err(bad(format!(
            "it names an interpreter that this user may not run: `{}`",
            real.display()
        )));
    }
    Ok(Some(real))
}

//! Which file a word names: bare names along the search path, everything else from a folder.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{RuntimeError, io};
use crate::settings::Settings;

/// Bound on a `#!` line, as Linux has it since 5.1.
const MAX_LINE: u64 = 256;

/// The program file that `word` names, absolute; bare names are looked up in the search path.
///
/// # Errors
/// When there is none that this user may run, or a plugin's own program is a link out of its folder.
pub(crate) fn program(word: &str, settings: &Settings) -> Result<PathBuf, RuntimeError> {
    if word.contains('\0') || word.is_empty() {
        return Err(RuntimeError::Empty);
    }
    if word.contains('/') {
        let path = settings.base().join(word);
        if !is_program(&path) {
            return Err(missing(word, &path, settings));
        }
        return inside_plugin(path, word, settings);
    }
    bare(OsStr::new(word), settings).ok_or_else(|| RuntimeError::NotFound {
        program: word.to_owned(),
        searched: folders(settings),
        mend: install_hint(word),
    })
}

/// A bare name along the search path.
pub(crate) fn bare(name: &OsStr, settings: &Settings) -> Option<PathBuf> {
    settings
        .search_path
        .iter()
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|path| is_program(path))
}

/// May this user run it? Folders that cannot be entered simply hold no programs.
pub(crate) fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// The words after `#!`, split as Linux does: the interpreter, and at most one argument.
pub(crate) fn interpreter_line(
    path: &Path,
) -> Result<Option<(String, Option<String>)>, RuntimeError> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_LINE).read_to_end(&mut head))
        .map_err(io("read", path))?;
    let Some(rest) = head.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let line = line.trim_matches([' ', '\t', '\r']);
    let (program, argument) = line
        .split_once([' ', '\t'])
        .map_or((line, ""), |(program, rest)| (program, rest.trim()));
    if program.is_empty() {
        return Ok(None);
    }
    Ok(Some((
        program.to_owned(),
        (!argument.is_empty()).then(|| argument.to_owned()),
    )))
}

fn inside_plugin(path: PathBuf, word: &str, settings: &Settings) -> Result<PathBuf, RuntimeError> {
    let Some(dir) = &settings.plugin_dir else {
        return Ok(path);
    };
    if Path::new(word).is_absolute() {
        return Ok(path);
    }
    let real = path.canonicalize().map_err(io("resolve", &path))?;
    let dir = dir.canonicalize().map_err(io("resolve", dir))?;
    // A venv's python is always a link out of it; only where it leads to a Python is it one.
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let python = crate::python::version_in_name(&name).is_some();
    if real.starts_with(&dir) || (python && crate::python::venv_of(&path).is_some()) {
        return Ok(path);
    }
    Err(RuntimeError::Refused {
        command: word.to_owned(),
        why: format!("it leads out of the plugin's folder, to {}", real.display()),
        mend: "put the program itself into the folder, or name it by its absolute path".to_owned(),
    })
}

fn missing(word: &str, path: &Path, settings: &Settings) -> RuntimeError {
    let mend = match path.metadata() {
        Ok(meta) if meta.is_dir() => "it is a folder; name the program inside it".to_owned(),
        Ok(_) => format!("it exists, but this user may not run it; try `chmod +x {}`", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            "a folder above it is closed to this user; install the program where everyone may read it".to_owned()
        }
        Err(_) => "check the spelling, and where relative paths start".to_owned(),
    };
    RuntimeError::NotFound {
        program: word.to_owned(),
        searched: settings.base().display().to_string(),
        mend,
    }
}

fn folders(settings: &Settings) -> String {
    let all: Vec<_> = settings
        .search_path
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    if all.is_empty() {
        "an empty search path".to_owned()
    } else {
        all.join(":")
    }
}

fn install_hint(word: &str) -> String {
    match word {
        "node" | "nodejs" | "npm" | "npx" => "install Node.js where this user may run it, such as Debian's `nodejs` and `npm`".to_owned(),
        "python" | "python3" | "pip" => {
            "install Python where this user may run it, such as Debian's `python3`, `python3-pip` and `python3-venv`; \
             an interpreter in another user's home cannot be used"
                .to_owned()
        }
        _ => "install it, or name it by its absolute path".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn interpreter_lines_are_split_as_linux_splits_them() {
        let dir = tempfile::tempdir().unwrap();
        let line = |text: &str| interpreter_line(&script(dir.path(), "s", text)).unwrap();
        assert_eq!(line("#!/bin/sh\n"), Some(("/bin/sh".into(), None)));
        assert_eq!(
            line("#! /usr/bin/env -S node --x  y\r\nz"),
            Some(("/usr/bin/env".into(), Some("-S node --x  y".into())))
        );
        assert_eq!(line("hello"), None);
        assert_eq!(line("#!\n/bin/sh"), None);
    }

    #[test]
    fn l15_a_plugins_own_program_may_not_be_a_link_out_of_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/bin/sh", dir.path().join("server")).unwrap();
        let mut settings = Settings::new(dir.path().join("cache"));
        settings.plugin_dir = Some(dir.path().to_owned());
        let error = program("./server", &settings).unwrap_err().to_string();
        assert!(error.contains("out of the plugin's folder"), "{error}");
        std::fs::create_dir_all(dir.path().join("venv/bin")).unwrap();
        std::fs::write(dir.path().join("venv/pyvenv.cfg"), "").unwrap();
        symlink("/bin/sh", dir.path().join("venv/bin/python")).unwrap();
        assert!(
            program("venv/bin/python", &settings).is_err(),
            "a venv's python is a Python"
        );
        assert!(
            program("/bin/sh", &settings).is_ok(),
            "an absolute path says what it is"
        );
    }

    #[test]
    fn errors_tell_what_would_help() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path());
        settings.search_path = vec![dir.path().to_owned()];
        settings.cwd = dir.path().to_owned();
        let text = program("python3", &settings).unwrap_err().to_string();
        assert!(
            text.contains("python3-venv") && text.contains(&dir.path().display().to_string()),
            "{text}"
        );
        std::fs::write(dir.path().join("plain"), "x").unwrap();
        let text = program("./plain", &settings).unwrap_err().to_string();
        assert!(text.contains("chmod +x"), "{text}");
    }

    #[test]
    fn relative_folders_of_the_search_path_are_ignored() {
        let mut settings = Settings::new("/nowhere");
        settings.search_path = vec![PathBuf::from("bin"), PathBuf::from("/bin")];
        assert_eq!(
            bare(OsStr::new("sh"), &settings),
            Some(PathBuf::from("/bin/sh"))
        );
    }
}

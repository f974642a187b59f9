//! What Python needs: the interpreter's prefix, the virtual environment, and where a script's code is.

use std::path::{Path, PathBuf};

use crate::elf::Elf;
use crate::error::{RuntimeError, io};
use crate::look::Look;
use crate::start::{Resolver, Start, text};
use crate::tree;

/// Options that take the next word.
const WITH_VALUE: &[&str] = &["-W", "-X", "--check-hash-based-pycs"];
/// Linux follows at most 40 links.
const MAX_LINKS: usize = 40;
/// CPython's own `TZPATH` (PEP 615) holds three more, which Linux systems do not use.
const ZONES: &str = "/usr/share/zoneinfo";

/// `3.11` of `python3.11`, and an empty text of `python` and `python3`; none for other programs.
pub(crate) fn version_in_name(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("python")?;
    let plain = rest.is_empty() || rest == "3";
    let numbered = rest
        .strip_prefix("3.")
        .is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()));
    (plain || numbered).then_some(if numbered { rest } else { "" })
}

/// The virtual environment to which an interpreter path belongs (PEP 405).
pub(crate) fn venv_of(program: &Path) -> Option<PathBuf> {
    let bin = program.parent()?.canonicalize().ok()?;
    let root = bin.parent()?;
    root.join("pyvenv.cfg").is_file().then(|| root.to_owned())
}

/// The same, noted.
fn found_venv(resolver: &Resolver<'_>, program: &Path) -> Option<PathBuf> {
    let bin = resolver.look.real(program.parent()?).ok()?;
    resolver.look.meta(&bin.parent()?.join("pyvenv.cfg"));
    venv_of(program)
}

pub(crate) fn start(
    resolver: &mut Resolver<'_>,
    program: &Path,
    elf: Elf,
    mut args: Vec<String>,
) -> Result<Start, RuntimeError> {
    let real = resolver
        .look
        .real(program)
        .map_err(io("resolve", program))?;
    let home = Home::of(&resolver.look, &real)?;
    resolver.add_program(&real, elf, "Python")?;
    if resolver.look.is_dir(Path::new(ZONES)) {
        resolver
            .needs
            .read(ZONES, "time zones, for Python's zoneinfo");
    }
    add_standard_library(resolver, &home)?;
    let program = match found_venv(resolver, program) {
        Some(venv) => {
            let python = venv
                .join("bin")
                .join(program.file_name().unwrap_or_default());
            add_links(resolver, &python, &venv)?;
            resolver.add_tree(&venv, "the virtual environment with its packages")?;
            if shares_system_packages(&resolver.look, &venv) {
                add_system_packages(resolver, &home)?;
            }
            python
        }
        None => {
            add_system_packages(resolver, &home)?;
            real
        }
    };
    match code(&args) {
        Code::Script(at) => {
            if let Some(word) = args.get_mut(at) {
                let script = resolver.script_word(word)?;
                *word = text(&script)?;
                add_script(resolver, &script)?;
            }
        }
        Code::Module => {
            if let Some(dir) = resolver.settings.plugin_dir.clone() {
                let real = resolver.look.real(&dir).map_err(io("resolve", &dir))?;
                if !resolver.too_wide(&real) {
                    resolver.add_tree(&real, "the folder of the plugin")?;
                }
            }
        }
        Code::Other => {}
    }
    Ok(Start { program, args })
}

/// Where an installed interpreter keeps its standard library.
#[derive(Debug)]
struct Home {
    prefix: PathBuf,
    version: String,
    library: PathBuf,
}

impl Home {
    /// Found from the real binary, as CPython finds it (`lib/pythonX.Y/os.py` below its prefix). A
    /// venv's own configuration is not believed: a plugin may have written it.
    fn of(look: &Look, real: &Path) -> Result<Self, RuntimeError> {
        let bad = |why: String| RuntimeError::Program {
            path: real.to_owned(),
            why,
        };
        let prefix = real
            .parent()
            .and_then(Path::parent)
            .ok_or_else(|| bad("it lies in no prefix".to_owned()))?;
        let name = real.file_name().unwrap_or_default().to_string_lossy();
        let named = version_in_name(&name).unwrap_or_default();
        let mut versions: Vec<String> = Vec::new();
        if named.is_empty() {
            let entries = look
                .list(&prefix.join("lib"))
                .map_err(io("list", &prefix.join("lib")))?;
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                versions.extend(
                    version_in_name(&name)
                        .filter(|version| !version.is_empty())
                        .map(str::to_owned),
                );
            }
        } else {
            versions.push(named.to_owned());
        }
        let mut found = versions.into_iter().flat_map(|version| {
            ["lib", "lib64"].map(|lib| {
                (
                    prefix.join(lib).join(format!("python{version}")),
                    version.clone(),
                )
            })
        });
        let (library, version) = found
            .find(|(library, _)| look.is_file(&library.join("os.py")))
            .ok_or_else(|| {
                bad(format!(
                    "its standard library is not in `{}/lib`",
                    prefix.display()
                ))
            })?;
        Ok(Self {
            prefix: prefix.to_owned(),
            version,
            library,
        })
    }
}

fn add_standard_library(resolver: &mut Resolver<'_>, home: &Home) -> Result<(), RuntimeError> {
    resolver
        .needs
        .read(&home.library, "Python's standard library");
    let native = home.library.join("lib-dynload");
    if resolver.look.is_dir(&native) {
        for module in tree::modules(&resolver.look, &native)? {
            // Needs a display, and a dozen libraries to talk to one.
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with("_tkinter") {
                resolver.add_module(&module)?;
            }
        }
        resolver
            .needs
            .run(native, "native modules of Python's standard library");
    }
    Ok(())
}

/// Packages installed for the interpreter itself.
fn add_system_packages(resolver: &mut Resolver<'_>, home: &Home) -> Result<(), RuntimeError> {
    let mut folders = vec![home.library.join("site-packages")];
    if home.prefix == Path::new("/usr") {
        let local = PathBuf::from(format!("/usr/local/lib/python{}", home.version));
        folders.extend([
            PathBuf::from("/usr/lib/python3/dist-packages"),
            local.join("dist-packages"),
            local.join("site-packages"),
        ]);
    }
    folders.retain(|folder| resolver.look.is_dir(folder));
    for folder in &folders {
        resolver.add_tree(folder, "packages installed for this Python")?;
    }
    Ok(())
}

/// A venv's python is a link, perhaps to a link: each name on the way has to exist.
fn add_links(resolver: &mut Resolver<'_>, python: &Path, venv: &Path) -> Result<(), RuntimeError> {
    let mut at = python.to_owned();
    for _ in 0..MAX_LINKS {
        if !at.starts_with(venv) {
            resolver.needs.run(
                &at,
                "the interpreter, under the name that the virtual environment uses",
            );
        }
        let Some(target) = resolver.look.link(&at) else {
            return Ok(());
        };
        let folder = at.parent().unwrap_or(Path::new("/"));
        let folder = resolver.look.real(folder).map_err(io("resolve", folder))?;
        at = folder.join(target);
    }
    Ok(())
}

fn shares_system_packages(look: &Look, venv: &Path) -> bool {
    look.text(&venv.join("pyvenv.cfg")).is_some_and(|text| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .any(|(key, value)| {
                key.trim()
                    .eq_ignore_ascii_case("include-system-site-packages")
                    && value.trim().eq_ignore_ascii_case("true")
            })
    })
}

fn add_script(resolver: &mut Resolver<'_>, script: &Path) -> Result<(), RuntimeError> {
    if let Some(root) = resolver.own_root(script)? {
        return resolver.add_tree(&root, "the folder of the script");
    }
    let above = |dir: &&Path| !resolver.too_wide(dir);
    let project = script
        .ancestors()
        .skip(1)
        .take_while(above)
        .find(|dir| resolver.look.is_file(&dir.join("pyproject.toml")));
    match project.map(Path::to_owned) {
        Some(project) => resolver.add_tree(&project, "the script's project"),
        None => {
            resolver.needs.read(script, "the script");
            Ok(())
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Code {
    Script(usize),
    Module,
    Other,
}

/// What python's arguments ask it to run.
fn code(args: &[String]) -> Code {
    let mut skip = false;
    for (at, arg) in args.iter().enumerate() {
        if skip {
            skip = false;
        } else if arg.starts_with("--") || arg == "-" {
            skip = WITH_VALUE.iter().any(|option| arg == option);
        } else if let Some(flags) = arg.strip_prefix('-') {
            // `-Im x` is `-I -m x`; `-c` and `-m` end the options.
            match flags
                .find(['c', 'm', 'W', 'X'])
                .and_then(|at| flags.get(at..))
            {
                Some(rest) if rest.starts_with('m') => return Code::Module,
                Some(rest) if rest.starts_with('c') => return Code::Other,
                Some(rest) => skip = rest.len() == 1,
                None => {}
            }
        } else {
            return Code::Script(at);
        }
    }
    Code::Other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn names_of_interpreters() {
        assert_eq!(version_in_name("python3.11"), Some("3.11"));
        assert_eq!(version_in_name("python3"), Some(""));
        assert_eq!(version_in_name("python"), Some(""));
        assert_eq!(version_in_name("python3.11-config"), None);
        assert_eq!(version_in_name("pythonic"), None);
        assert_eq!(version_in_name("python2.7"), None);
    }

    #[test]
    fn what_python_is_asked_to_run() {
        let of = |line: &str| code(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("server.py x"), Code::Script(0));
        assert_eq!(of("-I -W error server.py"), Code::Script(3));
        assert_eq!(of("-Im server"), Code::Module);
        assert_eq!(of("-mserver"), Code::Module);
        assert_eq!(of("-c 1 server.py"), Code::Other);
        assert_eq!(of("-Xutf8 server.py"), Code::Script(1));
    }

    #[test]
    fn l22_a_venvs_own_configuration_cannot_point_the_closure_elsewhere() {
        let Some(python) = crate::lookup::bare("python3".as_ref(), &Settings::new("/x")) else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("secret/lib")).unwrap();
        std::fs::create_dir_all(base.join("venv/bin")).unwrap();
        std::fs::write(
            base.join("venv/pyvenv.cfg"),
            format!("home = {}/secret\n", base.display()),
        )
        .unwrap();
        std::os::unix::fs::symlink(python, base.join("venv/bin/python")).unwrap();
        let settings = Settings::new(base.join("cache"));
        let mut resolver = Resolver::new(&settings);
        let start = resolver
            .start(&base.join("venv/bin/python"), vec!["-c".into(), "1".into()])
            .unwrap();
        assert_eq!(start.program, base.join("venv/bin/python"));
        let (closure, _) = resolver.needs.finish();
        assert!(closure.read.contains(&base.join("venv")), "{closure:?}");
        assert!(
            closure
                .read
                .iter()
                .chain(&closure.run)
                .all(|path| !path.starts_with(base.join("secret"))),
            "{closure:?}"
        );
    }
}

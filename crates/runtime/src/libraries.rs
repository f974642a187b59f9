//! The shared libraries of an ELF file, found the way its loader finds them (ld.so(8)), transitively.

use std::cell::OnceCell;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::closure::Needs;
use crate::elf::Elf;
use crate::error::RuntimeError;
use crate::ldcache::LoaderCache;
use crate::look::Look;

/// Bound on the objects of one program; a browser has about 200.
const MAX_OBJECTS: usize = 1024;
const CACHE: &str = "/etc/ld.so.cache";
/// The locale that the environment of every plugin names.
const LOCALES: [&str; 2] = ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"];

/// Finds libraries as this machine's loader would.
#[derive(Debug, Default)]
pub(crate) struct Libraries {
    found: OnceCell<(LoaderCache, Vec<PathBuf>)>,
}

struct Object {
    path: PathBuf,
    elf: Elf,
    /// `DT_RPATH` of everything on the way here, expanded: unlike `DT_RUNPATH` it is inherited.
    inherited: Vec<PathBuf>,
}

/// Whose libraries are added.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// A program's: a missing one is an error.
    Program,
    /// A module's: a missing one is left out, and loading the module fails inside as it would outside.
    Module,
}

impl Libraries {
    fn machine(&self, look: &Look) -> &(LoaderCache, Vec<PathBuf>) {
        // Not in the question that a kept closure answers, so noted with each that is found.
        look.meta(Path::new(CACHE));
        self.found
            .get_or_init(|| (LoaderCache::read(Path::new(CACHE)), folders()))
    }

    /// Adds a program: itself, its loader and all libraries. A missing library is an error.
    pub(crate) fn add_program(
        &self,
        look: &Look,
        needs: &mut Needs,
        path: &Path,
        elf: Elf,
        why: &str,
    ) -> Result<(), RuntimeError> {
        needs.run(path, why);
        if elf.asks_locale
            && let Some(locale) = LOCALES.iter().find(|dir| look.is_dir(Path::new(dir)))
        {
            needs.read(locale, "the locale C.UTF-8, which LANG names");
        }
        let Some(loader) = elf.interpreter.clone() else {
            return Ok(());
        };
        // The file says where its loader is, and a plugin may have written the file: only what is
        // itself such a program is believed, never any other file of the host.
        let fits = loader.is_absolute()
            && look
                .elf(&loader)
                .is_ok_and(|found| found.is_some_and(|found| found.matches(&elf)));
        if !fits {
            return Err(RuntimeError::Program {
                path: path.to_owned(),
                why: format!(
                    "its loader `{}` is not one on this machine; it was built for another system",
                    loader.display()
                ),
            });
        }
        needs.run(&loader, "the dynamic loader");
        self.add_libraries(look, needs, path, elf, Whose::Program)
    }

    /// Adds the libraries of a loadable module (`.so`, `.node`).
    pub(crate) fn add_module(
        &self,
        look: &Look,
        needs: &mut Needs,
        path: &Path,
    ) -> Result<(), RuntimeError> {
        match look.elf(path) {
            Ok(Some(elf)) => self.add_libraries(look, needs, path, elf, Whose::Module),
            // A damaged module is the package's own affair, as long as the program itself is whole.
            Ok(None) | Err(RuntimeError::Program { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// What the C library loads by name, and no header tells.
    fn add_by_name(&self, look: &Look, needs: &mut Needs, of: &Object, name: &str, why: &str) {
        if needs.has_file(name) {
            return;
        }
        if let Some((path, _, _)) = self.find(look, of, name) {
            needs.run(path, why);
        }
    }

    fn add_libraries(
        &self,
        look: &Look,
        needs: &mut Needs,
        path: &Path,
        elf: Elf,
        whose: Whose,
    ) -> Result<(), RuntimeError> {
        let mut seen = BTreeSet::new();
        let mut queue = VecDeque::from([Object {
            path: path.to_owned(),
            elf,
            inherited: Vec::new(),
        }]);
        while let Some(mut object) = queue.pop_front() {
            let own = expand(look, &object.elf.rpath, &object.path);
            object.inherited.extend(own);
            for name in object.elf.needed.clone() {
                if is_loader(&name) || !seen.insert(name.clone()) {
                    continue;
                }
                if seen.len() > MAX_OBJECTS {
                    return Err(RuntimeError::Program {
                        path: path.to_owned(),
                        why: format!("it needs more than {MAX_OBJECTS} libraries"),
                    });
                }
                let Some((found, elf, by_cache)) = self.find(look, &object, &name) else {
                    if whose == Whose::Program {
                        return Err(self.missing(look, &object.path, name));
                    }
                    continue;
                };
                if by_cache {
                    needs.read(
                        CACHE,
                        "tells the loader where libraries outside its own folders are",
                    );
                }
                if needs.has_run(&found) {
                    continue;
                }
                if is_c_library(&name) {
                    self.add_name_services(look, needs, &object, &found);
                }
                needs.run(&found, format!("library {name}"));
                queue.push_back(Object {
                    path: found,
                    elf,
                    inherited: object.inherited.clone(),
                });
            }
            // The C library itself names these calls because it has them.
            if object.elf.unwinds && !is_c_library(&file_name(&object.path)) {
                let why = "library libgcc_s.so.1, loaded on demand when a thread is ended";
                self.add_by_name(look, needs, &object, "libgcc_s.so.1", why);
            }
        }
        Ok(())
    }

    /// Before 2.34 glibc was `libc-2.X.so` behind a link, and kept what reads `/etc/passwd`, `/etc/hosts`
    /// and asks DNS in modules that it loads by name; since then they are part of it.
    fn add_name_services(&self, look: &Look, needs: &mut Needs, of: &Object, libc: &Path) {
        let old = look
            .real(libc)
            .is_ok_and(|real| file_name(&real).starts_with("libc-2."));
        if old {
            for name in ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"] {
                let why = format!("library {name}, loaded on demand to look up names");
                self.add_by_name(look, needs, of, name, &why);
            }
        }
    }

    fn missing(&self, look: &Look, object: &Path, library: String) -> RuntimeError {
        let (_, folders) = self.machine(look);
        let folders: Vec<_> = folders
            .iter()
            .map(|dir| dir.display().to_string())
            .collect();
        RuntimeError::Library {
            object: object.to_owned(),
            library,
            searched: format!("{CACHE}, {}", folders.join(", ")),
        }
    }

    /// The path, its headers, and whether only the loader's cache knows it.
    fn find(&self, look: &Look, object: &Object, name: &str) -> Option<(PathBuf, Elf, bool)> {
        let fits = |path: &Path| {
            let elf = look.elf(path).ok().flatten()?;
            elf.matches(&object.elf).then_some(elf)
        };
        if name.contains('/') {
            let path = Some(PathBuf::from(name)).filter(|path| path.is_absolute())?;
            return fits(&path).map(|elf| (path, elf, false));
        }
        let runpath = expand(look, &object.elf.runpath, &object.path);
        let inherited: &[PathBuf] = if runpath.is_empty() {
            &object.inherited
        } else {
            &[]
        };
        let own = inherited.iter().chain(&runpath).map(|dir| dir.join(name));
        if let Some(found) = own
            .into_iter()
            .find_map(|path| fits(&path).map(|elf| (path, elf, false)))
        {
            return Some(found);
        }
        let (cache, folders) = self.machine(look);
        let default = |path: &Path| {
            path.parent()
                .is_some_and(|dir| folders.iter().any(|known| known == dir))
        };
        let cached = cache
            .lookup(name)
            .iter()
            .find_map(|path| fits(path).map(|elf| (path.clone(), elf, !default(path))));
        cached.or_else(|| {
            folders
                .iter()
                .map(|dir| dir.join(name))
                .find_map(|path| fits(&path).map(|elf| (path, elf, false)))
        })
    }
}

/// The loader's own folders on this machine.
fn folders() -> Vec<PathBuf> {
    let arch = std::env::consts::ARCH;
    let triplet = if arch == "arm" {
        "arm-linux-gnueabihf".to_owned()
    } else {
        format!("{arch}-linux-gnu")
    };
    [format!("/lib/{triplet}"), format!("/usr/lib/{triplet}")]
        .into_iter()
        .chain(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(str::to_owned))
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir())
        .collect()
}

/// The C library names the loader as a library of its own; by then it is there, as `PT_INTERP`.
fn is_loader(name: &str) -> bool {
    ["ld-linux", "ld-musl", "ld64.so", "ld.so"]
        .iter()
        .any(|known| name.starts_with(known))
}

fn is_c_library(name: &str) -> bool {
    ["libc.so.", "libc-2.", "libpthread", "libc.musl"]
        .iter()
        .any(|known| name.starts_with(known))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Expands `$ORIGIN` and leaves out what is not absolute afterwards: a relative run path would depend
/// on the working directory.
fn expand(look: &Look, dirs: &[String], object: &Path) -> Vec<PathBuf> {
    if dirs.is_empty() {
        return Vec::new();
    }
    let origin = object.parent().unwrap_or(Path::new("/"));
    let real = look
        .real(object)
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned));
    let mut all = Vec::new();
    for dir in dirs {
        for from in [Some(origin), real.as_deref()].into_iter().flatten() {
            let from = from.to_string_lossy();
            let path = normal(Path::new(
                &dir.replace("${ORIGIN}", &from).replace("$ORIGIN", &from),
            ));
            if path.is_absolute() && !all.contains(&path) {
                all.push(path);
            }
        }
    }
    all
}

/// Takes `.` and `..` out by name. Only used on run paths, where the loader opens the same file.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_paths_are_relative_to_the_object_and_never_to_the_working_directory() {
        let dirs = [
            "$ORIGIN/../lib".to_owned(),
            "${ORIGIN}".to_owned(),
            "lib".to_owned(),
        ];
        assert_eq!(
            expand(&Look::default(), &dirs, Path::new("/opt/x/bin/p")),
            [PathBuf::from("/opt/x/lib"), PathBuf::from("/opt/x/bin")]
        );
    }

    #[test]
    fn l22_a_program_cannot_name_a_file_of_the_host_as_its_loader() {
        let sh = Path::new("/bin/sh");
        let loader = Elf::read(sh).unwrap().unwrap().interpreter.unwrap();
        let loader = loader.to_str().unwrap().as_bytes();
        let mut bytes = std::fs::read(sh).unwrap();
        let at = bytes
            .windows(loader.len())
            .position(|window| window == loader)
            .unwrap();
        let mut other = b"/etc/passwd".to_vec();
        other.resize(loader.len(), 0);
        bytes[at..at + loader.len()].copy_from_slice(&other);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server");
        std::fs::write(&path, bytes).unwrap();
        let elf = Elf::read(&path).unwrap().unwrap();
        assert_eq!(elf.interpreter.as_deref(), Some(Path::new("/etc/passwd")));
        let mut needs = Needs::default();
        let error = Libraries::default()
            .add_program(&Look::default(), &mut needs, &path, elf, "x")
            .unwrap_err();
        assert!(error.to_string().contains("/etc/passwd"), "{error}");
        assert!(!needs.has_run(Path::new("/etc/passwd")));
    }

    #[test]
    fn the_libraries_of_a_shell_are_complete() {
        let path = Path::new("/bin/sh");
        let elf = Elf::read(path).unwrap().unwrap();
        let mut needs = Needs::default();
        Libraries::default()
            .add_program(&Look::default(), &mut needs, path, elf, "shell")
            .unwrap();
        let (closure, _) = needs.finish();
        assert!(
            closure
                .run
                .iter()
                .any(|path| path.ends_with("libc.so.6") || path.to_string_lossy().contains("musl")),
            "{closure:?}"
        );
        assert!(
            closure.run.iter().all(|path| path.is_file()),
            "no whole folders: {closure:?}"
        );
    }
}

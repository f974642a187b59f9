//! The shared libraries of an ELF file, found the way its loader finds them (ld.so(8)), transitively.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::closure::Needs;
use crate::elf::Elf;
use crate::error::RuntimeError;
use crate::ldcache::LoaderCache;

/// Bound on the objects of one program; a browser has about 200.
const MAX_OBJECTS: usize = 1024;
const CACHE: &str = "/etc/ld.so.cache";

/// Finds libraries as this machine's loader would.
#[derive(Debug)]
pub(crate) struct Libraries {
    cache: LoaderCache,
    folders: Vec<PathBuf>,
}

struct Object {
    path: PathBuf,
    elf: Elf,
    /// `DT_RPATH` of everything on the way here, expanded: unlike `DT_RUNPATH` it is inherited.
    inherited: Vec<PathBuf>,
}

impl Libraries {
    pub(crate) fn of_this_machine() -> Self {
        let arch = std::env::consts::ARCH;
        let triplet = if arch == "arm" {
            "arm-linux-gnueabihf".to_owned()
        } else {
            format!("{arch}-linux-gnu")
        };
        let folders = [format!("/lib/{triplet}"), format!("/usr/lib/{triplet}")]
            .into_iter()
            .chain(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(str::to_owned))
            .map(PathBuf::from)
            .filter(|dir| dir.is_dir())
            .collect();
        Self {
            cache: LoaderCache::read(Path::new(CACHE)),
            folders,
        }
    }

    /// Adds a program: itself, its loader and all libraries. A missing library is an error.
    pub(crate) fn add_program(
        &self,
        needs: &mut Needs,
        path: &Path,
        elf: Elf,
        why: &str,
    ) -> Result<(), RuntimeError> {
        needs.run(path, why);
        if let Some(loader) = elf.interpreter.clone() {
            // The file says where its loader is, and a plugin may have written the file: only what is
            // itself such a program is believed, never any other file of the host.
            let fits = loader.is_absolute()
                && Elf::read(&loader)
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
            let wide = elf.wide;
            self.add_libraries(needs, path, elf, true)?;
            // The C library loads this one by name when a thread ends or is cancelled.
            self.add_by_name(needs, path, "libgcc_s.so.1", wide);
        }
        Ok(())
    }

    /// Adds the libraries of a loadable module (`.so`, `.node`). What is missing is left out: loading
    /// the module then fails inside as it would outside.
    pub(crate) fn add_module(&self, needs: &mut Needs, path: &Path) -> Result<(), RuntimeError> {
        match Elf::read(path) {
            Ok(Some(elf)) => self.add_libraries(needs, path, elf, false),
            // A damaged module is the package's own affair, as long as the program itself is whole.
            Ok(None) | Err(RuntimeError::Program { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    fn add_by_name(&self, needs: &mut Needs, of: &Path, name: &str, wide: bool) {
        let Ok(Some(elf)) = Elf::read(of) else { return };
        let like = Object {
            path: of.to_owned(),
            elf,
            inherited: Vec::new(),
        };
        if let Some((path, _, _)) = self.find(&like, name)
            && wide == like.elf.wide
        {
            needs.run(path, format!("library {name}, loaded on demand"));
        }
    }

    fn add_libraries(
        &self,
        needs: &mut Needs,
        path: &Path,
        elf: Elf,
        strict: bool,
    ) -> Result<(), RuntimeError> {
        let mut seen = BTreeSet::new();
        let mut queue = VecDeque::from([Object {
            path: path.to_owned(),
            elf,
            inherited: Vec::new(),
        }]);
        while let Some(mut object) = queue.pop_front() {
            let own = expand(&object.elf.rpath, &object.path);
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
                let Some((found, elf, by_cache)) = self.find(&object, &name) else {
                    if strict {
                        return Err(self.missing(&object.path, name));
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
                needs.run(&found, format!("library {name}"));
                queue.push_back(Object {
                    path: found,
                    elf,
                    inherited: object.inherited.clone(),
                });
            }
        }
        Ok(())
    }

    fn missing(&self, object: &Path, library: String) -> RuntimeError {
        let folders: Vec<_> = self
            .folders
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
    fn find(&self, object: &Object, name: &str) -> Option<(PathBuf, Elf, bool)> {
        let fits = |path: &Path| {
            let elf = Elf::read(path).ok().flatten()?;
            elf.matches(&object.elf).then_some(elf)
        };
        if name.contains('/') {
            let path = Some(PathBuf::from(name)).filter(|path| path.is_absolute())?;
            return fits(&path).map(|elf| (path, elf, false));
        }
        let runpath = expand(&object.elf.runpath, &object.path);
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
        let default = |path: &Path| {
            path.parent()
                .is_some_and(|dir| self.folders.iter().any(|known| known == dir))
        };
        let cached = self
            .cache
            .lookup(name)
            .iter()
            .find_map(|path| fits(path).map(|elf| (path.clone(), elf, !default(path))));
        cached.or_else(|| {
            self.folders
                .iter()
                .map(|dir| dir.join(name))
                .find_map(|path| fits(&path).map(|elf| (path, elf, false)))
        })
    }
}

/// The C library names the loader as a library of its own; by then it is there, as `PT_INTERP`.
fn is_loader(name: &str) -> bool {
    ["ld-linux", "ld-musl", "ld64.so", "ld.so"]
        .iter()
        .any(|known| name.starts_with(known))
}

/// Expands `$ORIGIN` and leaves out what is not absolute afterwards: a relative run path would depend
/// on the working directory.
fn expand(dirs: &[String], object: &Path) -> Vec<PathBuf> {
    let origin = object.parent().unwrap_or(Path::new("/"));
    let real = object
        .canonicalize()
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
            expand(&dirs, Path::new("/opt/x/bin/p")),
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
        let libraries = Libraries::of_this_machine();
        let error = libraries
            .add_program(&mut needs, &path, elf, "x")
            .unwrap_err();
        assert!(error.to_string().contains("/etc/passwd"), "{error}");
        assert!(!needs.has_run(Path::new("/etc/passwd")));
    }

    #[test]
    fn the_libraries_of_a_shell_are_complete() {
        let path = Path::new("/bin/sh");
        let elf = Elf::read(path).unwrap().unwrap();
        let mut needs = Needs::default();
        Libraries::of_this_machine()
            .add_program(&mut needs, path, elf, "shell")
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

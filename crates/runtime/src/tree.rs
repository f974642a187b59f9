//! Walking and fingerprinting folders of packages, never following a link.

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{RuntimeError, io};
use crate::look::Look;

/// Bound on the files of one package with all that it depends on.
const MAX_FILES: usize = 500_000;
/// Bound on its bytes.
const MAX_BYTES: u64 = 4 << 30;

/// Every file and link below `root`, sorted; links are listed, not followed.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>, RuntimeError> {
    walk(root, |_| {})
}

fn walk(root: &Path, mut enter: impl FnMut(&Path)) -> Result<Vec<PathBuf>, RuntimeError> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        enter(&folder);
        for entry in fs::read_dir(&folder).map_err(io("list", &folder))? {
            let entry = entry.map_err(io("list", &folder))?;
            let kind = entry.file_type().map_err(io("read", &folder))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
        if found.len() > MAX_FILES {
            return Err(RuntimeError::Program {
                path: root.to_owned(),
                why: format!("it holds more than {MAX_FILES} files"),
            });
        }
    }
    found.sort();
    Ok(found)
}

/// The loadable modules (`.node`, `.so`, `.so.1`) below `root`.
pub(crate) fn modules(look: &Look, root: &Path) -> Result<Vec<PathBuf>, RuntimeError> {
    let mut all = walk(root, |folder| {
        look.meta(folder);
    })?;
    all.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".node") || name.ends_with(".so") || name.contains(".so.")
    });
    Ok(all)
}

/// Refuses a freshly prepared folder that holds what no package needs: devices, sockets and pipes, set-id
/// files, names that terminals obey, links that lead out of it to anything but an interpreter, and more than
/// the bounds on files and bytes.
pub(crate) fn inspect(root: &Path) -> Result<(), RuntimeError> {
    let real = root.canonicalize().map_err(io("resolve", root))?;
    let mut bytes: u64 = 0;
    for path in files(root)? {
        let bad = |why: &str| RuntimeError::Program {
            path: path.clone(),
            why: why.to_owned(),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(char::is_control) {
            return Err(bad(
                "its name holds control characters; hint: do not use this package",
            ));
        }
        let meta = path.symlink_metadata().map_err(io("read", &path))?;
        bytes = bytes.saturating_add(meta.len());
        if bytes > MAX_BYTES {
            return Err(bad(
                "the package and what it depends on are larger than 4 GiB",
            ));
        }
        if meta.is_symlink() {
            let inside = path
                .canonicalize()
                .is_ok_and(|target| target.starts_with(&real));
            if !inside && !is_interpreter(&path) {
                return Err(bad(
                    "it is a link out of the package; hint: do not use this package",
                ));
            }
        } else if !meta.is_file() {
            return Err(bad("a package holds only files, folders and links"));
        } else if meta.permissions().mode() & 0o6000 != 0 {
            return Err(bad("it is a set-id file; hint: do not use this package"));
        }
    }
    Ok(())
}

/// A virtual environment's own link to the Python that made it; that it is this one is checked where it is made.
fn is_interpreter(link: &Path) -> bool {
    let named = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        crate::python::version_in_name(&name).is_some()
    };
    let in_bin = link.parent().is_some_and(|bin| bin.ends_with("bin"));
    in_bin && named(link) && link.canonicalize().is_ok_and(|real| named(&real))
}

/// A fingerprint over the names, kinds, execute bits and contents of everything below `root` but
/// `except`, in hex.
pub(crate) fn digest(root: &Path, except: &Path) -> Result<String, RuntimeError> {
    let mut whole = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 16];
    for path in files(root)? {
        if path == except {
            continue;
        }
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .as_os_str()
            .as_bytes();
        let meta = path.symlink_metadata().map_err(io("read", &path))?;
        let mut part = Sha256::new();
        let kind = if meta.is_symlink() {
            part.update(
                fs::read_link(&path)
                    .map_err(io("read", &path))?
                    .as_os_str()
                    .as_bytes(),
            );
            b'l'
        } else if meta.is_file() {
            let mut file = fs::File::open(&path).map_err(io("open", &path))?;
            loop {
                let count = file.read(&mut buffer).map_err(io("read", &path))?;
                let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                    break;
                };
                part.update(bytes);
            }
            if meta.permissions().mode() & 0o111 == 0 {
                b'f'
            } else {
                b'x'
            }
        } else {
            return Err(RuntimeError::Program {
                path,
                why: "a package holds only files, folders and links".to_owned(),
            });
        };
        // Every part has a fixed length or is preceded by its own: no two trees give the same bytes.
        whole.update((name.len() as u64).to_be_bytes());
        whole.update(name);
        whole.update([kind]);
        whole.update(part.finalize());
    }
    Ok(hex::encode(whole.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_changes_the_digest() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/a"), "one").unwrap();
        std::os::unix::fs::symlink("d/a", root.join("l")).unwrap();
        fs::write(root.join("record"), "1").unwrap();
        let now = || digest(root, &root.join("record")).unwrap();
        let mut seen = vec![now()];
        fs::write(root.join("record"), "2").unwrap();
        assert_eq!(now(), seen[0], "the record itself is left out");
        fs::write(root.join("d/a"), "two").unwrap();
        seen.push(now());
        fs::set_permissions(root.join("d/a"), fs::Permissions::from_mode(0o755)).unwrap();
        seen.push(now());
        fs::rename(root.join("d/a"), root.join("d/b")).unwrap();
        seen.push(now());
        fs::remove_file(root.join("l")).unwrap();
        std::os::unix::fs::symlink("d/b", root.join("l")).unwrap();
        seen.push(now());
        fs::write(root.join("new"), "").unwrap();
        seen.push(now());
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len());
    }

    #[test]
    fn what_no_package_needs_is_refused() {
        let with = |make: &dyn Fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("bin")).unwrap();
            fs::write(dir.path().join("bin/x"), "").unwrap();
            std::os::unix::fs::symlink("bin/x", dir.path().join("inside")).unwrap();
            std::os::unix::fs::symlink("/usr/bin/python3", dir.path().join("bin/python3")).unwrap();
            make(dir.path());
            inspect(dir.path()).map_err(|error| error.to_string())
        };
        assert_eq!(with(&|_| {}), Ok(()));
        let link = |to: &'static str, from: &'static str| {
            with(&move |dir: &Path| std::os::unix::fs::symlink(to, dir.join(from)).unwrap())
        };
        assert!(link("/etc/passwd", "x").unwrap_err().contains("link out"));
        assert!(
            link("/etc/passwd", "bin/python")
                .unwrap_err()
                .contains("link out")
        );
        assert!(
            link("/usr/bin/python3", "python")
                .unwrap_err()
                .contains("link out")
        );
        let file = |name: &'static str, mode: u32, length: u64| {
            with(&move |dir: &Path| {
                let file = fs::File::create(dir.join(name)).unwrap();
                file.set_len(length).unwrap();
                file.set_permissions(fs::Permissions::from_mode(mode))
                    .unwrap();
            })
        };
        assert!(file("x", 0o4755, 0).unwrap_err().contains("set-id"));
        assert!(file("x", 0o644, 5 << 30).unwrap_err().contains("larger"));
        let error = file("a\u{1b}[31m", 0o644, 0).unwrap_err();
        assert!(
            error.contains("control") && !error.contains('\u{1b}'),
            "{error:?}"
        );
    }

    #[test]
    fn l15_links_are_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/usr/lib", dir.path().join("out")).unwrap();
        assert_eq!(files(dir.path()).unwrap(), [dir.path().join("out")]);
    }
}

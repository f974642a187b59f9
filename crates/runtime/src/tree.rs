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
    fn l15_links_are_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/usr/lib", dir.path().join("out")).unwrap();
        assert_eq!(files(dir.path()).unwrap(), [dir.path().join("out")]);
    }
}

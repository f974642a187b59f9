//! Files and folders that are nobody's but ours.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::error::SecretError;

/// Reads a file of at most `limit` bytes that is a plain one, ours, and nobody else's to read; none where there is no
/// file. Links are not followed. The bytes are wiped when dropped.
///
/// # Errors
/// [`SecretError::File`], [`SecretError::Io`].
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
    // O_NONBLOCK: whatever lies there, opening it does not wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(SecretError::file(
                path,
                "is a link, and links are not followed: put the file itself there",
            ));
        }
        Err(error) => return Err(SecretError::io("open", path)(error)),
    };
    let meta = file.metadata().map_err(SecretError::io("look at", path))?;
    check(path, &meta)?;
    if meta.len() > limit {
        let why = format!(
            "has {} bytes, and the limit is {limit}: it is not ours",
            meta.len()
        );
        return Err(SecretError::file(path, why));
    }
    // All room beforehand: a buffer that grows leaves copies behind.
    let size = usize::try_from(meta.len()).unwrap_or_default();
    let mut bytes = Zeroizing::new(vec![0; size]);
    file.read_exact(&mut bytes)
        .map_err(SecretError::io("read", path))?;
    Ok(Some(bytes))
}

fn check(path: &Path, meta: &Metadata) -> Result<(), SecretError> {
    let shown = path.display();
    let us = rustix::process::geteuid().as_raw();
    if !meta.file_type().is_file() {
        return Err(SecretError::file(path, "is no plain file: remove it"));
    }
    if meta.uid() != us {
        let why = format!(
            "belongs to user {}, and you are {us}: it is not used; name or make one of your own",
            meta.uid()
        );
        return Err(SecretError::file(path, why));
    }
    if meta.mode() & 0o077 != 0 {
        let why = format!(
            "may be read or changed by others (mode {:o}): run `chmod 600 {shown}`, and replace what it \
             protected if somebody may have read it",
            meta.mode() & 0o777
        );
        return Err(SecretError::file(path, why));
    }
    Ok(())
}

/// Checks that a folder is ours and that nobody else enters it.
///
/// # Errors
/// [`SecretError::File`], [`SecretError::Io`].
pub(crate) fn check_folder(path: &Path) -> Result<(), SecretError> {
    let meta = path.metadata().map_err(SecretError::io("look at", path))?;
    let us = rustix::process::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != us || meta.mode() & 0o077 != 0 {
        let why = format!(
            "is no folder of yours alone: run `chmod 700 {}`, or name another",
            path.display()
        );
        return Err(SecretError::file(path, why));
    }
    Ok(())
}

/// Makes a file of mode 0600 that was not there, with its bytes on the disk.
///
/// # Errors
/// [`SecretError::Io`].
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), SecretError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(SecretError::io("make", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(SecretError::io("write", path))
}

/// Puts `bytes` in place of a file, whole or not at all, also after a power loss. `aside` is a name of the caller's
/// own in the same folder; what a crash left there is overwritten.
///
/// # Errors
/// [`SecretError::Io`].
pub(crate) fn replace(path: &Path, aside: &Path, bytes: &[u8]) -> Result<(), SecretError> {
    remove(aside)?;
    create(aside, bytes)?;
    std::fs::rename(aside, path).map_err(SecretError::io("replace", path))?;
    sync_folder_of(path)
}

/// Removes a file if it is there; whether it was.
///
/// # Errors
/// [`SecretError::Io`].
pub(crate) fn remove(path: &Path) -> Result<bool, SecretError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(SecretError::io("remove", path)(error)),
    }
}

/// Puts what happened to the names in a file's folder on the disk.
///
/// # Errors
/// [`SecretError::Io`].
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), SecretError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(SecretError::io("flush", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_a_plain_file_of_ours_alone_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(read(&path, 10).unwrap().is_none());
        create(&path, b"12345").unwrap();
        assert_eq!(**read(&path, 5).unwrap().unwrap(), *b"12345");
        assert!(read(&path, 4).unwrap_err().to_string().contains("limit"));
        for loose in [0o640, 0o604, 0o660, 0o644, 0o610, 0o601] {
            mode(&path, loose);
            let error = read(&path, 5).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
        mode(&path, 0o400);
        assert!(read(&path, 5).is_ok());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read(&link, 5).unwrap_err().to_string().contains("link"));
        assert!(read(dir.path(), 5).is_err());
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let error = read(&pipe, 5).unwrap_err().to_string();
        assert!(error.contains("no plain file"), "it does not wait: {error}");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        if !bailiwick_testkit::user::is_root() {
            // Only root gives files away; what an ordinary user can see are root's, which are not theirs either.
            let error = read(Path::new("/etc/passwd"), 1 << 20).unwrap_err();
            assert!(error.to_string().contains("belongs to user 0"), "{error}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, b"1").unwrap();
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        let error = read(&path, 5).unwrap_err().to_string();
        assert!(error.contains("12345"), "{error}");
    }

    #[test]
    fn replacing_leaves_the_new_file_alone_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("a"), dir.path().join("a.new"));
        std::fs::write(&aside, "left by a crash").unwrap();
        mode(&aside, 0o644);
        for text in ["one", "two"] {
            replace(&path, &aside, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(!aside.exists());
    }
}

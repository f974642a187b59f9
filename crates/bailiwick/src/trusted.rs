//! Files that steer the gate are read only if nobody else can write them.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

/// Larger files are refused.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a text that only we or root can have written: a configuration planted in a shared folder must not steer us.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let cannot = || format!("cannot read `{shown}`");
    // The one who planted a link chose what it leads to.
    let link = path.symlink_metadata().with_context(cannot)?;
    ensure!(is_ours(link.uid()), not_ours(path, link.uid()));
    ensure!(
        path.metadata().with_context(cannot)?.is_file(),
        "`{shown}` is not a regular file"
    );
    let file = File::open(path).with_context(cannot)?;
    let meta = file.metadata()?;
    ensure!(is_ours(meta.uid()), not_ours(path, meta.uid()));
    ensure!(
        meta.mode() & 0o002 == 0,
        "everybody may write `{shown}`, which steers the gate: run `chmod o-w {shown}`"
    );
    ensure!(
        meta.mode() & 0o020 == 0 || is_our_group(meta.gid()),
        "the group {} may write `{shown}`, which steers the gate: run `chmod g-w {shown}`",
        meta.gid()
    );
    let mut text = String::new();
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(cannot)?;
    if text.len() as u64 > MAX_BYTES {
        bail!("`{shown}` is over the limit of {MAX_BYTES} bytes");
    }
    Ok(text)
}

fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Where every user has a group of their own, files are often writable by it.
fn is_our_group(gid: u32) -> bool {
    gid == 0 || gid == rustix::process::getegid().as_raw()
}

fn not_ours(path: &Path, uid: u32) -> String {
    let shown = path.display();
    format!(
        "`{shown}` belongs to the user with number {uid}, and whoever owns it steers the gate: if you trust it, \
         make it yours with `chown`, or name another with `--config`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    fn written(mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "text").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn l22_what_everybody_may_write_is_refused() {
        let (_dir, path) = written(0o644);
        assert_eq!(read(&path).unwrap(), "text");
        let (_dir, path) = written(0o646);
        assert!(read(&path).unwrap_err().to_string().contains("chmod o-w"));
    }

    #[test]
    fn l22_what_another_user_planted_is_refused() {
        let (dir, path) = written(0o644);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(read(&link).is_ok());
        // Only root can give files away; what an ordinary user sees is root's own, which is trusted.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
            assert!(read(&link).unwrap_err().to_string().contains("12345"));
            chown(&path, Some(12345), None).unwrap();
            assert!(read(&path).unwrap_err().to_string().contains("chown"));
        }
    }

    #[test]
    fn only_regular_files_up_to_a_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_err());
        assert!(read(Path::new("/dev/zero")).is_err());
        let big = dir.path().join("big");
        std::fs::write(&big, vec![b'x'; (MAX_BYTES + 1) as usize]).unwrap();
        assert!(read(&big).unwrap_err().to_string().contains("limit"));
    }
}

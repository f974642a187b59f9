//! Kernel file systems that are mounted where data is expected, such as the `/proc` of a folder prepared
//! for chroot: a granted tree is shown with all that is mounted in it, and these are no data.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The calling thread's: mount namespaces belong to threads.
const MOUNTS: &str = "/proc/thread-self/mountinfo";

/// Types of file systems that are interfaces to the kernel or to other processes.
const KERNEL_TYPES: [&str; 17] = [
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// Why what is mounted at, in or around `path` keeps it from being shown, if anything does.
pub(crate) fn kernel_mount(path: &Path) -> Option<String> {
    match std::fs::read(MOUNTS) {
        Ok(mounts) => find(&mounts, path),
        Err(error) => Some(format!(
            "what is mounted in it cannot be told: `{MOUNTS}`: {error}"
        )),
    }
}

fn find(mounts: &[u8], path: &Path) -> Option<String> {
    let lines = mounts.split(|byte| *byte == b'\n');
    let all: Vec<(PathBuf, String)> = lines.filter_map(entry).collect();
    let around = all
        .iter()
        .filter(|(at, _)| path.starts_with(at))
        .enumerate()
        // The deepest; of several at one place the last, which lies on top.
        .max_by_key(|(order, (at, _))| (at.components().count(), *order));
    let inside = all.iter().filter(|(at, _)| at.starts_with(path));
    let (at, kind) = around
        .map(|(_, mount)| mount)
        .into_iter()
        .chain(inside)
        .find(|(_, kind)| KERNEL_TYPES.contains(&kind.as_str()))?;
    Some(format!(
        "`{}` is mounted with `{kind}`, the kernel's interface, not data: grant the folders beside it",
        at.display()
    ))
}

/// Mount point and type of one line (proc_pid_mountinfo(5)).
fn entry(line: &[u8]) -> Option<(PathBuf, String)> {
    let mut words = line.split(|byte| *byte == b' ');
    let at = unescape(words.nth(4)?);
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    Some((at, String::from_utf8_lossy(kind).into_owned()))
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(word: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, more)) = rest.split_first() {
        let digits = more
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, byte) {
            (b'\\', Some(byte)) => {
                out.push(byte);
                rest = more.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = more;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 21 0:5 / /proc rw,nosuid shared:7 master:2 - proc proc rw
30 21 0:9 / /srv/jail\\040one/proc rw shared:9 - proc proc rw
31 21 0:9 / /srv/data/sub rw - ext4 /dev/vdb rw
32 21 0:9 / /mnt/alias ro - proc proc rw
33 21 0:9 / /mnt/covered ro - proc proc rw
34 21 0:9 / /mnt/covered ro - tmpfs tmpfs rw
";

    fn refused(path: &str) -> bool {
        find(MOUNTS.as_bytes(), Path::new(path)).is_some()
    }

    #[test]
    fn l18_a_kernel_file_system_is_found_in_and_around_a_path() {
        for path in [
            "/",
            "/srv",
            "/srv/jail one",
            "/srv/jail one/proc/1",
            "/mnt/alias",
            "/mnt/alias/self",
            "/proc/self",
            "/mnt",
        ] {
            assert!(refused(path), "{path}");
        }
        for path in [
            "/srv/data",
            "/srv/data/sub",
            "/srv/jail",
            "/mnt/alias2",
            "/mnt/covered/x",
        ] {
            assert!(!refused(path), "{path}");
        }
    }

    #[test]
    fn this_machine_is_read() {
        assert!(kernel_mount(Path::new("/proc/1")).is_some());
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        assert_eq!(kernel_mount(dir.path()), None);
    }
}

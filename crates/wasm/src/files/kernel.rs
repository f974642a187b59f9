//! What looks like files and is the kernel's interface. The host itself makes a component's operations, so
//! `/proc/self` would be the gate: its environment, its memory, its other files.

use std::fs::File;

use bailiwick_capability::AbsPath;

/// Trees that are never granted, nor anything around them.
const TREES: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Whether `path` lies in such a tree, or holds one.
pub(crate) fn kernel_tree(path: &AbsPath) -> bool {
    TREES
        .into_iter()
        .filter_map(|tree| AbsPath::exactly(tree).ok())
        .any(|tree| path.is_within(&tree) || tree.is_within(path))
}

/// Whether an open file lies in a file system of the kernel, wherever that is mounted.
#[cfg(target_os = "linux")]
pub(super) fn is_interface(file: &File) -> bool {
    // Unknown is refused.
    rustix::fs::fstatfs(file).map_or(true, |stat| KERNEL_TYPES.contains(&(stat.f_type as u32)))
}

/// Whether an open file lies in a file system of the kernel, wherever that is mounted.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_interface(_: &File) -> bool {
    false
}

/// By their magic numbers (`linux/magic.h`). Device nodes, which have none, are refused by their type.
#[cfg(target_os = "linux")]
const KERNEL_TYPES: [u32; 16] = [
    0x0000_9fa0, // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0x6265_6570, // configfs
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x1980_0202, // mqueue
    0x4249_4e4d, // binfmt_misc
    0x6573_5543, // fusectl
    0x0000_1cd1, // devpts
    0x6e73_6673, // nsfs
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_of_the_kernel_and_what_holds_them() {
        let path = |text| kernel_tree(&AbsPath::exactly(text).unwrap());
        for refused in ["/", "/proc", "/proc/self/mem", "/dev/shm", "/sys"] {
            assert!(path(refused), "{refused}");
        }
        for data in ["/process", "/data/proc", "/home"] {
            assert!(!path(data), "{data}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn l18_file_systems_of_the_kernel_are_known_by_an_open_file() {
        assert!(is_interface(&File::open("/proc/self").unwrap()));
        assert!(is_interface(&File::open("/proc/self/environ").unwrap()));
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_interface(&File::open(dir.path()).unwrap()));
    }
}

//! Who descends from whom, by the host's `/proc`.
//!
//! A kernel without `CONFIG_PROC_CHILDREN` has no lists of children; there every process is asked for its parent,
//! which is dearer and finds the same.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, openat};

use super::count::{field, number, read};

/// Deeper than processes can be nested within the numbers that there are.
const MOST_ANCESTORS: usize = 1 << 22;

/// Whether this kernel lists the children of a process by itself.
pub(crate) fn kernel_lists_children() -> bool {
    Path::new("/proc/thread-self/children").exists()
}

/// The children of process `pid`, as `proc` numbers them.
///
/// # Errors
/// When `proc` cannot be listed.
pub(super) fn children(proc: &OwnedFd, pid: u32) -> io::Result<Vec<u32>> {
    if kernel_lists_children() {
        return Ok(listed(proc, pid));
    }
    Ok(by_parent(proc)?.remove(&pid).unwrap_or_default())
}

/// `init` and all that descend from it.
pub(super) fn descendants(proc: &OwnedFd, init: u32) -> Vec<u32> {
    match kernel_lists_children() {
        true => all_below(init, |pid| listed(proc, pid)),
        false => {
            let mut parents = by_parent(proc).unwrap_or_default();
            all_below(init, |pid| parents.remove(&pid).unwrap_or_default())
        }
    }
}

fn all_below(init: u32, mut children: impl FnMut(u32) -> Vec<u32>) -> Vec<u32> {
    let mut found = vec![init];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        found.extend(children(pid));
    }
    found
}

/// As the kernel lists them, for each of its threads.
fn listed(proc: &OwnedFd, pid: u32) -> Vec<u32> {
    let tasks = format!("{pid}/task");
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(tasks) = openat(proc, &tasks, flags, Mode::empty()) else {
        return Vec::new();
    };
    let list = |task: u32| read(&tasks, &format!("{task}/children"));
    let lists: Vec<String> = numbers(&tasks)
        .unwrap_or_default()
        .into_iter()
        .map(list)
        .collect();
    let words = lists.iter().flat_map(|list| list.split_whitespace());
    words.filter_map(|pid| pid.parse().ok()).collect()
}

/// Every process that can be seen, by its parent.
fn by_parent(proc: &OwnedFd) -> io::Result<BTreeMap<u32, Vec<u32>>> {
    let mut found: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in numbers(proc)? {
        let parent = field(&read(proc, &format!("{pid}/status")), "PPid:");
        if let Ok(parent) = u32::try_from(parent) {
            found.entry(parent).or_default().push(pid);
        }
    }
    Ok(found)
}

/// The numbers among a folder's names.
fn numbers(folder: impl AsFd) -> io::Result<Vec<u32>> {
    let names = Dir::read_from(folder)?;
    Ok(names
        .flatten()
        .filter_map(|entry| number(entry.file_name()))
        .collect())
}

/// The first process of the world in which `inside` is: the nearest above it that is number one there
/// (proc_pid_status(5), `NSpid`).
///
/// # Errors
/// When it is in no world of ours, or gone.
pub(crate) fn init_of(inside: u32) -> io::Result<u32> {
    let mut pid = inside;
    for _ in 0..MOST_ANCESTORS {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .unwrap_or_default();
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        if numbers.len() > 1 && numbers.last() == Some(&"1") {
            return Ok(pid);
        }
        match u32::try_from(field(&status, "PPid:")) {
            Ok(parent @ 1..) => pid = parent,
            _ => break,
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;

    /// `CONFIG_PROC_CHILDREN` need not be there.
    #[test]
    fn asking_for_parents_finds_whom_the_kernel_lists() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 100 & wait"])
            .spawn()
            .unwrap();
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(CWD, "/proc", flags, Mode::empty()).unwrap();
        let mut grandchild = None;
        while grandchild.is_none() {
            let parents = by_parent(&proc).unwrap();
            grandchild = parents
                .get(&child.id())
                .and_then(|children| children.first().copied());
        }
        let mut parents = by_parent(&proc).unwrap();
        let own = std::process::id();
        let found = all_below(own, |pid| parents.remove(&pid).unwrap_or_default());
        let by_kernel = descendants(&proc, own);
        let both = [child.id(), grandchild.unwrap()];
        let _ = std::process::Command::new("kill")
            .arg(both[1].to_string())
            .status();
        child.kill().unwrap();
        child.wait().unwrap();
        for pid in both {
            assert!(found.contains(&pid), "{pid} in {found:?}");
            assert!(by_kernel.contains(&pid), "{pid} in {by_kernel:?}");
        }
    }

    #[test]
    fn who_is_in_no_world_has_no_init() {
        assert!(init_of(std::process::id()).is_err());
    }
}

//! Groups that a dead host left behind.

use std::fs::File;
use std::io::Read;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::place::{Base, put};

/// What the names of our groups begin with.
const PREFIX: &str = "bailiwick-";

/// Who made a group: a process of a pid namespace, told from a later one of the same number by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maker {
    namespace: u64,
    pid: u32,
    started: u64,
}

impl Maker {
    /// This process.
    pub(super) fn own() -> Self {
        let pid = std::process::id();
        Self {
            namespace: namespace(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// One of this namespace that is no more.
    #[cfg(test)]
    pub(super) fn dead() -> Self {
        Self {
            started: u64::MAX,
            ..Self::own()
        }
    }

    /// The name of its group `number`.
    pub(super) fn name(&self, number: u64) -> String {
        let Self {
            namespace,
            pid,
            started,
        } = self;
        format!("{PREFIX}{namespace}-{pid}-{started}-{number}")
    }

    fn of(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let mut next = || parts.next()?.parse::<u64>().ok();
        Some(Self {
            namespace: next()?,
            pid: next()?.try_into().ok()?,
            started: next()?,
        })
    }

    /// Of another namespace nothing is known, so it counts as alive.
    fn is_gone(&self) -> bool {
        self.namespace == namespace() && started(self.pid) != Some(self.started)
    }
}

fn namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino())
}

/// When the process started, in ticks since boot: field 22 of proc_pid_stat(5).
fn started(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Ends what is in the groups of hosts that are gone, and removes them.
pub(super) fn sweep(base: &Base) {
    let Ok(entries) = Dir::read_from(&base.dir) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name
            .to_str()
            .ok()
            .and_then(Maker::of)
            .is_some_and(|maker| maker.is_gone())
        {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            if let Ok(group) = openat(&base.dir, name, flags, Mode::empty())
                && put(&group, "cgroup.kill", b"1").is_err()
            {
                end_each(&group);
            }
            let _ = unlinkat(&base.dir, name, AtFlags::REMOVEDIR);
        }
    }
}

/// Version 1 has no `cgroup.kill`. A process is held before it is looked at again, so that no other can be meant.
fn end_each(group: &impl std::os::fd::AsFd) {
    let listed = || -> Vec<i32> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mut text = String::new();
        let read = openat(group, "cgroup.procs", flags, Mode::empty())
            .map(|file| File::from(file).read_to_string(&mut text));
        if !matches!(read, Ok(Ok(_))) {
            text.clear();
        }
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    for _ in 0..16 {
        let held: Vec<_> = listed()
            .into_iter()
            .filter_map(|pid| {
                let held = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
                Some((pid, held))
            })
            .collect();
        if held.is_empty() {
            return;
        }
        let still = listed();
        for (pid, process) in held {
            if still.contains(&pid) {
                let _ = pidfd_send_signal(process, Signal::KILL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_of_dead_hosts_of_this_namespace_are_gone() {
        let own = Maker::own();
        assert_eq!(Maker::of(&own.name(7)), Some(own));
        assert!(!own.is_gone());
        assert!(
            Maker {
                started: own.started + 1,
                ..own
            }
            .is_gone()
        );
        assert!(
            !Maker {
                namespace: 1,
                started: 1,
                ..own
            }
            .is_gone()
        );
        assert_eq!(Maker::of("bailiwick-x"), None);
        assert_eq!(Maker::of("other-1-2-3-4"), None);
    }
}

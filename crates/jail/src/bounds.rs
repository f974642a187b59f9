//! The limits of one world: its control group, what each process is bounded by besides, and who measures the rest.

use bailiwick_wall::{Denials, Limits, WallError};

use crate::cgroup::Group;
use crate::jailed::Jailed;
use crate::layout::{Layout, Node};

/// The control group of a world, where this user may make one.
pub(crate) fn group(limits: &Limits) -> Result<Option<Group>, WallError> {
    Group::take(limits).map_err(|error| WallError::Build {
        what: "making a control group".to_owned(),
        why: error.to_string(),
    })
}

/// Limits by setrlimit(2). What a group holds is left to it, because it tells when it had to.
pub(crate) fn of_each_process(limits: &Limits, group: Option<&Group>) -> Vec<(u32, u64)> {
    let mut list = vec![
        (libc::RLIMIT_NOFILE, limits.open_files.into()),
        (libc::RLIMIT_FSIZE, limits.file_bytes),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
        // Queued signals and timers are counted by user, in here and out there together.
        (libc::RLIMIT_SIGPENDING, 1024),
        (libc::RLIMIT_RTPRIO, 0),
    ];
    // Init is one more.
    let tasks = u64::from(limits.processes) + 1;
    let more = u64::from(group.is_some_and(Group::holds_processes));
    list.push((libc::RLIMIT_NPROC, tasks + more));
    if !group.is_some_and(Group::holds_memory) {
        // Twice, so that the meter sees one that goes over, and can say so, before this stops it without a word.
        list.push((libc::RLIMIT_DATA, limits.memory_bytes.saturating_mul(2)));
    }
    list.extend(
        limits
            .cpu_seconds
            .map(|seconds| (libc::RLIMIT_CPU, seconds)),
    );
    list
}

/// Begins to measure a program that has just been started; ends it where that cannot be.
pub(crate) fn measured(
    mut jailed: Jailed,
    group: Option<Group>,
    layout: &Layout,
    limits: &Limits,
    denials: &Denials,
) -> Result<Jailed, WallError> {
    let scratch = layout
        .nodes
        .iter()
        .filter(|(_, node)| matches!(node, Node::Scratch))
        .map(|(path, _)| path.clone());
    match jailed.measure(group, scratch.collect(), limits, denials) {
        Ok(()) => Ok(jailed),
        Err(error) => Err(WallError::Build {
            what: "starting to measure what it takes".to_owned(),
            why: error.to_string(),
        }),
    }
}

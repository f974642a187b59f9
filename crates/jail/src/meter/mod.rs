//! What the kernel does not bound for a whole world is measured and ended from the host: one thread for all
//! worlds, asleep most of the time.
//!
//! What is over its bound is seen within a tick, not at once. A tick is the shorter the nearer a world is to
//! its bound, and bounds of single processes hold meanwhile. Where a control group holds memory and processes,
//! the thread only looks whether the kernel had to act.

mod count;
mod descent;
mod thread;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_wall::{Denials, Limit, LimitHit, Limits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};

use crate::cgroup::{Group, Held};
use crate::sys::Usage;
use count::{Count, Wanted};
pub(crate) use count::{Processes, field, read};
pub(crate) use descent::{init_of, kernel_lists_children};

/// The shortest and the longest time between two looks.
const SHORTEST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_millis(250);
/// Bytes that a machine fills in a second, at most; so much that a quiet world may be over before it is seen.
const RATE: u64 = 4 << 30;
const SURPRISE: u64 = 512 << 20;
/// Looks without change until a world is quiet, and what counts as change.
const QUIET: u32 = 8;
const SAME: u64 = 1 << 20;

/// Looks without a process to be seen, a quarter of a second each at most, until that is no passing thing.
const MISSED: u32 = 40;
const BLIND: &str = "its processes cannot be seen in /proc, so what they take cannot be bounded";

/// How init tells of the two signals that limits send (setrlimit(2)).
const XCPU: i32 = 128 + libc::SIGXCPU;
const XFSZ: i32 = 128 + libc::SIGXFSZ;

/// A world that is measured.
#[derive(Debug)]
pub(crate) struct World {
    init: u32,
    pidfd: OwnedFd,
    scratch: Vec<PathBuf>,
    limits: Limits,
    denials: Denials,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Until the end.
    group: Option<Group>,
    processes: Option<Processes>,
    hit: Option<LimitHit>,
    told: Held,
    last: Count,
    /// Written by processes that nobody waited for.
    carried: u64,
    quiet: u32,
    /// Looks in a row at which nothing could be seen.
    missed: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A world that is about to be measured: its init and a descriptor of it, and where its file systems in memory are.
pub(crate) struct Started {
    pub(crate) init: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) scratch: Vec<PathBuf>,
}

impl World {
    /// Begins to measure.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn begin(
        started: Started,
        group: Option<Group>,
        limits: &Limits,
        denials: &Denials,
    ) -> std::io::Result<Arc<Self>> {
        let Started {
            init,
            pidfd,
            scratch,
        } = started;
        let world = Arc::new(Self {
            init,
            pidfd,
            scratch,
            limits: limits.clone(),
            denials: denials.clone(),
            state: Mutex::new(State {
                group,
                ..State::default()
            }),
        });
        thread::watch(&world)?;
        Ok(world)
    }

    /// Which limit ended it, if one did.
    pub(crate) fn hit(&self) -> Option<LimitHit> {
        lock(&self.state).hit.clone()
    }

    /// Whether the end has to be looked at before init is waited for.
    pub(crate) fn counts_at_the_end(&self) -> bool {
        self.limits.cpu_seconds.is_some() || self.limits.disk_bytes.is_some()
    }

    /// What only whoever waits is told: init, and all that it waited for.
    pub(crate) fn count_at_the_end(&self, usage: Usage) {
        let mut state = lock(&self.state);
        let Usage { time, written } = usage;
        state.last.time = state.last.time.max(time);
        let seen = state.last.written.saturating_add(state.carried);
        (state.last.written, state.carried) = (seen.max(written), 0);
        let over = self.over(&state, state.last.time);
        if let Some(limit) = over {
            self.meet(&mut state, limit);
        }
    }

    /// Draws the balance once everything inside has ended.
    pub(crate) fn end(&self, status: ExitStatus) {
        let mut state = lock(&self.state);
        state.processes = None;
        if let Some(group) = state.group.take() {
            let held = group.held();
            if held.memory > 0 {
                self.meet(&mut state, Limit::Memory);
            } else if self.over(&state, group.time().unwrap_or_default()) == Some(Limit::Cpu) {
                self.meet(&mut state, Limit::Cpu);
            }
            self.tell_refused(&mut state, held);
            if held.processes > 0 && !status.success() {
                self.meet(&mut state, Limit::Processes);
            }
            group.give_back();
        }
        match status.code() {
            Some(XFSZ) => self.meet(&mut state, Limit::File),
            Some(XCPU) if self.limits.cpu_seconds.is_some() => self.meet(&mut state, Limit::Cpu),
            _ => {}
        }
    }

    /// The first limit counts, the rest follows from it.
    fn meet(&self, state: &mut State, limit: Limit) {
        if state.hit.is_none() {
            let hit = LimitHit::new(limit, &self.limits);
            if limit != Limit::Processes {
                self.denials.add("limit", &hit.target(), &hit.to_string());
            }
            state.hit = Some(hit);
        }
    }

    /// Processes that were refused are told as they are, not only at the end.
    fn tell_refused(&self, state: &mut State, held: Held) {
        let hit = LimitHit::new(Limit::Processes, &self.limits);
        if held.processes > state.told.processes {
            self.denials.add("limit", &hit.target(), &hit.to_string());
        }
        state.told = held;
    }

    fn end_for(&self, state: &mut State, limit: Limit) {
        if limit == Limit::Processes {
            self.tell_refused(
                state,
                Held {
                    processes: u64::MAX,
                    ..state.told
                },
            );
        }
        self.meet(state, limit);
        // Whoever has ended meanwhile needs no signal.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Time and what was written.
    fn over(&self, state: &State, time: Duration) -> Option<Limit> {
        let cpu = self.limits.cpu_seconds.map(Duration::from_secs);
        if cpu.is_some_and(|most| time >= most) {
            return Some(Limit::Cpu);
        }
        let written = state.last.written.saturating_add(state.carried);
        let disk = self.limits.disk_bytes;
        disk.is_some_and(|most| written > most)
            .then_some(Limit::Disk)
    }

    /// Looks once; gives when to look again, or nothing where there is nothing more to see.
    fn tick(&self) -> Option<Duration> {
        let mut state = lock(&self.state);
        if state.hit.is_some() {
            return None;
        }
        let (mut wanted, mut time) = (self.wanted(None), None);
        if let Some(group) = &state.group {
            let held = group.held();
            time = group.time();
            wanted = self.wanted(Some(group));
            if held.memory > 0 {
                self.end_for(&mut state, Limit::Memory);
                return None;
            }
            self.tell_refused(&mut state, held);
        }
        if wanted.memory || wanted.tasks || wanted.time || wanted.written {
            self.measure(&mut state, wanted);
            if wanted.tasks && state.last.tasks > self.limits.processes.into() {
                let full = Held {
                    processes: 1,
                    ..state.told
                };
                self.tell_refused(&mut state, full);
            }
        }
        let time = time.unwrap_or(state.last.time);
        let over = self
            .over(&state, time)
            .or_else(|| self.full(&state, wanted));
        if let Some(limit) = over {
            self.end_for(&mut state, limit);
            return None;
        }
        Some(self.next(&state, wanted, time))
    }

    fn wanted(&self, group: Option<&Group>) -> Wanted {
        Wanted {
            memory: !group.is_some_and(Group::holds_memory),
            tasks: !group.is_some_and(Group::holds_processes),
            time: self.limits.cpu_seconds.is_some() && group.and_then(Group::time).is_none(),
            written: self.limits.disk_bytes.is_some(),
        }
    }

    fn measure(&self, state: &mut State, wanted: Wanted) {
        if state.processes.is_none() {
            state.processes = Processes::of(self.init, &self.scratch).ok();
        }
        let Some(processes) = &state.processes else {
            self.blind(state);
            return;
        };
        state.missed = 0;
        let now = processes.count(wanted);
        let before = &state.last;
        let all = before.written.saturating_add(state.carried);
        let is_there = |pid: u32| now.inherited.iter().any(|(other, _)| *other == pid);
        let gone = before.inherited.iter().filter(|(pid, _)| !is_there(*pid));
        if !processes.sees_init() {
            state.carried += gone.map(|(_, written)| written).sum::<u64>();
        }
        // A process that nobody waits for takes its account with it.
        state.carried += all.saturating_sub(now.written.saturating_add(state.carried));
        let same = now.memory.abs_diff(before.memory) < SAME && now.tasks == before.tasks;
        state.quiet = if same {
            state.quiet.saturating_add(1)
        } else {
            0
        };
        state.last = now;
    }

    /// What cannot be measured is not let run: at first it has no process yet, and at the end none any more.
    fn blind(&self, state: &mut State) {
        state.missed += 1;
        if state.missed < MISSED || state.hit.is_some() || self.has_ended() {
            return;
        }
        self.denials.add("limit", "measure", BLIND);
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    fn has_ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())) != Ok(0)
    }

    /// Memory and processes, where no group holds them.
    fn full(&self, state: &State, wanted: Wanted) -> Option<Limit> {
        let (count, limits) = (&state.last, &self.limits);
        // Init is one more.
        if wanted.tasks && count.tasks > u64::from(limits.processes) + 1 {
            return Some(Limit::Processes);
        }
        let most = limits.memory_bytes;
        if !wanted.memory || count.memory + count.buffers_most <= most {
            return None;
        }
        let exact = match &state.processes {
            Some(processes) if count.memory + count.buffers > most => processes.memory_once(),
            _ => count.memory,
        };
        let short = || exact + count.buffers_most > most && count::machine_is_short();
        (exact + count.buffers > most || short()).then_some(Limit::Memory)
    }

    fn next(&self, state: &State, wanted: Wanted, time: Duration) -> Duration {
        let mut next = LONGEST;
        if wanted.memory {
            let taken = state.last.memory + state.last.buffers;
            let surprise = if state.quiet >= QUIET { SURPRISE } else { 0 };
            let room = self.limits.memory_bytes.saturating_sub(taken) + surprise;
            next = next.min(Duration::from_millis(room / (RATE / 1000)));
        }
        if wanted.tasks && state.last.tasks > u64::from(self.limits.processes) / 2 {
            next = SHORTEST;
        }
        if let Some(most) = self.limits.cpu_seconds {
            next = next.min(Duration::from_secs(most).saturating_sub(time));
        }
        if wanted.written && state.quiet < QUIET {
            next = next.min(SHORTEST * 2);
        }
        next.clamp(SHORTEST, LONGEST)
    }
}

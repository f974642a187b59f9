//! A program that runs behind the wall.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use bailiwick_wall::{Denials, LimitHit, Limits};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};

use crate::cgroup::Group;
use crate::extras::Listeners;
use crate::meter::{Started, World};
use crate::supervise::Watcher;
use crate::sys;

/// A running program behind the wall. Dropping it kills everything inside.
///
/// When the host ends, however it ends, the program is killed too: its init watches a pipe that only the
/// host holds open. No thread of the host needs to stay alive for it.
#[derive(Debug)]
pub struct Jailed {
    /// The writing end of its stdin, where piped.
    pub stdin: Option<OwnedFd>,
    /// The reading end of its stdout, where piped.
    pub stdout: Option<OwnedFd>,
    /// The reading end of its stderr, where piped.
    pub stderr: Option<OwnedFd>,
    /// What listens inside, where there is a network: for the host to serve.
    pub listeners: Option<Listeners>,
    /// The host's side of its terminal, where it has one: what is written there is typed, what is read there
    /// was printed.
    pub terminal: Option<OwnedFd>,
    /// Where there is a terminal: readable whenever the program was stopped by it, a byte each time.
    pub stops: Option<OwnedFd>,
    pid: u32,
    pidfd: OwnedFd,
    _life: OwnedFd,
    ended: Option<ExitStatus>,
    world: Option<Arc<World>>,
    watcher: Option<Watcher>,
}

impl Jailed {
    pub(crate) fn new(pid: u32, pidfd: OwnedFd, life: OwnedFd, host: [Option<OwnedFd>; 3]) -> Self {
        let [stdin, stdout, stderr] = host;
        Self {
            stdin,
            stdout,
            stderr,
            listeners: None,
            terminal: None,
            stops: None,
            pid,
            pidfd,
            _life: life,
            ended: None,
            world: None,
            watcher: None,
        }
    }

    /// Has its end wait until what was refused is told.
    pub(crate) fn watch(&mut self, watcher: Option<Watcher>) {
        self.watcher = watcher;
    }

    /// Has it measured, and ended where it goes over its limits.
    pub(crate) fn measure(
        &mut self,
        group: Option<Group>,
        scratch: Vec<PathBuf>,
        limits: &Limits,
        denials: &Denials,
    ) -> io::Result<()> {
        let started = Started {
            init: self.pid,
            pidfd: self.pidfd.try_clone()?,
            scratch,
        };
        self.world = Some(World::begin(started, group, limits, denials)?);
        Ok(())
    }

    /// The limit that it met, if it met one: known once it has ended, and sooner where it is being ended for it.
    #[must_use]
    pub fn ended_by(&self) -> Option<LimitHit> {
        self.world.as_ref()?.hit()
    }

    /// Process id of its init, as the host sees it. Only for people: act through the descriptor.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A descriptor that polls readable once everything inside has ended (pidfd_open(2)).
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for the end and gives the program's exit status; 128 and the signal where one killed it.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            match self.reap(WaitIdOptions::EXITED) {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The exit status, if it has ended.
    ///
    /// # Errors
    /// When the kernel refuses to look.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.reap(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    fn reap(&mut self, options: WaitIdOptions) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_some() {
            return Ok(self.ended);
        }
        let wait = |options| waitid(WaitId::PidFd(self.pidfd.as_fd()), options);
        if let Some(world) = self
            .world
            .as_ref()
            .filter(|world| world.counts_at_the_end())
        {
            let hang = !options.contains(WaitIdOptions::NOHANG);
            let usage = sys::usage_at_the_end(self.pidfd.as_raw_fd(), hang);
            match usage.map_err(io::Error::from_raw_os_error)? {
                Some(usage) => world.count_at_the_end(usage),
                None => return Ok(None),
            }
        }
        self.ended = wait(options)?.map(|status| exit_status(&status));
        if let (Some(status), Some(world)) = (self.ended, &self.world) {
            world.end(status);
        }
        if self.ended.is_some()
            && let Some(watcher) = self.watcher.take()
        {
            watcher.has_told();
        }
        Ok(self.ended)
    }

    /// Kills everything inside at once.
    ///
    /// # Errors
    /// Never for a program that has already ended.
    pub fn kill(&self) -> io::Result<()> {
        self.send(Signal::KILL)
    }

    /// Asks the program to end: its init passes `SIGTERM` on.
    ///
    /// # Errors
    /// Never for a program that has already ended.
    pub fn terminate(&self) -> io::Result<()> {
        self.send(Signal::TERM)
    }

    /// Sends the program a signal, through its init. `INT`, `QUIT`, `HUP` and `CONT` go to its whole process
    /// group, as a terminal would send them, and `TSTP` stops that group.
    ///
    /// # Errors
    /// Never for a program that has already ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.send(signal)
    }

    fn send(&self, signal: Signal) -> io::Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) => signal & 0x7f,
        (None, None) => 1 << 8,
    };
    ExitStatus::from_raw(raw)
}

impl Drop for Jailed {
    fn drop(&mut self) {
        if self.ended.is_none() && self.kill().is_ok() {
            let _ = self.wait();
        }
    }
}

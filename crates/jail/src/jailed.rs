//! A program that runs behind the wall.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};

use crate::extras::Listeners;

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
    pid: u32,
    pidfd: OwnedFd,
    _life: OwnedFd,
    ended: Option<ExitStatus>,
}

impl Jailed {
    pub(crate) fn new(pid: u32, pidfd: OwnedFd, life: OwnedFd, host: Option<[OwnedFd; 3]>) -> Self {
        let (stdin, stdout, stderr) = match host {
            Some([stdin, stdout, stderr]) => (Some(stdin), Some(stdout), Some(stderr)),
            None => (None, None, None),
        };
        Self {
            stdin,
            stdout,
            stderr,
            listeners: None,
            pid,
            pidfd,
            _life: life,
            ended: None,
        }
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
        if self.ended.is_none() {
            self.ended = waitid(WaitId::PidFd(self.pidfd.as_fd()), options)?
                .map(|status| exit_status(&status));
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

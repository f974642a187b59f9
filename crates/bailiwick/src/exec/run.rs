//! One program from its start to its end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::{AuditError, Event};
use bailiwick_gate::Host;
use bailiwick_gate::admit::Admitted;
use bailiwick_jail::{Extras, Jailed, Native, Stdio, Terminal};
use bailiwick_wall::{Denials, WallError};
use rustix::process::Signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::walls::World;

use super::bounds::Bounds;
use super::relay::{Budget, copy};
use super::seen::Seen;
use super::signals::caught;
use super::streams::Handed;
use super::terminal::{self, Outside};

/// How often refused operations are asked for.
const GLANCE: Duration = Duration::from_millis(300);
/// How long a program that is asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long what was printed last may take to reach whoever reads it.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// No end in sight.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How it ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) seen: Seen,
    /// Bounds at which it was stopped, a sentence each.
    pub(super) reached: Vec<String>,
    /// Whether we ended it because of one.
    pub(super) stopped: bool,
}

/// Why there is no end to tell of.
pub(super) enum Failed {
    /// It did not start.
    Wall(WallError),
    /// Nothing goes on unlogged.
    Audit(AuditError),
    /// The system.
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<AuditError> for Failed {
    fn from(error: AuditError) -> Self {
        Self::Audit(error)
    }
}

/// What is started, and who keeps the record of it.
pub(super) struct Run<'a> {
    pub(super) host: &'a Host,
    pub(super) admitted: &'a Admitted,
    pub(super) native: &'a Native,
    pub(super) bounds: &'a Bounds,
}

impl Run<'_> {
    pub(super) async fn followed(self, mut world: World) -> Result<Ended, Failed> {
        let denials = world.denials();
        world.extras.terminals = true;
        let outside = match terminal::is_at_hand() {
            true => Some(Outside::new()?),
            false => None,
        };
        let mut signals = caught()?;
        let handed = Handed::new(self.bounds.output.is_some(), outside.is_some())?;
        let mut jailed = self.spawn(&world, outside.is_some(), handed.inside)?;
        // Its network is served for as long as this is kept.
        let egress = world.serve(&mut jailed)?;
        let (budget, mut spent) = Budget::new(self.bounds.output);
        let streams = carry(&jailed, outside.as_ref(), handed.printed, &budget)?;
        let mut course = Course {
            run: &self,
            jailed,
            outside,
            denials,
            seen: Seen::default(),
            reached: Vec::new(),
            stopped: false,
        };
        let outcome = course.follow(&mut signals, &mut spent, streams).await;
        if let Some(outside) = &course.outside {
            outside.end();
        }
        handed.left.give_back();
        let status = outcome?;
        if let Some(egress) = &egress {
            egress.drain(LAST_WORDS).await;
        }
        course.look().await?;
        Ok(Ended {
            status,
            seen: course.seen,
            reached: course.reached,
            stopped: course.stopped,
        })
    }

    fn spawn(
        &self,
        world: &World,
        has_terminal: bool,
        streams: [OwnedFd; 3],
    ) -> Result<Jailed, Failed> {
        let stdio = match has_terminal {
            true => Stdio::Terminal(Terminal::like(io::stdin().as_fd())?),
            false => Stdio::Inherit,
        };
        // Once it runs, the ends of the pipes are the program's alone.
        let extras = Extras {
            streams: Some(Arc::new(streams)),
            ..world.extras.clone()
        };
        let bounds = &self.bounds.wall;
        let (program, grant) = (&world.program, &world.grant);
        let jailed = self
            .native
            .spawn_with(program, grant, bounds, stdio, &extras);
        jailed.map_err(Failed::Wall)
    }
}

/// What is carried between the program and the person.
struct Streams {
    /// Each answers once all is carried.
    printed: Vec<oneshot::Receiver<()>>,
    /// The person's terminal is gone.
    gone: Option<mpsc::Receiver<()>>,
}

fn carry(
    jailed: &Jailed,
    outside: Option<&Outside>,
    printed: Vec<(OwnedFd, File)>,
    budget: &Budget,
) -> io::Result<Streams> {
    let mut streams = Streams {
        printed: Vec::new(),
        gone: None,
    };
    if let (Some(inside), Some(outside)) = (&jailed.terminal, outside) {
        streams.gone = Some(terminal::carry_keys(outside.clone(), inside)?);
        let inside = inside.try_clone()?;
        streams
            .printed
            .push(copy(inside, io::stdout(), budget.clone())?);
    }
    for (from, to) in printed {
        streams.printed.push(copy(from, to, budget.clone())?);
    }
    Ok(streams)
}

struct Course<'a> {
    run: &'a Run<'a>,
    jailed: Jailed,
    outside: Option<Outside>,
    denials: Denials,
    seen: Seen,
    reached: Vec<String>,
    stopped: bool,
}

impl Course<'_> {
    async fn follow(
        &mut self,
        signals: &mut mpsc::Receiver<Signal>,
        spent: &mut mpsc::Receiver<()>,
        mut streams: Streams,
    ) -> Result<ExitStatus, Failed> {
        let ended = watched(self.jailed.pidfd().try_clone_to_owned()?)?;
        let stops = self.jailed.stops.take().map(watched).transpose()?;
        let mut glance = interval(GLANCE);
        glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let start = Instant::now();
        let limit = self.run.bounds.wall.wall_clock;
        let mut deadline = start + limit.unwrap_or(NEVER);
        loop {
            tokio::select! {
                ready = ended.readable() => {
                    ready?.retain_ready();
                    let status = self.jailed.wait()?;
                    if let Some(hit) = self.jailed.ended_by() {
                        self.stopped = true;
                        self.reached.push(hit.to_string());
                    }
                    for printed in streams.printed {
                        let _ = timeout(LAST_WORDS, printed).await;
                    }
                    if spent.try_recv().is_ok() {
                        self.too_much();
                    }
                    return Ok(status);
                }
                Some(signal) = signals.recv() => self.pass_on(signal)?,
                () = stop_of(stops.as_ref()) => self.pause()?,
                () = word_of(streams.gone.as_mut()) => {
                    streams.gone = None;
                    self.jailed.signal(Signal::HUP)?;
                    deadline = Instant::now() + GRACE;
                }
                Some(()) = spent.recv() => {
                    self.too_much();
                    self.jailed.kill()?;
                }
                () = sleep_until(deadline) => {
                    deadline = Instant::now() + GRACE;
                    self.out_of_time(limit)?;
                }
                _ = glance.tick() => self.look().await?,
            }
        }
    }

    /// Asks it to end, then ends it.
    fn out_of_time(&mut self, limit: Option<Duration>) -> io::Result<()> {
        match limit {
            Some(time) if !self.stopped => {
                self.reach(format!("it ran longer than the {time:?} of `--limit time`"));
                // A stopped program hears nothing.
                self.jailed.signal(Signal::CONT)?;
                self.jailed.terminate()
            }
            _ => self.jailed.kill(),
        }
    }

    fn too_much(&mut self) {
        let bytes = self.run.bounds.output.unwrap_or_default();
        self.reach(format!(
            "it printed more than the {bytes} bytes of `--limit output`"
        ));
    }

    fn reach(&mut self, what: String) {
        self.stopped = true;
        self.reached.push(what);
    }

    fn pass_on(&mut self, signal: Signal) -> io::Result<()> {
        match (signal, &self.outside, &self.jailed.terminal) {
            (Signal::WINCH, Some(_), Some(inside)) => terminal::resize(inside),
            (Signal::WINCH, ..) => {}
            (Signal::CONT, Some(outside), Some(inside)) => {
                outside.resume(inside);
                self.jailed.signal(signal)?;
            }
            (Signal::TSTP, None, _) => {
                self.jailed.signal(signal)?;
                // As it would have been without us; what woke us then wakes the program.
                rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?;
            }
            _ => self.jailed.signal(signal)?,
        }
        Ok(())
    }

    /// The program was stopped from its terminal, so the person wants to do something else.
    fn pause(&mut self) -> io::Result<()> {
        let (Some(outside), Some(inside)) = (&self.outside, &self.jailed.terminal) else {
            return Ok(());
        };
        if !outside.pause() {
            outside.resume(inside);
            self.jailed.signal(Signal::CONT)?;
        }
        Ok(())
    }

    /// Records what was refused since the last time.
    async fn look(&mut self) -> Result<(), AuditError> {
        let denied = self.denials.take();
        if denied.is_empty() {
            return Ok(());
        }
        self.seen.add(&denied);
        let (recorder, subject) = (&self.run.host.recorder, &self.run.admitted.subject);
        recorder.denied(subject, denied).await
    }
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe, for descriptors that somebody else may close; these are owned"
)]
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Returns when the program was stopped; never without a terminal.
async fn stop_of(stops: Option<&AsyncFd<OwnedFd>>) {
    let Some(stops) = stops else {
        return std::future::pending().await;
    };
    let taken = stops.async_io(Interest::READABLE, |stops| {
        Ok(rustix::net::recv(
            stops,
            &mut [0u8; 1][..],
            rustix::net::RecvFlags::DONTWAIT,
        )?)
    });
    match taken.await {
        Ok((_, 1..)) => {}
        // The last holder is gone: the end follows.
        _ => std::future::pending().await,
    }
}

async fn word_of(told: Option<&mut mpsc::Receiver<()>>) {
    match told {
        Some(told) => drop(told.recv().await),
        None => std::future::pending().await,
    }
}

/// Signals by which people and shells end programs; by any other one it is a crash.
const USUAL: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::PIPE, Signal::TERM];

/// The end, as the log keeps it.
pub(super) fn event(ended: &Ended) -> Event {
    let status = ended.status.to_string();
    let reached = ended.reached.iter().map(|reached| format!("; {reached}"));
    let status = status + &reached.collect::<String>();
    match killed_by(ended.status) {
        Some(signal) if !ended.stopped && !USUAL.iter().any(|usual| usual.as_raw() == signal) => {
            Event::PluginCrash {
                reason: format!("signal {signal} ended it ({status})"),
            }
        }
        _ => Event::PluginEnd { status },
    }
}

/// The signal that ended it; inside, our init tells it as shells do.
fn killed_by(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    let told = || status.code().map(|code| code - 128);
    let signal = status.signal().or_else(told);
    signal.filter(|signal| (1..=64).contains(signal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn a_signal_is_a_crash_unless_people_end_programs_by_it_or_we_did() {
        let of = |status: i32, stopped| {
            let ended = Ended {
                status: ExitStatus::from_raw(status << 8),
                seen: Seen::default(),
                reached: Vec::new(),
                stopped,
            };
            event(&ended).kind()
        };
        for (status, stopped, kind) in [
            (0, false, "plugin_end"),
            (1, false, "plugin_end"),
            (139, false, "plugin_crash"),
            (137, false, "plugin_crash"),
            (137, true, "plugin_end"),
            (130, false, "plugin_end"),
            (143, false, "plugin_end"),
            (255, false, "plugin_end"),
        ] {
            assert_eq!(of(status, stopped), kind, "{status}");
        }
    }
}

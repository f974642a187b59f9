//! Programs whose arguments are bound: inside stands a stub, which asks; the host runs the real one.
//!
//! The kernel can hold which file is executed, not with which arguments: whatever is read of another
//! process's memory may change before the kernel reads it. So nothing is let go on here. The arguments are
//! copied once, decided on, and the copy is what runs, in a wall of its own.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bailiwick_wall::Denials;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, readlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::inherit;
use crate::jailed::Jailed;
use crate::sys::notify::{self, Notification, read_memory};

/// The call by which a stub asks; no kernel has it, and the filter hands it to us. See `init/init.rs`.
pub(crate) const ASK: u32 = 5000;

/// What one world may have running at once.
const MAX_RUNS: usize = 32;
/// Most arguments and their longest sum, in bytes: smaller than the kernel's own bounds.
const MAX_ARGS: usize = 4096;
const MAX_BYTES: usize = 128 << 10;

/// What a program inside asks to be run for it. Text from inside is data.
#[derive(Debug)]
pub struct Asked {
    /// The program whose stub asks: the kernel's word, not the asker's.
    pub program: PathBuf,
    /// Its arguments, without `argv[0]`.
    pub args: Vec<OsString>,
    /// The asker's working directory.
    pub cwd: PathBuf,
    /// The asker's standard streams.
    pub streams: [OwnedFd; 3],
}

/// A program that was started for one inside, with whatever must live as long.
pub struct Running {
    /// The program, in a wall of its own.
    pub jailed: Jailed,
    /// Dropped after its end.
    pub keep: Box<dyn Any + Send>,
}

/// Decides on programs with arguments, and starts them.
pub trait Programs: fmt::Debug + Send + Sync {
    /// Starts exactly what is asked, or says why not. May block.
    ///
    /// # Errors
    /// A sentence for the operator; the asker learns only that it was refused.
    fn start(&self, asked: Asked) -> Result<Running, String>;
}

/// Answers stubs.
#[derive(Debug)]
pub(crate) struct Runner {
    programs: Arc<dyn Programs>,
    /// Where stubs stand.
    stubs: Vec<PathBuf>,
    runs: Arc<AtomicUsize>,
}

impl Runner {
    pub(crate) fn new(programs: Arc<dyn Programs>, stubs: Vec<PathBuf>) -> Self {
        Self {
            programs,
            stubs,
            runs: Arc::default(),
        }
    }

    /// Answers one stub; the answer may come later, from a thread of its own.
    pub(crate) fn answer(&self, listener: &Arc<OwnedFd>, call: &Notification, denials: &Denials) {
        let refuse = |errno: Errno| {
            let _ = notify::fail(listener.as_fd(), call.id, errno.raw_os_error());
        };
        let (asked, asker) = match self.read(call) {
            Ok(asked) => asked,
            Err(errno) => return refuse(errno),
        };
        // All that was read was the asker's only if it still waits.
        if !notify::still_waits(listener.as_fd(), call.id) {
            return;
        }
        if self.runs.fetch_add(1, Ordering::AcqRel) >= MAX_RUNS {
            self.runs.fetch_sub(1, Ordering::AcqRel);
            denials.add(
                "execute_code",
                &shown(&asked),
                "too many programs run at once",
            );
            return refuse(Errno::AGAIN);
        }
        let run = Run {
            programs: Arc::clone(&self.programs),
            listener: Arc::clone(listener),
            denials: denials.clone(),
            id: call.id,
            asker,
            runs: Counted(Arc::clone(&self.runs)),
        };
        let builder = thread::Builder::new().name("wall-run".to_owned());
        if builder.spawn(move || run.finish(asked)).is_err() {
            refuse(Errno::AGAIN);
        }
    }

    fn read(&self, call: &Notification) -> Result<(Asked, OwnedFd), Errno> {
        let link = |name: &str| {
            let link = readlinkat(CWD, format!("/proc/{}/{name}", call.pid), Vec::new())?;
            Ok::<_, Errno>(PathBuf::from(OsString::from_vec(link.into_bytes())))
        };
        let program = without_mark(link("exe")?);
        if !self.stubs.contains(&program) {
            return Err(Errno::PERM);
        }
        let [arguments, ..] = call.args;
        let asker = Pid::from_raw(call.pid.cast_signed()).ok_or(Errno::SRCH)?;
        let asker = pidfd_open(asker, PidfdFlags::empty())?;
        let stream = |number| {
            let stream = pidfd_getfd(&asker, number, PidfdGetfdFlags::empty())?;
            inherit::check(stream.as_fd(), true).map_err(|_| Errno::BADF)?;
            Ok::<_, Errno>(stream)
        };
        let asked = Asked {
            program,
            args: strings(call.pid, arguments)?,
            cwd: link("cwd")?,
            streams: [stream(0)?, stream(1)?, stream(2)?],
        };
        Ok((asked, asker))
    }
}

/// A stub over a file that a mount shows has no name but its place, which the kernel marks.
fn without_mark(path: PathBuf) -> PathBuf {
    let text = path.into_os_string().into_vec();
    let bare = text.strip_suffix(b" (deleted)").map(<[u8]>::to_vec);
    PathBuf::from(OsString::from_vec(bare.unwrap_or(text)))
}

/// The strings of a null-terminated array, without the first.
fn strings(thread: u32, array: u64) -> Result<Vec<OsString>, Errno> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for place in 1..=MAX_ARGS as u64 {
        let mut pointer = [0u8; 8];
        let at = array.checked_add(8 * place).ok_or(Errno::FAULT)?;
        if read_memory(thread, at, &mut pointer) != Ok(8) {
            return Err(Errno::FAULT);
        }
        let pointer = u64::from_ne_bytes(pointer);
        if pointer == 0 {
            return Ok(found);
        }
        let text =
            super::broker::read_string(thread, pointer, MAX_BYTES - bytes).ok_or(Errno::TOOBIG)?;
        bytes += text.len() + 1;
        if bytes >= MAX_BYTES {
            return Err(Errno::TOOBIG);
        }
        found.push(OsString::from_vec(text));
    }
    Err(Errno::TOOBIG)
}

/// The whole command, for the log.
fn shown(asked: &Asked) -> String {
    let mut text = asked.program.display().to_string();
    for argument in &asked.args {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// One place among those that may run at once.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Run {
    programs: Arc<dyn Programs>,
    listener: Arc<OwnedFd>,
    denials: Denials,
    id: u64,
    asker: OwnedFd,
    runs: Counted,
}

impl Run {
    fn finish(self, asked: Asked) {
        let text = shown(&asked);
        let answer = match self.programs.start(asked) {
            Err(why) => {
                self.denials.add("execute_code", &text, &why);
                notify::fail(self.listener.as_fd(), self.id, Errno::PERM.raw_os_error())
            }
            Ok(mut running) => {
                self.denials.used("execute_code", &text);
                let status = self.wait(&mut running.jailed);
                notify::give(self.listener.as_fd(), self.id, status.into())
            }
        };
        // An answer that nobody waits for any more is no matter.
        let _ = answer;
        drop(self.runs);
    }

    /// Waits for the program; ends it with its asker. Gives its exit status as shells have it.
    fn wait(&self, jailed: &mut Jailed) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        loop {
            let mut polled = [
                PollFd::from_borrowed_fd(jailed.pidfd(), PollFlags::IN),
                PollFd::new(&self.asker, PollFlags::IN),
            ];
            if matches!(poll(&mut polled, None), Err(Errno::INTR)) {
                continue;
            }
            let [_, asker] = &polled;
            let abandoned = !asker.revents().is_empty();
            if abandoned {
                let _ = jailed.kill();
            }
            return match jailed.wait() {
                Ok(status) => status
                    .code()
                    .or(status.signal().map(|signal| 128 + signal))
                    .unwrap_or(126),
                Err(_) => 126,
            };
        }
    }
}

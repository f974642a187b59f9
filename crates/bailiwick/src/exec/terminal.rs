//! The person's terminal around a program that has one of its own.
//!
//! The program never holds a descriptor of this terminal: bytes are carried over. So nothing it does can change
//! its modes, type into it, or reach who else uses it; what it prints is shown as it is.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
use rustix::termios::{
    OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use tokio::sync::mpsc;

/// How often a program in the background looks whether it is in the foreground by now.
const GLANCE: Duration = Duration::from_millis(300);

/// Whether the person sits at both ends.
pub(super) fn is_at_hand() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The longest name of a kind of terminal, longer than any there is.
const LONGEST_NAME: usize = 64;

/// What kind of terminal the person's is (`TERM`), where the program gets one like it. Only a plain name is passed on.
pub(crate) fn name() -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte);
    let name = std::env::var("TERM").ok()?;
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(plain);
    (fits && !name.starts_with('.') && is_at_hand()).then_some(name)
}

/// The person's terminal. Its modes are put back when this goes away, however that comes.
#[derive(Debug, Clone)]
pub(super) struct Outside(Arc<Mutex<Modes>>);

#[derive(Debug)]
struct Modes {
    own: Termios,
    raw: bool,
}

impl Outside {
    pub(super) fn new() -> io::Result<Self> {
        let own = tcgetattr(io::stdin())?;
        Ok(Self(Arc::new(Mutex::new(Modes { own, raw: false }))))
    }

    /// From here on every key is the program's, also those that make signals; only in the foreground, for in the
    /// background the terminal is somebody else's. Answers whether it is so.
    fn enter(&self) -> bool {
        let mut modes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tcgetpgrp(io::stdin()) != Ok(getpgrp()) {
            return false;
        }
        if !modes.raw {
            let mut raw = modes.own.clone();
            raw.make_raw();
            modes.raw = tcsetattr(io::stdin(), OptionalActions::Drain, &raw).is_ok();
        }
        true
    }

    fn leave(&self, how: OptionalActions) {
        let mut modes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut modes.raw) {
            let _ = tcsetattr(io::stdin(), how, &modes.own);
        }
    }

    /// Lets the person do something else until they bring us back. Answers whether there is anybody who could.
    pub(super) fn pause(&self) -> bool {
        self.leave(OptionalActions::Drain);
        // Without job control around us nobody would ever wake us.
        let has_shell = getsid(None).is_ok_and(|session| session != getpgrp());
        has_shell && kill_current_process_group(Signal::STOP).is_ok()
    }

    /// Back in the foreground, perhaps: whoever had the terminal meanwhile may have changed it.
    pub(super) fn resume(&self, inside: &OwnedFd) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).raw = false;
        self.enter();
        resize(inside);
    }

    /// The person's modes again. What was typed and not read is thrown away, because a program can make a terminal
    /// type: an answer to its last request would become a command of the person's shell.
    pub(super) fn end(&self) {
        self.leave(OptionalActions::Flush);
    }
}

/// Gives the terminal inside the size of the one outside.
pub(super) fn resize(inside: &OwnedFd) {
    if let Ok(size) = tcgetwinsize(io::stdin()) {
        let _ = tcsetwinsize(inside, size);
    }
}

/// Carries what is typed to the terminal inside, on a thread of its own that ends with the process. The receiver
/// gets a word once the person's terminal is gone.
pub(super) fn carry_keys(outside: Outside, inside: &OwnedFd) -> io::Result<mpsc::Receiver<()>> {
    let (gone, told) = mpsc::channel(1);
    let mut inside = File::from(inside.as_fd().try_clone_to_owned()?);
    let work = move || {
        let mut chunk = [0; 4096];
        while let Some(count) = next_keys(&outside, &mut chunk) {
            if inside
                .write_all(chunk.get(..count).unwrap_or_default())
                .is_err()
            {
                return;
            }
        }
        let _ = gone.blocking_send(());
    };
    std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(work)?;
    Ok(told)
}

/// Waits for keys; none once the terminal is gone.
fn next_keys(outside: &Outside, chunk: &mut [u8]) -> Option<usize> {
    let stdin = io::stdin();
    // Not through the standard library's buffer, in which keys would wait unseen.
    let mut keys = File::from(stdin.as_fd().try_clone_to_owned().ok()?);
    loop {
        if !outside.enter() {
            // Reading in the background would stop us, although the program may want nothing.
            std::thread::sleep(GLANCE);
            continue;
        }
        let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
        let glance = Timespec::try_from(GLANCE).ok();
        match poll(&mut polled, glance.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return None,
        }
        match keys.read(chunk) {
            Ok(0) => return None,
            Ok(count) => return Some(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

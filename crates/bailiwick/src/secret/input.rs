//! Reads a value: from a pipe, or from the terminal without showing it.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context as _, bail, ensure};
use bailiwick_wall::{MAX_SECRET, SecretValue};
use rustix::io::{Errno, read};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The value of `name`, from standard input. One end of line at its end is not part of it.
pub(super) fn value(name: &str) -> anyhow::Result<SecretValue> {
    let stdin = std::io::stdin();
    let stdin = stdin.as_fd();
    let mut bytes = if isatty(stdin) {
        ask(stdin, name)?
    } else {
        all(stdin)?
    };
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    SecretValue::new(std::mem::take(&mut bytes))
        .map_err(|why| anyhow::anyhow!("{why}; nothing was kept"))
}

/// Everything up to the end. Read without the standard library's buffer, which nobody wipes.
fn all(stdin: BorrowedFd<'_>) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // Two more, for an end of line.
    let mut bytes = Zeroizing::new(vec![0; MAX_SECRET + 2]);
    let mut length = 0;
    loop {
        let room = bytes.get_mut(length..).unwrap_or_default();
        ensure!(
            !room.is_empty(),
            "a secret has 1 to {MAX_SECRET} bytes; nothing was kept"
        );
        match read(stdin, room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot read standard input"),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// A terminal that shows nothing, until dropped.
struct Silent<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(terminal: BorrowedFd<'a>) -> anyhow::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        // Without signals from keys: whoever presses Ctrl-C gets their terminal back first.
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing put back.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// One line, typed without being shown.
fn ask(terminal: BorrowedFd<'_>, name: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    const END: u8 = 0x04;
    const BREAK: u8 = 0x03;
    const ERASE: [u8; 2] = [0x7f, 0x08];
    const KILL: u8 = 0x15;
    let silent = Silent::new(terminal)?;
    eprint!("value of `{name}` (not shown): ");
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_SECRET));
    let mut key = Zeroizing::new([0_u8; 1]);
    let typed = loop {
        match read(terminal, key.as_mut_slice()) {
            Err(Errno::INTR) => continue,
            Err(error) => break Err(error).context("cannot read the terminal"),
            Ok(0) => break Ok(()),
            Ok(_) => {}
        }
        match key.first().copied().unwrap_or(END) {
            b'\r' | b'\n' | END => break Ok(()),
            BREAK => break Err(anyhow::anyhow!("interrupted; nothing was kept")),
            KILL => line.clear(),
            erase if ERASE.contains(&erase) => drop(line.pop()),
            _ if line.len() == MAX_SECRET => {
                break Err(anyhow::anyhow!(
                    "a secret has 1 to {MAX_SECRET} bytes; nothing was kept"
                ));
            }
            byte => line.push(byte),
        }
    };
    drop(silent);
    eprintln!();
    typed?;
    if line.is_empty() {
        bail!("nothing was typed, and nothing was kept");
    }
    Ok(line)
}

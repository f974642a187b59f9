//! The victim's side: starts it, learns what it serves, and asks it what happened.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::Outcome;
use crate::world::{World, as_user};

/// A victim that says nothing for so long is dead.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Victim {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// The command that removes what outlives it.
    forget: (PathBuf, Vec<String>),
    /// Everything that it said.
    pub(crate) said: Vec<String>,
}

impl Victim {
    /// Starts it in `world`, and adds to the world's facts what it serves.
    pub(crate) fn start(world: &mut World<'_>) -> Outcome<Self> {
        let mut words = as_user(world.user);
        words.push(world.tools.path("victim").display().to_string());
        words.extend([
            world.mark.clone(),
            world.secret.clone(),
            world.root().display().to_string(),
        ]);
        let (program, args) = words.split_first().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(args)
            .env("ESCAPE_CANARY", &world.secret)
            .current_dir(world.path("secret"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut victim = Self {
            stdin: child.stdin.take(),
            child,
            lines,
            forget: (world.tools.path("helper"), Vec::new()),
            said: Vec::new(),
        };
        for line in victim.until("ready")? {
            if let Some((name, value)) = line.split_once(' ') {
                world.facts.insert(name.to_owned(), value.to_owned());
            }
        }
        let left = ["shm", "msq", "sem", "posix"].map(|name| world.facts.get(name).cloned());
        let words = left.into_iter().flatten();
        victim.forget.1 = std::iter::once("forget".to_owned()).chain(words).collect();
        victim.said.clear();
        Ok(victim)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn until(&mut self, end: &str) -> Outcome<Vec<String>> {
        let mut got = Vec::new();
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .map_err(|error| format!("the victim says no more ({error}) after {got:?}"))?;
            if line == end {
                return Ok(got);
            }
            self.said.push(line.clone());
            got.push(line);
        }
    }

    /// Has it look at itself. A victim that is gone says so.
    pub(crate) fn check(&mut self) {
        let asked = self
            .stdin
            .as_mut()
            .is_some_and(|stdin| stdin.write_all(b"check\n").is_ok());
        if !asked || self.until("checked").is_err() {
            self.said.push("the victim is gone".to_owned());
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.stdin.take());
        for _ in 0..100 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new(&self.forget.0).args(&self.forget.1).output();
    }
}

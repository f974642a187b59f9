//! Finds out what became of a watched call, after the kernel was let decide on it.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bailiwick_wall::Denials;

use super::attempt::{Attempt, Tried, attempt};
use super::inside::{Found, Inside, interpreter};
use super::used::used;
use super::view::{Refusal, View};
use crate::sys::Errno;
use crate::sys::notify::{self, Notification};

/// How many answers are kept, so that a program which tries the same again and again is not looked into each time.
const MAX_KEPT: usize = 256;
/// Longer paths are found out anew each time.
const MAX_KEPT_PATH: usize = 256;
/// How long an answer is good for: what is there may change.
const GOOD: Duration = Duration::from_secs(1);

/// Watches one world.
#[derive(Debug)]
pub(super) struct Observer {
    view: View,
    denials: Denials,
    inside: Option<Inside>,
    kept: HashMap<(PathBuf, Tried), (Instant, Option<Refusal>)>,
}

impl Observer {
    pub(super) fn new(view: View, denials: Denials) -> Self {
        Self {
            view,
            denials,
            inside: None,
            kept: HashMap::new(),
        }
    }

    /// Looks at what is tried, lets the call go on, and then finds out what becomes of it.
    pub(super) fn watch(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
    ) -> Result<(), Errno> {
        let attempt = attempt(call);
        let is_new = self.inside.is_none();
        if is_new {
            self.inside = Inside::of(call.pid).ok();
        }
        // What hangs on the process itself must be found out before that may end.
        let (before, after) = match attempt {
            Some(attempt) if attempt.is_its_own() => (self.refusals(attempt), None),
            other => (Vec::new(), other),
        };
        let outcome = notify::let_go(listener, call.id);
        // It still waited, so its number was its own: memory, folders and root were those of this world.
        match (outcome.is_ok(), is_new) {
            (true, _) => {
                let after = after.map(|attempt| self.refusals(attempt));
                for (operation, target, why) in
                    before.into_iter().chain(after.into_iter().flatten())
                {
                    self.denials.add(operation, &target.to_string_lossy(), why);
                }
            }
            (false, true) => self.inside = None,
            (false, false) => {}
        }
        outcome
    }

    /// Tells what a call is about to use, where anybody wants to know, before it goes on by whatever way.
    pub(super) fn note(&mut self, listener: BorrowedFd<'_>, call: &Notification) {
        if !self.denials.wants_uses() {
            return;
        }
        let attempt = attempt(call);
        if self.inside.is_none() {
            // Else its number may be another's by now.
            self.inside = Inside::of(call.pid)
                .ok()
                .filter(|_| notify::still_waits(listener, call.id));
        }
        let (Some(inside), Some(Attempt::Paths { paths, own })) = (&self.inside, attempt) else {
            return;
        };
        for (path, tried) in paths {
            let found = inside.find(&path, tried.follows(), own);
            if self.judged(inside, &found, tried, own).is_some() {
                continue;
            }
            for (operation, target) in used(inside, tried, &found, own) {
                self.denials.used(operation, &target);
            }
        }
    }

    fn refusals(&mut self, attempt: Attempt) -> Vec<Refusal> {
        match attempt {
            Attempt::Reach(address) => {
                let why = self.view.unreachable(&address);
                why.map(|why| ("network_access", address.to_string().into(), why))
                    .into_iter()
                    .collect()
            }
            Attempt::Paths { paths, own } => paths
                .into_iter()
                .filter_map(|(path, tried)| self.refusal(path, tried, own))
                .collect(),
        }
    }

    fn refusal(&mut self, path: PathBuf, tried: Tried, own: Option<u32>) -> Option<Refusal> {
        if own.is_some() || path.as_os_str().len() > MAX_KEPT_PATH {
            return self.found_out(&path, tried, own);
        }
        let now = Instant::now();
        let key = (path, tried);
        if let Some((since, known)) = self.kept.get(&key)
            && now.saturating_duration_since(*since) < GOOD
        {
            return known.clone();
        }
        let refusal = self.found_out(&key.0, tried, own);
        if self.kept.len() >= MAX_KEPT {
            self.kept.clear();
        }
        self.kept.insert(key, (now, refusal.clone()));
        refusal
    }

    fn found_out(&self, path: &Path, tried: Tried, own: Option<u32>) -> Option<Refusal> {
        let inside = self.inside.as_ref()?;
        let found = inside.find(path, tried.follows(), own);
        self.judged(inside, &found, tried, own)
    }

    fn judged(
        &self,
        inside: &Inside,
        found: &Found,
        tried: Tried,
        own: Option<u32>,
    ) -> Option<Refusal> {
        let refusal = self.view.judge(tried, found);
        match (found, tried, refusal) {
            // The kernel runs a script's interpreter in its place.
            (Found::There { place, .. }, Tried::Run, None) => {
                let interpreter = interpreter(place).filter(|path| path.is_absolute())?;
                self.view
                    .judge(Tried::Run, &inside.find(&interpreter, true, own))
            }
            (_, _, refusal) => refusal,
        }
    }
}

//! A witness that dies at any step of writing, with what was not flushed lost or kept.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bailiwick_witness::{Answer, Disk, RealDisk};

use crate::support::{House, Log};

/// What a file held before a step that is not flushed yet.
type Before = BTreeMap<PathBuf, Option<Vec<u8>>>;

#[derive(Default)]
struct State {
    steps: usize,
    crash_at: usize,
    /// Bytes written, and names changed, that power loss would take back.
    bytes: Before,
    names: Before,
}

/// A disk that goes away at one step, halfway through it, and for good.
#[derive(Default)]
struct DyingDisk {
    state: Mutex<State>,
}

impl DyingDisk {
    fn new(crash_at: usize) -> Arc<Self> {
        let disk = Self::default();
        disk.state.lock().unwrap().crash_at = crash_at;
        Arc::new(disk)
    }

    /// Counts a step; `true` when it is the one to die in.
    fn step(&self) -> io::Result<bool> {
        let mut state = self.state.lock().unwrap();
        state.steps += 1;
        if state.steps > state.crash_at {
            return Err(gone());
        }
        Ok(state.steps == state.crash_at)
    }

    /// What power loss leaves: what was flushed.
    fn lose_what_was_not_flushed(&self) {
        let mut state = self.state.lock().unwrap();
        let (names, bytes) = (
            std::mem::take(&mut state.names),
            std::mem::take(&mut state.bytes),
        );
        for (path, before) in names.into_iter().chain(bytes) {
            match before {
                Some(before) => std::fs::write(path, before).unwrap(),
                None => drop(std::fs::remove_file(path)),
            }
        }
    }

    fn steps(&self) -> usize {
        self.state.lock().unwrap().steps
    }
}

fn gone() -> io::Error {
    io::Error::other("the disk is gone")
}

impl Disk for DyingDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let dies = self.step()?;
        let before = std::fs::read(path).ok();
        self.state
            .lock()
            .unwrap()
            .bytes
            .entry(path.to_owned())
            .or_insert(before);
        if dies {
            RealDisk.write(path, &bytes[..bytes.len() / 2])?;
            return Err(gone());
        }
        RealDisk.write(path, bytes)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        if self.step()? {
            return Err(gone());
        }
        self.state.lock().unwrap().bytes.remove(path);
        RealDisk.sync_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let dies = self.step()?;
        let before = std::fs::read(to).ok();
        self.state
            .lock()
            .unwrap()
            .names
            .entry(to.to_owned())
            .or_insert(before);
        RealDisk.rename(from, to)?;
        if dies { Err(gone()) } else { Ok(()) }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.step()? {
            return Err(gone());
        }
        let mut state = self.state.lock().unwrap();
        state.names.retain(|name, _| name.parent() != Some(path));
        RealDisk.sync_folder(path)
    }
}

#[test]
fn a_crash_at_any_write_forgets_no_cosignature_and_tears_nothing() {
    let log = Log::new("log.example/a", 300, 1);
    let rounds = [(0, 10), (10, 50), (50, 51), (51, 300)];
    let mut deaths = 0;
    for power_loss in [false, true] {
        for crash_at in 1..100 {
            let house = House::new();
            let disk = DyingDisk::new(crash_at);
            let mut released = 0;
            let witness = house.witness_on(&log, disk.clone());
            for (old, new) in rounds {
                match witness.add_checkpoint(log.submission(old, new).as_bytes()) {
                    Answer::Cosigned(_) => released = new,
                    Answer::Unavailable(_) => break,
                    other => panic!("{other:?}"),
                }
            }
            drop(witness);
            if power_loss {
                disk.lose_what_was_not_flushed();
            }
            let again = house.witness(&log);
            let size = house.size(&again, &log);
            // The one that was being written may be remembered, though nobody saw its cosignature.
            let next = rounds
                .iter()
                .find(|(old, _)| *old == released)
                .map_or(300, |(_, new)| *new);
            assert!(
                size == released || size == next,
                "step {crash_at}: {size} after {released}"
            );
            // From what it remembers, a fork is still refused.
            if released > 0 {
                let fork = log.forked(usize::try_from(released).unwrap() - 1);
                let body = fork.submission(size, 300);
                assert_ne!(
                    again.add_checkpoint(body.as_bytes()).status(),
                    200,
                    "step {crash_at}"
                );
                let rollback = log.submission(released - 1, released - 1);
                assert_ne!(again.add_checkpoint(rollback.as_bytes()).status(), 200);
            }
            if disk.steps() < crash_at {
                break;
            }
            deaths += 1;
        }
    }
    assert_eq!(deaths, 2 * 4 * rounds.len(), "four steps for each of them");
}

/// What the test above would not see were the disk it simulates a kind one.
#[test]
fn the_simulated_disk_loses_what_is_not_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = DyingDisk::new(100);
    let (aside, path) = (dir.path().join("a"), dir.path().join("b"));
    std::fs::write(&path, "old").unwrap();
    disk.write(&aside, b"new").unwrap();
    disk.rename(&aside, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    disk.lose_what_was_not_flushed();
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

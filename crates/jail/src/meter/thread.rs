//! The one thread that looks after all worlds of this process.

use std::io;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{SHORTEST, World, lock};

/// Reading small files needs no more.
const STACK: usize = 128 * 1024;

/// When each world is to be looked at next.
struct Rounds {
    worlds: Vec<(Instant, Weak<World>)>,
    running: bool,
}

static ROUNDS: Mutex<Rounds> = Mutex::new(Rounds {
    worlds: Vec::new(),
    running: false,
});
static CHANGED: Condvar = Condvar::new();

/// Looks after `world` until it is dropped.
pub(super) fn watch(world: &Arc<World>) -> io::Result<()> {
    let mut rounds = lock(&ROUNDS);
    rounds
        .worlds
        .push((Instant::now() + SHORTEST, Arc::downgrade(world)));
    if !rounds.running {
        thread::Builder::new()
            .name("meter".to_owned())
            .stack_size(STACK)
            .spawn(run)?;
        rounds.running = true;
    }
    drop(rounds);
    CHANGED.notify_one();
    Ok(())
}

fn run() {
    loop {
        for world in due() {
            let next = world.tick();
            if let Some(next) = next {
                let mut rounds = lock(&ROUNDS);
                rounds
                    .worlds
                    .push((Instant::now() + next, Arc::downgrade(&world)));
            }
        }
    }
}

/// Waits until it is time for some, and takes those out.
fn due() -> Vec<Arc<World>> {
    let mut rounds = lock(&ROUNDS);
    loop {
        rounds.worlds.retain(|(_, world)| world.strong_count() > 0);
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut rounds.worlds)
            .into_iter()
            .partition::<Vec<_>, _>(|(time, _)| *time <= now);
        rounds.worlds = later;
        let due: Vec<_> = due
            .iter()
            .filter_map(|(_, world)| world.upgrade())
            .collect();
        if !due.is_empty() {
            return due;
        }
        let first = rounds.worlds.iter().map(|(time, _)| *time).min();
        let left = first.map(|time| time.saturating_duration_since(now));
        rounds = match left {
            // Nothing to look after costs nothing.
            None => CHANGED
                .wait(rounds)
                .unwrap_or_else(std::sync::PoisonError::into_inner),
            Some(left) => {
                let waited = CHANGED.wait_timeout(rounds, left.max(Duration::from_millis(1)));
                waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
            }
        };
    }
}

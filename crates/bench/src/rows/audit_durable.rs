//! Durable appends of writers that come together, against fdatasync on the same file system in the same run, and
//! against SQLite (WAL, synchronous=FULL) with the same rows.
//!
//! The bare side is what no log can beat: for all writers of a round one write of their entries and one fdatasync. So a
//! ratio of 1.25 is 0.8 × (fdatasyncs per second × batch). It is taken on a file with room written ahead, as the
//! journal has, and on one that grows.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex, PoisonError};

use bailiwick_audit::{Log, Options, tail};
use rusqlite::Connection;

use super::Effort;
use crate::forge::{event, subject};
use crate::sample::{Row, Side, Spread, compare};
use crate::{Outcome, forge};

/// Appends of each writer in one round.
const EACH: usize = 16;
const ROOM: u64 = 64 << 20;

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for (writers, rounds) in [(1, 100), (8, 60), (64, 30)] {
        rows.extend(round(effort, writers, rounds)?);
    }
    Ok(rows)
}

fn round(effort: Effort, writers: usize, rounds: usize) -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let log = Log::open(&folder.path().join("audit"), Options::default())?;
    log.append_durable(&subject(), &event())?;
    let entry = tail(log.dir(), 1)?
        .pop()
        .map(|stored| stored.json.to_vec())
        .ok_or("nothing was appended")?;
    let group = entry.repeat(writers);
    let crew = Crew::start(&log, writers);
    let written_ahead = roomy(&folder.path().join("ahead"))?;
    let mut at = 0;
    let growing = File::create(folder.path().join("growing"))?;
    let database = open_database(&folder.path().join("rows.sqlite"))?;
    let json = String::from_utf8(entry.clone())?;
    let mut insert = database.prepare("INSERT INTO entries (json) VALUES (?1)")?;
    let mut sides = [
        Side::new(format!("append_durable, {writers} writers"), || {
            crew.round()
        }),
        Side::new("write + fdatasync for all, room ahead", || {
            for _ in 0..EACH {
                written_ahead.write_all_at(&group, at)?;
                written_ahead.sync_data()?;
                at = (at + group.len() as u64) % (ROOM - group.len() as u64);
            }
            Ok(())
        }),
        Side::new("write + fdatasync for all, growing", || {
            for _ in 0..EACH {
                (&growing).write_all(&group)?;
                growing.sync_data()?;
            }
            Ok(())
        }),
        Side::new("SQLite, a commit each", || {
            for _ in 0..EACH * writers {
                insert.execute([&json])?;
            }
            Ok(())
        }),
    ];
    let name = format!("audit entries of {} B, durable, each", entry.len());
    let mut rows = compare(&name, effort.plan(rounds, 1), &mut sides)?;
    drop(sides);
    crew.stop()?;
    let appends = (EACH * writers) as f64;
    for row in &mut rows {
        row.our_time = scaled(row.our_time, appends);
        row.baseline_time = scaled(row.baseline_time, appends);
        row.batch = u32::try_from(EACH * writers)?;
    }
    Ok(rows)
}

fn scaled(spread: Spread, by: f64) -> Spread {
    Spread {
        p10: spread.p10 / by,
        median: spread.median / by,
        p90: spread.p90 / by,
    }
}

fn roomy(path: &Path) -> Outcome<File> {
    let file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..ROOM >> 20 {
        (&file).write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(file)
}

fn open_database(path: &Path) -> Outcome<Connection> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE entries (id INTEGER PRIMARY KEY, json TEXT NOT NULL)")?;
    Ok(database)
}

/// Threads that wait for each round, so that no round counts their start.
struct Crew {
    begin: Arc<Barrier>,
    end: Arc<Barrier>,
    stop: Arc<Mutex<bool>>,
    failed: Arc<Mutex<Option<String>>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Crew {
    fn start(log: &Log, writers: usize) -> Self {
        let mut crew = Self {
            begin: Arc::new(Barrier::new(writers + 1)),
            end: Arc::new(Barrier::new(writers + 1)),
            stop: Arc::default(),
            failed: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..writers {
            let log = log.clone();
            let (begin, end) = (Arc::clone(&crew.begin), Arc::clone(&crew.end));
            let (stop, failed) = (Arc::clone(&crew.stop), Arc::clone(&crew.failed));
            crew.threads.push(std::thread::spawn(move || {
                let (subject, event) = (forge::subject(), forge::event());
                loop {
                    begin.wait();
                    if *stop.lock().unwrap_or_else(PoisonError::into_inner) {
                        return;
                    }
                    for _ in 0..EACH {
                        if let Err(error) = log.append_durable(&subject, &event) {
                            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                            *failed = Some(error.to_string());
                        }
                    }
                    end.wait();
                }
            }));
        }
        crew
    }

    fn round(&self) -> Outcome {
        self.begin.wait();
        self.end.wait();
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failed {
            Some(why) => Err(why.clone().into()),
            None => Ok(()),
        }
    }

    fn stop(self) -> Outcome {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.begin.wait();
        for thread in self.threads {
            thread.join().map_err(|_| "a writer panicked")?;
        }
        Ok(())
    }
}

//! The index of one log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bailiwick_audit::{Filter, Narrow, binding, full_bundles};
use sha2::{Digest as _, Sha256};

use crate::chunk::{Asked, CHUNK_BUNDLES, CHUNK_ENTRIES, Chunk, bundles};
use crate::error::IndexError;
use crate::key::IndexKey;
use crate::store::{Row, Store};

/// What a row's tag covers besides the row: the form of its body.
const FORM: &[u8] = b"1";
/// Threads that read the log while an index is made.
const MAX_THREADS: usize = 8;

/// The index of one log, in a file of its own.
#[derive(Debug)]
pub struct Index {
    log: PathBuf,
    key: IndexKey,
    store: Store,
}

/// How far an index reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Chunks of [`CHUNK_ENTRIES`] entries that the log has in full.
    pub chunks: u64,
    /// Those that the index holds rightly.
    pub indexed: u64,
    /// Those that were made just now.
    pub made: u64,
}

/// What [`Index::check`] saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// How far the index reaches.
    pub progress: Progress,
    /// Chunks whose rows hold and do not say what the log says: whoever wrote them has the key.
    pub lies: Vec<u64>,
}

impl Checked {
    /// The entries that a false row is about: the first and the last.
    #[must_use]
    pub fn entries(chunk: u64) -> (u64, u64) {
        let first = chunk.saturating_mul(CHUNK_ENTRIES);
        (first, first.saturating_add(CHUNK_ENTRIES - 1))
    }
}

/// The bundles that a search has to read.
#[derive(Debug)]
pub struct Selection {
    /// By chunk, a bit for each bundle; chunks that are not here are read in full.
    chunks: BTreeMap<u64, u64>,
}

impl Narrow for Selection {
    fn may_hold(&self, bundle: u64) -> bool {
        let bits = self.chunks.get(&(bundle / CHUNK_BUNDLES)).copied();
        bits.is_none_or(|bits| bits >> (bundle % CHUNK_BUNDLES) & 1 == 1)
    }
}

impl Selection {
    /// How many bundles of indexed chunks need not be read.
    #[must_use]
    pub fn spared(&self) -> u64 {
        let spared = self
            .chunks
            .values()
            .map(|bits| u64::from(bits.count_zeros()));
        spared.sum()
    }
}

/// Takes a row's chunk, binding and body.
type TakeRow<'a> = dyn FnMut(u64, &[u8], &[u8]) + 'a;

impl Index {
    /// Opens the index of the log in `log`, or makes an empty one, in a folder that has to exist.
    ///
    /// # Errors
    /// When its file cannot be opened, or is not ours.
    pub fn open(folder: &Path, log: &Path, key: IndexKey) -> Result<Self, IndexError> {
        Ok(Self {
            log: log.to_owned(),
            key,
            store: Store::open(&file(folder, log))?,
        })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// Which bundles a search has to read. Rows that do not hold for the log as it is now are as if they were not there.
    ///
    /// # Errors
    /// When the index or the log cannot be read.
    pub fn select(&self, filter: &Filter) -> Result<Selection, IndexError> {
        let asked = Asked::of(filter, &self.key);
        let mut chunks = BTreeMap::new();
        self.rows(&mut |chunk, _, body| {
            chunks.extend(Chunk::decode(body).map(|body| (chunk, body.candidates(&asked))));
        })?;
        Ok(Selection { chunks })
    }

    /// Reads what the index lacks from the log, oldest first, until all is there or `within` is over.
    ///
    /// # Errors
    /// When the log cannot be read, or the index not be written.
    pub fn update(&mut self, within: Option<Duration>) -> Result<Progress, IndexError> {
        let until = within.map(|within| Instant::now() + within);
        let chunks = full_bundles(&self.log)? / CHUNK_BUNDLES;
        let mut held = Vec::new();
        self.rows(&mut |chunk, _, _| held.push(chunk))?;
        let lacking: Vec<u64> = (0..chunks)
            .filter(|chunk| held.binary_search(chunk).is_err())
            .collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(MAX_THREADS).min(lacking.len());
        let (next, (send, receive)) = (AtomicUsize::new(0), channel());
        let mut made = 0;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (send, next, lacking) = (send.clone(), &next, &lacking);
                let (log, key) = (&self.log, &self.key);
                scope.spawn(move || {
                    while until.is_none_or(|until| Instant::now() < until) {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(chunk) = lacking.get(place) else {
                            return;
                        };
                        if send.send(row_of(log, *chunk, key)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            for row in receive {
                if let Some(row) = row? {
                    self.store.put(&row)?;
                    made += 1;
                }
            }
            Ok::<(), IndexError>(())
        })?;
        Ok(Progress {
            chunks,
            indexed: held.len() as u64 + made,
            made,
        })
    }

    /// Makes every row that holds anew from the log, and compares. It reads the whole log.
    ///
    /// # Errors
    /// When the index or the log cannot be read.
    pub fn check(&self) -> Result<Checked, IndexError> {
        let mut held = Vec::new();
        self.rows(&mut |chunk, binding, body| {
            held.push((chunk, binding.to_vec(), Sha256::digest(body)));
        })?;
        let mut lies = Vec::new();
        for (chunk, binding, body) in &held {
            let row = row_of(&self.log, *chunk, &self.key)?;
            if row.is_some_and(|row| row.binding == *binding && Sha256::digest(&row.body) != *body)
            {
                lies.push(*chunk);
            }
        }
        let progress = Progress {
            chunks: full_bundles(&self.log)? / CHUNK_BUNDLES,
            indexed: held.len() as u64,
            made: 0,
        };
        Ok(Checked { progress, lies })
    }

    /// Hands over chunk, binding and body of each row that is ours and holds for the log as it is now, in order.
    fn rows(&self, take: &mut TakeRow<'_>) -> Result<(), IndexError> {
        let full = full_bundles(&self.log)? / CHUNK_BUNDLES;
        let mut failed = None;
        self.store.each(&mut |row| {
            let number = row.chunk.to_be_bytes();
            let ours = self
                .key
                .holds(&[FORM, &number, &row.binding, &row.body], &row.tag);
            if row.chunk >= full || !ours {
                return;
            }
            match binding(&self.log, bundles(row.chunk)) {
                Ok(now) if now.is_some_and(|now| now.as_slice() == row.binding) => {
                    take(row.chunk, &row.binding, &row.body);
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// A chunk's row as the log says it; `None` when the chunk is not there in full, or changes meanwhile.
fn row_of(log: &Path, chunk: u64, key: &IndexKey) -> Result<Option<Row>, IndexError> {
    let Some(before) = binding(log, bundles(chunk))? else {
        return Ok(None);
    };
    let Some(read) = Chunk::read(log, chunk, key)? else {
        return Ok(None);
    };
    if binding(log, bundles(chunk))? != Some(before) {
        return Ok(None);
    }
    let body = read.encode();
    let tag = key.tag(&[FORM, &chunk.to_be_bytes(), &before, &body]);
    Ok(Some(Row {
        chunk,
        binding: before.to_vec(),
        body,
        tag: tag.to_vec(),
    }))
}

/// The index's file of a log: by the log's own place, so that each has its own.
fn file(folder: &Path, log: &Path) -> PathBuf {
    let log = log.canonicalize().unwrap_or_else(|_| log.to_owned());
    let digest = Sha256::digest(log.as_os_str().as_encoded_bytes());
    let name = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    folder.join(format!("{}.sqlite", name.collect::<String>()))
}

/// Removes what an index holds of these entries, after values of them were erased from the log: the rows of their
/// chunks, overwritten in the file. Later searches read those chunks until they are indexed anew, without the values.
///
/// # Errors
/// When the index cannot be written. Its file may be removed instead.
pub fn forget(
    folder: &Path,
    log: &Path,
    entries: impl IntoIterator<Item = u64>,
) -> Result<(), IndexError> {
    let path = file(folder, log);
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let mut chunks: Vec<u64> = entries
        .into_iter()
        .map(|entry| entry / CHUNK_ENTRIES)
        .collect();
    chunks.sort_unstable();
    chunks.dedup();
    Store::open(&path)?.remove(&chunks)
}

/// Removes the index of a log, if there is one.
///
/// # Errors
/// When its file cannot be removed.
pub fn remove(folder: &Path, log: &Path) -> Result<(), IndexError> {
    let path = file(folder, log);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(IndexError::Store {
            path,
            why: error.to_string(),
        }),
        _ => Ok(()),
    }
}

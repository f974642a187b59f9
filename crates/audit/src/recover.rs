//! Opening a log: what the last writer left is checked against its signatures, taken up, and continued.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;

use bailiwick_tlog::{
    Checkpoint, CompactRange, Hash, SigningKey, TILE_WIDTH, decode_bundle, encode_entry, leaf_hash,
};

use crate::argument::sha256_hex;
use crate::error::AuditError;
use crate::event::Event;
use crate::journal::{Record, Records, put_entry, seals_after_damage};
use crate::key;
use crate::layout::{
    CHECKPOINT_FILE, Folders, JOURNAL_DIR, LOCK_FILE, TILE_DIR, open_segment, read_text_if_there,
    remove_unfinished, replace, segment_path, segments, tiles_on_disk,
};
use crate::log::{Bundle, State};
use crate::publish::{Edge, publish_checkpoint};
use crate::store::{read_entries, read_hashes};
use crate::verify::{beyond, put_back};

/// A log, ready to be continued.
pub(crate) struct Opened {
    pub(crate) key: SigningKey,
    pub(crate) state: State,
    pub(crate) edges: Vec<Edge>,
    pub(crate) lock: File,
    /// To be recorded, when the last writer had not closed the log.
    pub(crate) recovery: Option<Event>,
}

pub(crate) fn open(dir: &Path, key_file: &Path) -> Result<Opened, AuditError> {
    create_private_folder(dir)?;
    let lock = lock(dir)?;
    remove_unfinished(dir)?;
    let note = read_text_if_there(&dir.join(CHECKPOINT_FILE))?;
    let empty = note.is_none() && segments(dir)?.is_empty() && !dir.join(TILE_DIR).exists();
    let key = key::load_or_create(dir, key_file, empty)?;
    let journal = dir.join(JOURNAL_DIR);
    fs::create_dir_all(&journal).map_err(AuditError::io("create", &journal))?;
    let checkpoint = match note {
        Some(note) => Checkpoint::open(&note, key.verifier()).map_err(|error| {
            AuditError::damaged(dir, format!("its checkpoint does not hold: {error}"))
        })?,
        None if empty => first_checkpoint(dir, &key)?,
        None => return Err(AuditError::damaged(dir, "its checkpoint is missing")),
    };
    let on_disk = tiles_on_disk(dir)?;
    if let Some(why) = put_back(dir, &checkpoint, &on_disk) {
        return Err(AuditError::damaged(
            dir,
            format!("its checkpoint was put back: {why}"),
        ));
    }
    let (edges, range) = published_edges(dir, &checkpoint)?;
    let bundle = published_bundle(dir, checkpoint.size)?;
    let mut replay = Replay {
        dir,
        key: &key,
        published: checkpoint.size,
        sealed: range.clone(),
        since_seal: VecDeque::new(),
        range,
        bundle,
        full: VecDeque::new(),
        cut: None,
    };
    replay.run()?;
    if let Some(why) = beyond(replay.range.size(), &on_disk) {
        return Err(AuditError::damaged(dir, why));
    }
    let recovery = replay.recovery();
    let Replay {
        range,
        bundle,
        full,
        ..
    } = replay;
    let mut state = State::new(range, bundle, full, checkpoint.size);
    for waiting in &state.full {
        state
            .unflushed
            .push(Arc::new(open_segment(&segment_path(dir, waiting.index))?));
    }
    if !state.bundle.hashes.is_empty() {
        state.segment = Some(Arc::new(open_segment(&segment_path(
            dir,
            state.bundle.index,
        ))?));
    }
    state.new_segment = true;
    Ok(Opened {
        key,
        state,
        edges,
        lock,
        recovery,
    })
}

fn create_private_folder(dir: &Path) -> Result<(), AuditError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(AuditError::io("create", dir))
}

fn lock(dir: &Path) -> Result<File, AuditError> {
    let path = dir.join(LOCK_FILE);
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = open.map_err(AuditError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AuditError::Locked {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(AuditError::io("lock", &path)(error)),
    }
}

/// A log begins with a signed checkpoint over nothing, so that its absence always means something.
fn first_checkpoint(dir: &Path, key: &SigningKey) -> Result<Checkpoint, AuditError> {
    let origin = key.verifier().name().to_owned();
    let checkpoint = Checkpoint {
        origin,
        size: 0,
        root: CompactRange::default().root(),
    };
    let note = checkpoint
        .sign(key)
        .map_err(|error| AuditError::Encode(error.to_string()))?;
    publish_checkpoint(dir, &note)?;
    Ok(checkpoint)
}

/// The partial tiles of each level above the leaves, and the tree that all of them make: the one that was signed.
fn published_edges(
    dir: &Path,
    checkpoint: &Checkpoint,
) -> Result<(Vec<Edge>, CompactRange), AuditError> {
    let mut edges = Vec::new();
    for level in 0..8_u8 {
        let count = checkpoint.size >> (8 * u32::from(level));
        if count == 0 {
            break;
        }
        let (tiles, width) = (count / TILE_WIDTH, count % TILE_WIDTH);
        let hashes = read_hashes(dir, level, tiles, width)?
            .map_err(|error| AuditError::damaged(dir, error))?;
        edges.push(Edge { tiles, hashes });
    }
    let hashes: Vec<_> = edges.iter().map(|edge| edge.hashes.clone()).collect();
    let range = CompactRange::from_edges(&hashes);
    if range.root() != checkpoint.root || range.size() != checkpoint.size {
        return Err(AuditError::damaged(
            dir,
            "its tiles are not those that its checkpoint signs",
        ));
    }
    edges.drain(..edges.len().min(1));
    Ok((edges, range))
}

/// The entries of the partial last bundle behind the checkpoint, seen to be those of its leaf hashes.
fn published_bundle(dir: &Path, size: u64) -> Result<Bundle, AuditError> {
    let (index, width) = (size / TILE_WIDTH, size % TILE_WIDTH);
    let mut bundle = Bundle {
        index,
        ..Bundle::default()
    };
    if width == 0 {
        return Ok(bundle);
    }
    bundle.hashes =
        read_hashes(dir, 0, index, width)?.map_err(|error| AuditError::damaged(dir, error))?;
    let entries =
        read_entries(dir, index, width)?.map_err(|error| AuditError::damaged(dir, error))?;
    for (position, entry) in (0..).zip(&entries) {
        if bundle.hashes.get(position) != Some(&leaf_hash(entry)) {
            let at = index * TILE_WIDTH + position as u64;
            return Err(AuditError::damaged(
                dir,
                format!("entry {at} is not the one that was signed"),
            ));
        }
        encode_entry(entry, &mut bundle.bytes)
            .map_err(|error| AuditError::Encode(error.to_string()))?;
    }
    Ok(bundle)
}

/// Takes up what the journal holds beyond the published checkpoint.
struct Replay<'a> {
    dir: &'a Path,
    key: &'a SigningKey,
    published: u64,
    /// The tree at the last signature, and the leaves since.
    sealed: CompactRange,
    since_seal: VecDeque<Hash>,
    range: CompactRange,
    bundle: Bundle,
    full: VecDeque<Arc<Bundle>>,
    cut: Option<(u64, String)>,
}

impl Replay<'_> {
    fn run(&mut self) -> Result<(), AuditError> {
        let first = self.published / TILE_WIDTH;
        let mut found = segments(self.dir)?;
        for published in found.extract_if(.., |segment| *segment < first) {
            let path = segment_path(self.dir, published);
            fs::remove_file(&path).map_err(AuditError::io("remove", &path))?;
        }
        if found.is_empty() {
            return self.rebuild();
        }
        let last = found.last().copied();
        for (expected, segment) in (first..).zip(found) {
            if segment != expected {
                return Err(self.damaged(format!("journal segment {expected} is missing")));
            }
            self.segment(segment, Some(segment) == last)?;
        }
        Ok(())
    }

    /// A journal that is gone is made again from the published bundle: nothing that was published is lost with it.
    fn rebuild(&self) -> Result<(), AuditError> {
        let mut bytes = Vec::new();
        let entries = decode_bundle(&self.bundle.bytes)
            .map_err(|error| AuditError::Encode(error.to_string()))?;
        for (entry, hash) in entries.into_iter().zip(&self.bundle.hashes) {
            put_entry(entry, hash, &mut bytes);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let path = segment_path(self.dir, self.bundle.index);
        let mut folders = Folders::default();
        replace(&path, &bytes, &mut folders)?;
        folders.sync(self.dir)
    }

    fn segment(&mut self, segment: u64, last: bool) -> Result<(), AuditError> {
        let path = segment_path(self.dir, segment);
        let bytes = fs::read(&path).map_err(AuditError::io("read", &path))?;
        let mut records = Records::new(&bytes);
        let mut index = segment * TILE_WIDTH;
        for record in records.by_ref() {
            match record {
                Record::Entry(entry, hash) => {
                    self.entry(index, entry, hash)?;
                    index += 1;
                }
                Record::Seal(note) => self.seal(note, index)?,
            }
        }
        if index < self.published {
            return Err(self.damaged(format!(
                "the journal ends at entry {index}, before what was published"
            )));
        }
        let rest = records.rest();
        if !rest.is_empty() {
            self.cut(&path, bytes.len() - rest.len(), rest, last)?;
        }
        if !last && index != (segment + 1) * TILE_WIDTH {
            return Err(self.damaged(format!(
                "journal segment {segment} is not full, and another follows"
            )));
        }
        Ok(())
    }

    fn entry(&mut self, index: u64, entry: &[u8], hash: Hash) -> Result<(), AuditError> {
        if index < self.published {
            let position = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
            let same = self.bundle.hashes.get(position) == Some(&hash);
            let why = || format!("entry {index} in the journal is not the one that was published");
            return if same {
                Ok(())
            } else {
                Err(self.damaged(why()))
            };
        }
        if index / TILE_WIDTH != self.bundle.index {
            return Err(self.damaged(format!(
                "a journal segment goes on beyond its last entry, {index}"
            )));
        }
        self.range.push(hash);
        self.since_seal.push_back(hash);
        encode_entry(entry, &mut self.bundle.bytes)
            .map_err(|error| AuditError::Encode(error.to_string()))?;
        self.bundle.hashes.push(hash);
        if self.bundle.hashes.len() as u64 == TILE_WIDTH {
            let next = Bundle {
                index: self.bundle.index + 1,
                ..Bundle::default()
            };
            self.full
                .push_back(Arc::new(std::mem::replace(&mut self.bundle, next)));
        }
        Ok(())
    }

    fn seal(&mut self, note: &str, index: u64) -> Result<(), AuditError> {
        let seal = Checkpoint::open(note, self.key.verifier()).map_err(|error| {
            self.damaged(format!(
                "a seal before entry {index} does not hold: {error}"
            ))
        })?;
        if seal.size > index {
            let why = format!(
                "the journal lacks entries before {}, which a seal covers",
                seal.size
            );
            return Err(self.damaged(why));
        }
        while self.sealed.size() < seal.size {
            let Some(hash) = self.since_seal.pop_front() else {
                break;
            };
            self.sealed.push(hash);
        }
        if self.sealed.size() == seal.size && self.sealed.root() != seal.root {
            return Err(self.damaged(format!(
                "entries before {} are not those that a seal covers",
                seal.size
            )));
        }
        Ok(())
    }

    /// Cuts what a crash left unfinished, unless a signature behind it shows that it was whole once.
    fn cut(
        &mut self,
        path: &Path,
        whole: usize,
        rest: &[u8],
        last: bool,
    ) -> Result<(), AuditError> {
        let sealed = seals_after_damage(rest)
            .any(|note| Checkpoint::open(note, self.key.verifier()).is_ok());
        if sealed || !last {
            let at = self.range.size();
            return Err(self.damaged(format!(
                "entry {at} in the journal was damaged after it was written"
            )));
        }
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(AuditError::io("open", path))?;
        file.set_len(whole as u64)
            .map_err(AuditError::io("cut", path))?;
        file.sync_all().map_err(AuditError::io("flush", path))?;
        self.cut = Some((rest.len() as u64, sha256_hex(rest)));
        Ok(())
    }

    fn recovery(&self) -> Option<Event> {
        let kept = self.range.size() - self.published;
        if kept == 0 && self.cut.is_none() {
            return None;
        }
        let unsealed = self.range.size() - self.sealed.size();
        let (cut_bytes, cut_sha256) = match &self.cut {
            Some((bytes, digest)) => (*bytes, Some(digest.clone())),
            None => (0, None),
        };
        Some(Event::Recovery {
            kept,
            unsealed,
            cut_bytes,
            cut_sha256,
        })
    }

    fn damaged(&self, why: impl Into<String>) -> AuditError {
        AuditError::damaged(self.dir, why)
    }
}

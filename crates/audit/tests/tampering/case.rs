//! A real log in a folder of its own, for an attacker to work on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use bailiwick_audit::{
    Checkpoint, Log, Options, Report, SIGNING_KEY_FILE, Subject, Verification, Verified,
    VerifierKey, archive, prune, read_verifier_key,
};
use bailiwick_tlog::{CompactRange, SigningKey, TileKind, TilePath, leaf_hash, tiles_of_tree};
use tempfile::TempDir;

use crate::support::{Entries, bundle, copy, event, hashes, open, write_bundle, write_hashes};

/// The logs that rows work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// 600 entries, closed: two full bundles and one of 88. It was closed at 100 and at 300 entries, too.
    Three,
    /// 20 entries, closed.
    Small,
    /// 66,000 entries, made without the writer: a full tile of level 1, and one hash of level 2.
    Long,
    /// 300 entries of which nothing is published, under seals after each ten.
    Unpublished,
    /// 300 entries of a named user, whose name is sealed.
    Private,
    /// 600 entries, of which the first 256 are in an archive.
    Pruned,
}

pub(crate) struct Case {
    dir: TempDir,
    pub(crate) key: VerifierKey,
    /// Checkpoints that were kept elsewhere, by name.
    pub(crate) kept: Vec<(String, Checkpoint)>,
    pub(crate) archive: Option<PathBuf>,
}

/// Logs are made once, since a hundred rows start from them.
fn made(base: Base) -> &'static Path {
    static MADE: [OnceLock<TempDir>; 6] = [const { OnceLock::new() }; 6];
    MADE[base as usize]
        .get_or_init(|| {
            let dir = tempfile::tempdir().expect("folder");
            make(base, &dir.path().join("log"), dir.path());
            dir
        })
        .path()
}

fn append(log: &Log, from: usize, to: usize) {
    for index in from..to {
        log.append(&Subject::default(), &event(index))
            .expect("appends");
    }
}

fn make(base: Base, log_dir: &Path, beside: &Path) {
    match base {
        Base::Three | Base::Pruned => {
            for (from, to) in [(0, 100), (100, 300), (300, 600)] {
                let log = open(log_dir);
                append(&log, from, to);
                log.close().expect("closes");
                let note = log_dir.join("checkpoint");
                fs::copy(note, beside.join(format!("checkpoint-{to}"))).expect("copies");
                copy(log_dir, &beside.join(format!("at-{to}")));
            }
            if base == Base::Pruned {
                let log = open(log_dir);
                let to = beside.join("archive");
                archive(&log, &Subject::default(), 300, &to).expect("archives");
                log.flush().expect("flushes");
                prune(&log, &Subject::default(), &to).expect("prunes");
                log.close().expect("closes");
            }
        }
        Base::Small => {
            let log = open(log_dir);
            append(&log, 0, 20);
            log.close().expect("closes");
        }
        Base::Long => {
            let log = open(log_dir);
            log.close().expect("closes");
            let entries: Entries = (0..66_000)
                .map(|index| entry(&format!("event {index}")))
                .collect();
            write_log(log_dir, &signing_key(log_dir), &entries);
        }
        Base::Unpublished => {
            let options = Options {
                publish_within: Duration::from_secs(3600),
                ..Options::default()
            };
            let making = beside.join("making");
            let log = Log::open(&making, options).expect("opens");
            for index in 0..300 {
                let (nobody, event) = (Subject::default(), event(index));
                match index % 10 {
                    9 => log.append_durable(&nobody, &event).expect("appends"),
                    _ => log.append(&nobody, &event).expect("appends"),
                };
            }
            copy(&making, log_dir);
            drop(log);
        }
        Base::Private => {
            let log = open(log_dir);
            for index in 0..300 {
                let subject = Subject::default().with_user(format!("ann {index}"));
                log.append(&subject, &event(index)).expect("appends");
            }
            log.close().expect("closes");
        }
    }
}

impl Case {
    pub(crate) fn of(base: Base) -> Self {
        let dir = tempfile::tempdir().expect("folder");
        copy(made(base), dir.path());
        let key = read_verifier_key(&dir.path().join("log")).expect("key");
        let mut case = Self {
            dir,
            key,
            kept: Vec::new(),
            archive: None,
        };
        if base == Base::Pruned {
            case.archive = Some(case.beside("archive"));
        }
        case
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// A file of the log.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.log().join(name)
    }

    /// A file beside the log.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn verify(&self) -> Result<Verified, Report> {
        let mut verification = Verification::new(&self.key);
        for (name, checkpoint) in &self.kept {
            verification = verification.with_kept(name, checkpoint.clone());
        }
        if let Some(archive) = &self.archive {
            verification = verification.with_archive(archive);
        }
        verification.run(&self.log())
    }

    /// Keeps the checkpoint that the log had at this size.
    pub(crate) fn keep(&mut self, size: u64) {
        let note = fs::read_to_string(self.beside(&format!("checkpoint-{size}"))).expect("note");
        let checkpoint = Checkpoint::open(&note, &self.key).expect("signed");
        self.kept.push((format!("at {size}"), checkpoint));
    }

    pub(crate) fn signing_key(&self) -> SigningKey {
        signing_key(&self.log())
    }

    /// What a reader sees that believes everything: a checkpoint in form, and as many entries of JSON as it says.
    pub(crate) fn reads(&self) -> bool {
        let Ok(note) = fs::read_to_string(self.path("checkpoint")) else {
            return false;
        };
        let Some(size) = note
            .lines()
            .nth(1)
            .and_then(|size| size.parse::<u64>().ok())
        else {
            return false;
        };
        (0..size.div_ceil(256)).all(|index| {
            let width = (size - index * 256).min(256);
            let tile = TilePath::new(TileKind::Entries, index, width as u16).expect("in range");
            let tiles = [
                self.path(&tile.to_string()),
                self.path(&tile.full().to_string()),
            ];
            let archived = self.archive.as_ref().map(|dir| dir.join(tile.to_string()));
            let Some(path) = tiles.iter().chain(&archived).find(|path| path.is_file()) else {
                return false;
            };
            let bytes = fs::read(path).expect("reads");
            let Ok(entries) = bailiwick_tlog::decode_bundle(&bytes) else {
                return false;
            };
            entries.len() as u64 >= width
                && entries
                    .iter()
                    .all(|entry| serde_json::from_slice::<serde_json::Value>(entry).is_ok())
        })
    }

    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&mut Entries)) {
        let mut entries = bundle(&self.path(name));
        edit(&mut entries);
        write_bundle(&self.path(name), &entries);
    }

    pub(crate) fn edit_hashes(&self, name: &str, edit: impl FnOnce(&mut Vec<[u8; 32]>)) {
        let mut all = hashes(&self.path(name));
        edit(&mut all);
        write_hashes(&self.path(name), &all);
    }

    pub(crate) fn edit_bytes(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).expect("reads");
        edit(&mut bytes);
        fs::write(self.path(name), bytes).expect("writes");
    }

    pub(crate) fn edit_text(&self, name: &str, edit: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.path(name)).expect("reads");
        fs::write(self.path(name), edit(text)).expect("writes");
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("folder");
        fs::write(path, bytes).expect("writes");
    }

    pub(crate) fn remove(&self, name: &str) {
        let path = self.path(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        removed.expect("removes");
    }

    pub(crate) fn swap(&self, a: &str, b: &str) {
        let (first, second) = (self.path(a), self.path(b));
        let aside = self.beside("aside");
        fs::rename(&first, &aside).expect("moves");
        fs::rename(&second, &first).expect("moves");
        fs::rename(&aside, &second).expect("moves");
    }

    /// Moves a file or folder out of the log and leaves a link to it.
    pub(crate) fn link(&self, name: &str) {
        let aside = self.beside("linked");
        fs::rename(self.path(name), &aside).expect("moves");
        std::os::unix::fs::symlink(aside, self.path(name)).expect("links");
    }

    /// Takes the journal away, so that the tiles alone are looked at.
    pub(crate) fn without_journal(&self) {
        fs::remove_dir_all(self.path("journal")).expect("removes");
        self.verify().expect("holds without");
    }

    /// A closed log of its own with so many entries, under another key.
    pub(crate) fn other(&self, size: usize) -> PathBuf {
        let other = self.beside("other");
        let log = open(&other);
        append(&log, 0, size);
        log.close().expect("closes");
        other
    }

    /// Puts what the owner of the key writes anew in the place of the log.
    pub(crate) fn rewrite(&self, entries: &[Vec<u8>]) {
        let key = self.signing_key();
        let keys = [SIGNING_KEY_FILE, "verifier.key"].map(|name| (name, self.path(name)));
        let kept = keys.map(|(name, path)| (name, fs::read(path).expect("reads")));
        fs::remove_dir_all(self.log()).expect("removes");
        for (name, bytes) in kept {
            self.write(name, bytes);
        }
        write_log(&self.log(), &key, entries);
    }

    /// All published entries.
    pub(crate) fn entries(&self) -> Entries {
        let files = [
            "tile/entries/000",
            "tile/entries/001",
            "tile/entries/002.p/88",
        ];
        files
            .iter()
            .flat_map(|file| bundle(&self.path(file)))
            .collect()
    }
}

/// An entry of the current version.
pub(crate) fn entry(reason: &str) -> Vec<u8> {
    format!(
        r#"{{"v":1,"time":"2026-11-23T10:00:00.000Z","subject":{{}},"event":{{"kind":"gate_stop","reason":"{reason}"}}}}"#
    )
    .into_bytes()
}

pub(crate) fn signing_key(log: &Path) -> SigningKey {
    let text = fs::read_to_string(log.join(SIGNING_KEY_FILE)).expect("reads");
    SigningKey::from_secret_text(text.trim_end()).expect("a key")
}

/// Writes bundles, tiles and a signed checkpoint, without the writer.
pub(crate) fn write_log(dir: &Path, key: &SigningKey, entries: &[Vec<u8>]) {
    let put = |name: String, bytes: &[u8]| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("folder");
        fs::write(path, bytes).expect("writes");
    };
    for (index, part) in entries.chunks(256).enumerate() {
        let tile = TilePath::new(TileKind::Entries, index as u64, part.len() as u16);
        let path = dir.join(tile.expect("in range").to_string());
        fs::create_dir_all(path.parent().expect("in a folder")).expect("folder");
        write_bundle(&path, part);
    }
    let mut levels: Vec<Vec<_>> = vec![entries.iter().map(|entry| leaf_hash(entry)).collect()];
    for level in 0..7 {
        let full: &[_] = &levels[level];
        let above = full.as_chunks::<256>().0.iter();
        levels.push(above.map(|tile| bailiwick_tlog::tree_root(tile)).collect());
    }
    for tile in tiles_of_tree(entries.len() as u64) {
        let TileKind::Hashes(level) = tile.kind() else {
            continue;
        };
        let start = tile.index() as usize * 256;
        let hashes = &levels[usize::from(level)][start..start + usize::from(tile.width())];
        put(tile.to_string(), &bailiwick_tlog::encode_tile(hashes));
    }
    let mut range = CompactRange::default();
    levels[0].iter().for_each(|leaf| range.push(*leaf));
    sign(dir, key, range.size(), range.root());
}

/// Signs a checkpoint and puts it into the log.
pub(crate) fn sign(
    dir: &Path,
    key: &SigningKey,
    size: u64,
    root: bailiwick_tlog::Hash,
) -> Checkpoint {
    let checkpoint = Checkpoint {
        origin: key.verifier().name().to_owned(),
        size,
        root,
    };
    fs::write(dir.join("checkpoint"), checkpoint.sign(key).expect("signs")).expect("writes");
    checkpoint
}

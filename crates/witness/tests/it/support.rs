//! A log in memory, and a witness with a memory on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_tlog::{
    Checkpoint, Hash, ProofError, SignedNote, SigningKey, Submission, VerifierKey, WitnessKey,
    consistency_proof, leaf_hash, tree_root,
};
use bailiwick_witness::{
    Answer, Disk, Proofs, RealDisk, Store, Witness, keygen, read_key, state_dir,
};

pub(crate) const NOW: u64 = 1_795_000_000;

/// A log's leaves and key.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) leaves: Vec<Hash>,
    pub(crate) key: Arc<SigningKey>,
}

impl Log {
    /// Leaves with a mark: logs of different marks differ from the first one on.
    pub(crate) fn new(name: &str, size: u64, mark: u64) -> Self {
        let leaf = |i: u64| leaf_hash(&[i.to_be_bytes(), mark.to_be_bytes()].concat());
        Self {
            leaves: (0..size).map(leaf).collect(),
            key: Arc::new(SigningKey::from_seed(name, &[9; 32]).unwrap()),
        }
    }

    /// The same up to `keep`, then another history.
    pub(crate) fn forked(&self, keep: usize) -> Self {
        let mut fork = Self::new(self.verifier().name(), self.leaves.len() as u64, 77);
        fork.leaves[..keep].copy_from_slice(&self.leaves[..keep]);
        fork
    }

    pub(crate) fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    pub(crate) fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint {
            origin: self.verifier().name().to_owned(),
            size,
            root: tree_root(&self.leaves[..usize::try_from(size).unwrap()]),
        }
    }

    pub(crate) fn note(&self, size: u64) -> SignedNote {
        let note = self.checkpoint(size).sign(&self.key).unwrap();
        note.parse().unwrap()
    }

    pub(crate) fn proof(&self, old: u64, new: u64) -> Vec<Hash> {
        let mut node = |height: u32, index: u64| {
            let start = usize::try_from(index << height).unwrap();
            Ok::<_, ProofError>(tree_root(&self.leaves[start..start + (1 << height)]))
        };
        consistency_proof(old, new, &mut node).unwrap()
    }

    pub(crate) fn proofs(&self) -> Proofs {
        let log = self.clone();
        Arc::new(move |old, new| Ok(log.proof(old, new)))
    }

    pub(crate) fn submission(&self, old: u64, new: u64) -> String {
        let submission = Submission {
            old,
            proof: self.proof(old, new),
            checkpoint: self.note(new),
        };
        submission.to_string()
    }
}

/// A witness's files, and a clock that a test sets.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) key: WitnessKey,
    pub(crate) clock: Arc<AtomicU64>,
}

impl House {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = keygen(&dir.path().join("w.key"), "witness.example/w").unwrap();
        Self {
            dir,
            key,
            clock: Arc::new(AtomicU64::new(NOW)),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("w.key")
    }

    pub(crate) fn state(&self) -> PathBuf {
        state_dir(&self.file())
    }

    pub(crate) fn witness(&self, log: &Log) -> Witness {
        self.witness_on(log, Arc::new(RealDisk))
    }

    pub(crate) fn witness_on(&self, log: &Log, disk: Arc<dyn Disk>) -> Witness {
        let store = Store::open(&self.state(), &self.key, disk).unwrap();
        let clock = Arc::clone(&self.clock);
        let now = move || clock.load(Ordering::Relaxed);
        let key = read_key(&self.file()).unwrap();
        Witness::new(key, store, [log.verifier().clone().into()], now)
    }

    /// The size that the witness says it has cosigned, by asking with an old size that cannot be.
    pub(crate) fn size(&self, witness: &Witness, log: &Log) -> u64 {
        let newest = log.leaves.len() as u64;
        match witness.add_checkpoint(log.submission(newest, newest).as_bytes()) {
            Answer::Conflict(size) => size,
            Answer::Cosigned(_) => newest,
            other => panic!("{other:?}"),
        }
    }

    /// Whether a line is this witness's cosignature on that checkpoint.
    pub(crate) fn holds(&self, note: &SignedNote, line: &str) -> bool {
        let mut note = note.clone();
        note.add_lines(line).unwrap();
        note.verify_cosignature(&self.key).is_ok()
    }
}

pub(crate) fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

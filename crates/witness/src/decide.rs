//! What a witness decides about a submission (C2SP tlog-witness, `add-checkpoint`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bailiwick_tlog::{
    Checkpoint, MAX_SUBMISSION_BYTES, NoteError, SignedNote, Submission, VerifierKey,
    WitnessSigningKey, tree_root, verify_consistency,
};

use crate::store::{Store, StoreError, origin_hash};

/// A log that a witness watches over.
#[derive(Debug, Clone)]
pub struct TrustedLog {
    /// Its identity: the first line of its checkpoints.
    pub origin: String,
    /// Its keys. One of them has to have signed; each that seems to have has to have done so.
    pub keys: Vec<VerifierKey>,
}

impl From<VerifierKey> for TrustedLog {
    /// The log that is called as its key is.
    fn from(key: VerifierKey) -> Self {
        Self {
            origin: key.name().to_owned(),
            keys: vec![key],
        }
    }
}

/// What a witness answers. Each is one status of the HTTP interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: the signature line, with its newline. What it states is on the disk.
    Cosigned(String),
    /// 409: the old size is not that of the newest checkpoint cosigned, which is this.
    Conflict(u64),
    /// 400: not such a request, or a size below the old one.
    Malformed(String),
    /// 403: no signature of a known key of this log's, or one that does not hold.
    Forbidden(String),
    /// 404: not a log that is watched over.
    UnknownLog,
    /// 422: signed, and contradicting what was signed before.
    Inconsistent(String),
    /// 503: the clock runs behind, or the memory cannot be read or written.
    Unavailable(String),
}

impl Answer {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosigned(_) => 200,
            Self::Malformed(_) => 400,
            Self::Forbidden(_) => 403,
            Self::UnknownLog => 404,
            Self::Conflict(_) => 409,
            Self::Inconsistent(_) => 422,
            Self::Unavailable(_) => 503,
        }
    }
}

/// A witness: cosigns checkpoints of logs that it knows, each only as the continuation of the last.
pub struct Witness {
    key: WitnessSigningKey,
    store: Store,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    /// By origin. The lock is held from the look at the newest checkpoint until the next one is on the disk.
    logs: BTreeMap<String, (Vec<VerifierKey>, Mutex<()>)>,
    /// Hash of the origin, as in URLs, to the origin.
    hashes: BTreeMap<String, String>,
}

impl Witness {
    /// A witness over these logs; `clock` gives seconds since the Unix epoch ([`unix_time`]).
    #[must_use]
    pub fn new(
        key: WitnessSigningKey,
        store: Store,
        logs: impl IntoIterator<Item = TrustedLog>,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let mut known: BTreeMap<String, (Vec<VerifierKey>, Mutex<()>)> = BTreeMap::new();
        for log in logs {
            let entry = known.entry(log.origin).or_default();
            entry.0.extend(log.keys);
        }
        Self {
            key,
            store,
            clock: Box::new(clock),
            hashes: known
                .keys()
                .map(|origin| (origin_hash(origin), origin.clone()))
                .collect(),
            logs: known,
        }
    }

    /// Decides one request body. Blocks for the disk.
    pub fn add_checkpoint(&self, body: &[u8]) -> Answer {
        match self.decide(body) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    /// The newest checkpoint cosigned of the log with this origin hash (SHA-256 in lower-case hex), with the log's
    /// signatures and ours.
    ///
    /// # Errors
    /// When the memory cannot be read, or is not ours.
    pub fn latest(&self, hash: &str) -> Result<Option<String>, StoreError> {
        let Some(origin) = self.hashes.get(hash) else {
            return Ok(None);
        };
        let found = self.store.latest(origin)?;
        Ok(found.map(|(_, note)| note.to_string()))
    }

    fn decide(&self, body: &[u8]) -> Result<Answer, Answer> {
        if body.len() > MAX_SUBMISSION_BYTES {
            return Err(Answer::Malformed("the request is too long".to_owned()));
        }
        let text = std::str::from_utf8(body)
            .map_err(|_| Answer::Malformed("the request is not UTF-8".to_owned()))?;
        let submission: Submission = text
            .parse()
            .map_err(|error| Answer::Malformed(format!("{error}")))?;
        let (checkpoint, _) = Checkpoint::parse(submission.checkpoint.unverified_text())
            .map_err(|error| Answer::Malformed(error.to_string()))?;
        let (keys, lock) = self
            .logs
            .get(&checkpoint.origin)
            .ok_or(Answer::UnknownLog)?;
        let seen = signed_by(&submission.checkpoint, keys)?;
        if submission.old > checkpoint.size {
            let why = "the old size is above the checkpoint's";
            return Err(Answer::Malformed(why.to_owned()));
        }
        let _one_at_a_time = lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.continues(&submission, &checkpoint, body)?;
        let mut note = submission.checkpoint.with_only(&seen);
        let time = self.time_after(&checkpoint.origin)?;
        let line = self
            .key
            .cosign(note.unverified_text(), time)
            .map_err(|error| Answer::Malformed(error.to_string()))?;
        let unavailable = |why: String| Answer::Unavailable(why);
        note.add_lines(&line)
            .map_err(|error| unavailable(error.to_string()))?;
        // On the disk first, for good: whatever happens next, this witness cosigns nothing that contradicts it.
        self.store
            .remember(&checkpoint.origin, &note)
            .map_err(|error| unavailable(error.to_string()))?;
        Ok(Answer::Cosigned(line))
    }

    /// Checks a submission against the newest checkpoint on the disk, and keeps what contradicts it.
    fn continues(
        &self,
        submission: &Submission,
        new: &Checkpoint,
        body: &[u8],
    ) -> Result<(), Answer> {
        let latest = self
            .store
            .latest(&new.origin)
            .map_err(|error| Answer::Unavailable(error.to_string()))?;
        let latest = latest.map(|(checkpoint, _)| checkpoint);
        let size = latest.as_ref().map_or(0, |latest| latest.size);
        // Two roots for one size contradict each other, whatever old size came with them.
        let forked = latest
            .as_ref()
            .is_some_and(|latest| latest.size == new.size && latest.root != new.root);
        let consistent = if new.size == 0 && new.root != tree_root(&[]) {
            Err("an empty tree has another root".to_owned())
        } else {
            let old_root = latest.map_or_else(|| tree_root(&[]), |latest| latest.root);
            verify_consistency(size, new.size, &old_root, &new.root, &submission.proof)
                .map_err(|error| error.to_string())
        };
        if forked || (submission.old == size && consistent.is_err()) {
            self.store.keep_evidence(body);
        }
        if submission.old != size {
            return Err(Answer::Conflict(size));
        }
        consistent.map_err(Answer::Inconsistent)
    }

    /// The time, unless it is before that of the last cosignature.
    fn time_after(&self, origin: &str) -> Result<u64, Answer> {
        let now = (self.clock)();
        let latest = self
            .store
            .latest(origin)
            .map_err(|error| Answer::Unavailable(error.to_string()))?;
        let last = latest.and_then(|(_, note)| note.verify_cosignature(self.key.verifier()).ok());
        if last.is_some_and(|last| last > now) {
            let why = "this witness's clock stands before its last cosignature: set it right";
            return Err(Answer::Unavailable(why.to_owned()));
        }
        Ok(now)
    }
}

/// The known keys that signed.
fn signed_by<'a>(
    note: &SignedNote,
    keys: &'a [VerifierKey],
) -> Result<Vec<(&'a str, u32)>, Answer> {
    let mut seen = Vec::new();
    for key in keys {
        match note.verify(key) {
            Ok(_) => seen.push((key.name(), key.id())),
            Err(NoteError::NotSigned { .. }) => {}
            Err(error) => return Err(Answer::Forbidden(error.to_string())),
        }
    }
    if seen.is_empty() {
        let why = "no key that is known for this log signed the checkpoint";
        return Err(Answer::Forbidden(why.to_owned()));
    }
    Ok(seen)
}

/// Seconds since the Unix epoch by the system's clock; 0 before it.
#[must_use]
pub fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

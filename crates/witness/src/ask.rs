//! Asking witnesses for their cosignatures.

use std::sync::Arc;

use bailiwick_tlog::{Checkpoint, Hash, NoteError, SignedNote, Submission, WitnessKey};
use tokio::task::JoinSet;

use crate::client::{Client, HttpError, Method, Reply, Url};

/// How often one witness is asked for one checkpoint: it may say what it has seen, and another gate may be faster.
const TRIES: usize = 3;
/// The content type of a 409's body.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// A witness, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its submission prefix: `add-checkpoint` lies below.
    pub url: Url,
    /// Its key.
    pub key: WitnessKey,
}

/// Builds the consistency proof between two sizes of the log; the error says why it cannot be built.
pub type Proofs = Arc<dyn Fn(u64, u64) -> Result<Vec<Hash>, String> + Send + Sync>;

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No answer.
    #[error(transparent)]
    Unreachable(#[from] HttpError),
    /// It has cosigned a larger tree of this log than there is here.
    #[error(
        "it has cosigned {seen} entries of this log, and here there are {have}: this log was rolled back or forked, or \
         another copy of it is being written"
    )]
    Ahead {
        /// The size that it cosigned.
        seen: u64,
        /// The size here.
        have: u64,
    },
    /// It says that the checkpoint contradicts what it had cosigned.
    #[error(
        "it has cosigned another history of this log ({0}): this log was rewritten, rolled back or forked"
    )]
    Contradicted(String),
    /// Some other status.
    #[error("it answered {status}: {said}")]
    Status {
        /// The status.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// Its answer holds no cosignature of its own.
    #[error("its answer is no cosignature of its own: {0}")]
    Cosignature(NoteError),
    /// The proof that it needs cannot be built.
    #[error("no proof from {from} entries on can be built: {why}")]
    Proof {
        /// The size that it had cosigned.
        from: u64,
        /// Why.
        why: String,
    },
}

impl Refusal {
    /// Whether the witness holds against the log what it has seen of it: asking again will not mend it, a person has to
    /// look.
    #[must_use]
    pub fn accuses(&self) -> bool {
        matches!(self, Self::Ahead { .. } | Self::Contradicted(_))
    }
}

/// The witnesses that a log asks.
#[derive(Clone)]
pub struct Witnesses {
    client: Client,
    peers: Vec<(Peer, u64)>,
}

impl Witnesses {
    /// Knows nothing yet of what they have seen.
    #[must_use]
    pub fn new(client: Client, peers: Vec<Peer>) -> Self {
        Self {
            client,
            peers: peers.into_iter().map(|peer| (peer, 0)).collect(),
        }
    }

    /// Asks those of them at these places, all at once, for a checkpoint that `note` holds. Gives the signature line of
    /// each that cosigned, verified, and why the others did not; each within half a minute or so.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn ask(
        &mut self,
        places: &[usize],
        note: &SignedNote,
        checkpoint: &Checkpoint,
        proofs: &Proofs,
    ) -> Vec<(usize, Result<String, Refusal>)> {
        let mut running = JoinSet::new();
        for place in places {
            let Some((peer, seen)) = self.peers.get(*place).cloned() else {
                continue;
            };
            let (client, place) = (self.client.clone(), *place);
            let (note, proofs) = (note.clone(), Arc::clone(proofs));
            let size = checkpoint.size;
            running.spawn(async move {
                let mut seen = seen;
                let answer = ask_one(&client, &peer, &mut seen, &note, size, &proofs).await;
                (place, seen, answer)
            });
        }
        let mut answers = Vec::new();
        while let Some(done) = running.join_next().await {
            let Ok((place, seen, answer)) = done else {
                continue;
            };
            if let Some((_, known)) = self.peers.get_mut(place) {
                *known = seen;
            }
            answers.push((place, answer));
        }
        answers.sort_by_key(|(place, _)| *place);
        answers
    }
}

/// Asks one witness. `seen` is the size that it has cosigned as far as is known.
async fn ask_one(
    client: &Client,
    peer: &Peer,
    seen: &mut u64,
    note: &SignedNote,
    size: u64,
    proofs: &Proofs,
) -> Result<String, Refusal> {
    let url = peer.url.below("add-checkpoint");
    let mut last = None;
    for _ in 0..TRIES {
        if *seen > size {
            return Err(Refusal::Ahead {
                seen: *seen,
                have: size,
            });
        }
        let old = *seen;
        // From no entries on, and from as many as there are, the proof is empty.
        let proof = if old == 0 || old == size {
            Vec::new()
        } else {
            let proofs = Arc::clone(proofs);
            let built = tokio::task::spawn_blocking(move || proofs(old, size)).await;
            let built = built.unwrap_or_else(|error| Err(error.to_string()));
            built.map_err(|why| Refusal::Proof { from: old, why })?
        };
        let submission = Submission {
            old,
            proof,
            checkpoint: note.clone(),
        };
        let body = submission.to_string().into_bytes();
        let reply = client.send(Method::Post, &url, "text/plain; charset=utf-8", body);
        let reply = reply.await?;
        match reply.status {
            200 => {
                let line = cosignature(&reply, peer, note)?;
                *seen = size;
                return Ok(line);
            }
            409 => {
                *seen = size_of(&reply).ok_or_else(|| status(&reply))?;
                last = Some(status(&reply));
            }
            422 => return Err(Refusal::Contradicted(said(&reply))),
            _ => return Err(status(&reply)),
        }
    }
    Err(last.unwrap_or(Refusal::Status {
        status: 409,
        said: String::new(),
    }))
}

/// The witness's own lines of its answer, once they are seen to hold.
fn cosignature(reply: &Reply, peer: &Peer, note: &SignedNote) -> Result<String, Refusal> {
    let form = |why| Refusal::Cosignature(NoteError::Form(why));
    let lines = std::str::from_utf8(&reply.body).map_err(|_| form("it is not UTF-8"))?;
    let mut alone = note.with_only(&[]);
    alone.add_lines(lines).map_err(Refusal::Cosignature)?;
    alone
        .verify_cosignature(&peer.key)
        .map_err(Refusal::Cosignature)?;
    let own = alone.with_only(&[(peer.key.name(), peer.key.id())]);
    let own = own.to_string();
    let lines = own.strip_prefix(&format!("{}\n", note.unverified_text()));
    Ok(lines.unwrap_or_default().to_owned())
}

fn size_of(reply: &Reply) -> Option<u64> {
    if reply.content_type.as_deref() != Some(SIZE_TYPE) {
        return None;
    }
    let text = std::str::from_utf8(&reply.body).ok()?.strip_suffix('\n')?;
    let size: u64 = text.parse().ok()?;
    (size.to_string() == text).then_some(size)
}

fn status(reply: &Reply) -> Refusal {
    Refusal::Status {
        status: reply.status,
        said: said(reply),
    }
}

/// The beginning of an answer, without what terminals obey.
fn said(reply: &Reply) -> String {
    let text = String::from_utf8_lossy(&reply.body);
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect()
}

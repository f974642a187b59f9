//! Whether enough of the witnesses that one trusts cosigned a checkpoint.

use std::collections::BTreeMap;

use bailiwick_tlog::{NoteError, SignedNote, WitnessKey};

/// A witness that cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// Its name.
    pub name: String,
    /// When it did, in seconds since the Unix epoch, by its own clock.
    pub time: u64,
}

/// Why a checkpoint is not cosigned as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// Fewer cosigned than have to.
    #[error("{found} of the {named} witnesses named cosigned the checkpoint, and {needed} have to")]
    TooFew {
        /// How many cosigned.
        found: usize,
        /// How many have to.
        needed: usize,
        /// How many there are.
        named: usize,
    },
    /// A cosignature under the name of a witness does not hold: the note was tampered with.
    #[error(transparent)]
    Bad(#[from] NoteError),
}

/// Who of these witnesses cosigned a checkpoint, in the order in which they are named; at least `at_least` have to. A key
/// counts once, whatever names it goes by.
///
/// # Errors
/// [`QuorumError`]; a false cosignature of a named witness spoils the whole, as signed-note asks.
pub fn cosigned_by(
    note: &SignedNote,
    witnesses: &[WitnessKey],
    at_least: usize,
) -> Result<Vec<Cosigned>, QuorumError> {
    let mut found = BTreeMap::new();
    for (place, key) in witnesses.iter().enumerate() {
        match note.verify_cosignature(key) {
            Ok(time) => {
                let name = key.name().to_owned();
                found
                    .entry(key.public_bytes())
                    .or_insert((place, Cosigned { name, time }));
            }
            Err(NoteError::NotSigned { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if found.len() < at_least {
        return Err(QuorumError::TooFew {
            found: found.len(),
            needed: at_least,
            named: witnesses.len(),
        });
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, cosigned)| cosigned).collect())
}

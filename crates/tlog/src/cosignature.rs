//! Cosignatures of witnesses on checkpoints (C2SP tlog-cosignature, `cosignature/v1`).

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::key::{WitnessKey, WitnessSigningKey};
use crate::note::{NoteError, SignedNote, check_characters, signature_line};

/// Bytes of the timestamp before the signature.
const TIME_BYTES: usize = 8;
/// The specification's bound on timestamps.
const MAX_TIME: u64 = i64::MAX as u64;

impl WitnessSigningKey {
    /// Cosigns a checkpoint's text at `time`, in seconds since the Unix epoch, and gives the signature line with its
    /// newline. What the cosignature states (this is the largest tree seen of this log, consistent with all before it)
    /// is the caller's to have made sure of.
    ///
    /// # Errors
    /// [`CheckpointError::Form`] when the text is no checkpoint's, or the time is 0 or beyond 2^63 - 1.
    pub fn cosign(&self, text: &str, time: u64) -> Result<String, CheckpointError> {
        check_characters(text)?;
        Checkpoint::parse(text)?;
        if time == 0 || time > MAX_TIME {
            return Err(CheckpointError::Form("its cosignature's time is no time"));
        }
        let signature = self.signature(&message(text, time));
        let stamped = [time.to_be_bytes().as_slice(), &signature].concat();
        let key = self.verifier();
        Ok(signature_line(key.name(), key.id(), &stamped))
    }
}

impl SignedNote {
    /// The time of a witness's cosignature, in seconds since the Unix epoch, once it is seen to hold. The newest where
    /// there are several.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] when there is none, [`NoteError::BadSignature`] when one under the witness's name and id
    /// does not hold.
    pub fn verify_cosignature(&self, key: &WitnessKey) -> Result<u64, NoteError> {
        self.check(key.name(), key.id(), |stamped| {
            let (time, signature) = stamped.split_first_chunk::<TIME_BYTES>()?;
            let time = u64::from_be_bytes(*time);
            let known = time > 0 && time <= MAX_TIME;
            let holds = known && key.holds(&message(self.unverified_text(), time), signature);
            holds.then_some(time)
        })
    }
}

fn message(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

//! Proofs of the examples, beside the report.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bailiwick_audit::{VerifierKey, prove_entry, published_note};

use crate::assess::Assessment;
use crate::error::ReportError;

/// Writes a proof of each example into `folder`, which is made, and notes its name in the assessment as
/// `folder_name/…`. Gives the number of proofs. Sealed values are not opened in them: whoever may read those has the
/// log. Entries of a log that does not verify are not proven.
///
/// # Errors
/// When the folder cannot be written, or an entry of a sound log cannot be proven.
pub fn write_proofs(
    assessment: &mut Assessment,
    logs: &[(&Path, VerifierKey)],
    folder: &Path,
    folder_name: &str,
) -> Result<usize, ReportError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Io { path, source }
    };
    fs::create_dir_all(folder).map_err(io(folder))?;
    let mut written = BTreeSet::new();
    let sound: Vec<bool> = assessment
        .evidence
        .logs
        .iter()
        .map(crate::LogState::is_sound)
        .collect();
    let keep = used(assessment);
    for example in assessment.evidence.examples.values_mut().flatten() {
        let place = (example.log, example.index);
        let (Some((dir, key)), Some(true)) = (logs.get(example.log), sound.get(example.log)) else {
            continue;
        };
        if !keep.contains(&place) {
            continue;
        }
        let note = published_note(dir)?;
        let proven = match prove_entry(dir, example.index, &note, key) {
            // Not yet behind a published checkpoint.
            Err(bailiwick_audit::ProveError::NotCovered { .. }) => continue,
            other => other?.without_private(),
        };
        let name = format!("log-{}-entry-{}.tlog-proof", example.log, example.index);
        let path = folder.join(&name);
        fs::write(&path, proven.to_text()?).map_err(io(&path))?;
        example.proof = Some(format!("{folder_name}/{name}"));
        written.insert(place);
    }
    for (number, (_, key)) in logs.iter().enumerate() {
        let path = folder.join(format!("log-{number}.verifier.key"));
        fs::write(&path, format!("{key}\n")).map_err(io(&path))?;
    }
    Ok(written.len())
}

/// The examples that some control shows.
fn used(assessment: &Assessment) -> BTreeSet<(usize, u64)> {
    let controls = assessment.controls();
    let examples = controls.iter().flat_map(|control| &control.examples);
    examples
        .map(|example| (example.log, example.index))
        .collect()
}

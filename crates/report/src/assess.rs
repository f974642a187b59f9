//! A framework against the evidence of a period.

use std::path::Path;

use bailiwick_audit::{Filter, Progress, Verification, VerifierKey, query};

use crate::error::ReportError;
use crate::evidence::{Evidence, Example, LogState};
use crate::framework::{Control, Framework};
use crate::grants::Grants;

/// The most examples under one control.
const EXAMPLES: usize = 5;

/// From a time on, up to another and without it; RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub from: String,
    /// The moment after the last.
    pub to: String,
}

/// A report before it is written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The framework.
    pub framework: Framework,
    /// The period.
    pub period: Period,
    /// What was found.
    pub evidence: Evidence,
    /// Which grants were used.
    pub grants: Grants,
}

/// A control with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessed<'a> {
    /// The control.
    pub control: &'a Control,
    /// Number of entries that are evidence.
    pub count: u64,
    /// The same by kind; kinds without entries are left out.
    pub by_kind: Vec<(&'a str, u64)>,
    /// Some of them.
    pub examples: Vec<&'a Example>,
}

/// Reads the logs, each with its verifier key: verifies each whole, and reads the entries of the period in one pass.
/// A log that does not verify, or cannot be read to its end, is part of the answer and no error.
///
/// # Errors
/// [`ReportError::Period`] where the period is empty.
pub fn assess(
    logs: &[(&Path, VerifierKey)],
    framework: Framework,
    period: Period,
    mut progress: impl FnMut(Progress),
) -> Result<Assessment, ReportError> {
    if period.from >= period.to {
        return Err(ReportError::Period {
            from: period.from,
            to: period.to,
        });
    }
    let (mut evidence, mut grants) = (Evidence::default(), Grants::default());
    for (number, (dir, key)) in logs.iter().enumerate() {
        let mut state = verified(dir, key, &mut progress);
        let filter = Filter {
            since: Some(period.from.clone()),
            until: Some(period.to.clone()),
            ..Filter::default()
        };
        for stored in query(dir, filter) {
            let read = stored.and_then(|stored| stored.entry().map(|entry| (stored, entry)));
            match read {
                Ok((stored, entry)) => {
                    state.entries += 1;
                    evidence.add(number, &stored, &entry);
                    grants.add(&entry);
                }
                Err(error) if state.unread == 0 => {
                    state.unread = 1;
                    state.wrong.push(error.to_string());
                }
                Err(_) => state.unread += 1,
            }
        }
        evidence.logs.push(state);
    }
    Ok(Assessment {
        framework,
        period,
        evidence,
        grants,
    })
}

fn verified(dir: &Path, key: &VerifierKey, progress: &mut impl FnMut(Progress)) -> LogState {
    let outcome = Verification::new(key).with_progress(progress).run(dir);
    let (verdict, wrong) = match outcome {
        Ok(verified) => {
            let mut verdict = format!(
                "{} entries, all as they were signed; root {}",
                verified.sealed, verified.root
            );
            if verified.pruned > 0 {
                verdict.push_str(&format!(
                    "; the first {} are archived, and only their hashes are here",
                    verified.pruned
                ));
            }
            (verdict, Vec::new())
        }
        Err(report) => {
            let mut wrong: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
            if report.more > 0 {
                wrong.push(format!("and {} more", report.more));
            }
            ("the log is not what was signed".to_owned(), wrong)
        }
    };
    LogState {
        origin: key.name().to_owned(),
        verdict,
        wrong,
        entries: 0,
        unread: 0,
    }
}

impl Assessment {
    /// Whether every log is what was signed; a report over others must not be relied on.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.evidence.is_sound()
    }

    /// The controls with their evidence, in the framework's order.
    #[must_use]
    pub fn controls(&self) -> Vec<Assessed<'_>> {
        self.framework
            .controls
            .iter()
            .map(|control| self.control(control))
            .collect()
    }

    fn control<'a>(&'a self, control: &'a Control) -> Assessed<'a> {
        let evidence = &self.evidence;
        let kinds = control.events.iter();
        let by_kind: Vec<(&str, u64)> = kinds
            .filter_map(|kind| Some((kind.as_str(), *evidence.counts.get(kind)?)))
            .collect();
        let count = match control.every_entry {
            true => evidence.entries,
            false => evidence.count(&control.events),
        };
        // One of each kind first, so that the examples are of many kinds.
        let of_kind = |kind: &String| evidence.examples.get(kind).map_or(&[][..], Vec::as_slice);
        let rounds = (0..EXAMPLES).flat_map(|round| {
            control
                .events
                .iter()
                .filter_map(move |kind| of_kind(kind).get(round))
        });
        let mut examples: Vec<&Example> = rounds.take(EXAMPLES).collect();
        if examples.is_empty() && control.every_entry {
            let any = evidence
                .examples
                .values()
                .filter_map(|of_kind| of_kind.first());
            examples = any.take(EXAMPLES).collect();
        }
        Assessed {
            control,
            count,
            by_kind,
            examples,
        }
    }
}

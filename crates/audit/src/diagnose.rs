//! From hashes that differ to what was done.

use std::collections::HashMap;

use bailiwick_tlog::Hash;

use crate::report::{Report, Tampering};

/// A bundle whose entries and leaf hashes do not agree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// Index of its first entry.
    pub(crate) first: u64,
    /// Leaf hashes of the entries that are there.
    pub(crate) found: Vec<Hash>,
    /// Leaf hashes as the leaf tile has them.
    pub(crate) stored: Vec<Hash>,
    /// Leaf hashes as the journal has them; only for the last bundle.
    pub(crate) journal: Vec<Hash>,
    /// Leaf hashes that were signed.
    pub(crate) truth: Vec<Hash>,
    /// The bundle ends inside an entry.
    pub(crate) cut: bool,
    /// There is no bundle.
    pub(crate) missing: bool,
    pub(crate) entries_file: String,
    pub(crate) hashes_file: String,
    pub(crate) hashes_flaw: Option<String>,
}

/// Says what was done to each entry of these bundles. `proven`: the signed root confirms `truth`.
pub(crate) fn diagnose(rows: &[Row], proven: bool) -> Report {
    let mut report = Report::new();
    let unsure = if proven {
        ""
    } else {
        "; or its stored hash was: too much was altered to tell"
    };
    let signed_at = positions(rows, |row| &row.truth);
    let found_at = positions(rows, |row| &row.found);
    let all_cut_from = cut_off_from(rows);
    for row in rows {
        if let Some(flaw) = &row.hashes_flaw {
            report.add(
                Some(row.first),
                &row.hashes_file,
                Tampering::HashChanged,
                flaw.clone(),
            );
        } else if let Some(at) = first_difference(&row.truth, &row.stored) {
            let index = row.first + at as u64;
            report.add(
                Some(index),
                &row.hashes_file,
                Tampering::HashChanged,
                "the hash of this entry",
            );
        }
        if row.truth.is_empty() && !proven {
            continue;
        }
        entries(
            row,
            &signed_at,
            &found_at,
            all_cut_from,
            unsure,
            &mut report,
        );
    }
    report
}

fn entries(
    row: &Row,
    signed_at: &HashMap<Hash, u64>,
    found_at: &HashMap<Hash, u64>,
    cut_off_from: Option<u64>,
    unsure: &str,
    report: &mut Report,
) {
    let file = row.entries_file.as_str();
    if row.missing {
        return report.add(
            Some(row.first),
            file,
            Tampering::Truncated,
            format!("the file is missing{unsure}"),
        );
    }
    for (at, signed) in row.truth.iter().enumerate() {
        let index = row.first + at as u64;
        let found = row.found.get(at);
        if found == Some(signed) {
            continue;
        }
        if found.is_none() && !found_at.contains_key(signed) {
            let end = if cut_off_from == Some(index) {
                "the log ends here"
            } else {
                "its bundle ends here"
            };
            return report.add(
                Some(index),
                file,
                Tampering::Truncated,
                format!("{end}{unsure}"),
            );
        }
        match (
            found_at.get(signed),
            found.and_then(|found| signed_at.get(found)),
        ) {
            (Some(to), _) => report.add(
                Some(index),
                file,
                Tampering::Moved { to: *to },
                unsure.trim_start_matches("; "),
            ),
            (None, Some(from)) => {
                let detail = format!("entry {from} stands in its place{unsure}");
                report.add(Some(index), file, Tampering::Removed, detail);
            }
            (None, None) => report.add(
                Some(index),
                file,
                Tampering::Changed,
                unsure.trim_start_matches("; "),
            ),
        }
    }
    for (at, _) in row.found.iter().enumerate().skip(row.truth.len()) {
        report.add(
            Some(row.first + at as u64),
            file,
            Tampering::Inserted,
            "the bundle has more entries than were signed",
        );
    }
    if row.cut && row.found.len() >= row.truth.len() {
        let end = row.first + row.found.len() as u64;
        report.add(
            Some(end),
            file,
            Tampering::Inserted,
            "bytes follow the last entry that was signed",
        );
    }
}

fn positions(rows: &[Row], hashes: impl Fn(&Row) -> &Vec<Hash>) -> HashMap<Hash, u64> {
    let mut positions = HashMap::new();
    for row in rows {
        for (index, hash) in (row.first..).zip(hashes(row)) {
            positions.entry(*hash).or_insert(index);
        }
    }
    positions
}

/// The entry from which on nothing at all is left, if the bundles end so.
fn cut_off_from(rows: &[Row]) -> Option<u64> {
    let mut from = None;
    for row in rows.iter().rev() {
        if row.found.len() >= row.truth.len() || !row.truth.starts_with(&row.found) {
            break;
        }
        from = Some(row.first + row.found.len() as u64);
        if !row.found.is_empty() {
            break;
        }
    }
    from
}

fn first_difference(left: &[Hash], right: &[Hash]) -> Option<usize> {
    let differing = left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right);
    differing.or_else(|| (left.len() != right.len()).then(|| left.len().min(right.len())))
}

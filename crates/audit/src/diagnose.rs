//! From hashes that differ to what was done.

use std::collections::HashMap;

use bailiwick_tlog::{Hash, TILE_WIDTH};

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
    /// Leaf hashes that were signed; empty where nothing here has them.
    pub(crate) truth: Vec<Hash>,
    /// The bundle ends inside an entry.
    pub(crate) cut: bool,
    /// There is no bundle.
    pub(crate) missing: bool,
    /// There is none, and need not be.
    pub(crate) pruned: bool,
    pub(crate) entries_file: String,
    pub(crate) entries_flaw: Option<String>,
    pub(crate) hashes_file: String,
    pub(crate) hashes_flaw: Option<String>,
}

impl Row {
    /// The index after its last entry, if it is a full one.
    fn end(&self) -> u64 {
        self.first.saturating_add(TILE_WIDTH)
    }
}

/// Where signed entries are, and where those that are there were signed.
struct Places {
    signed: HashMap<Hash, u64>,
    found: HashMap<Hash, u64>,
    /// From here on nothing is left.
    all_cut_from: Option<u64>,
    /// Said where the signed root does not confirm anything.
    unsure: &'static str,
}

impl Places {
    /// Whether this entry stands where it was signed, so that another of it is a copy.
    fn stands(&self, entry: Option<&Hash>, signed_at: u64) -> bool {
        entry.and_then(|entry| self.found.get(entry)) == Some(&signed_at)
    }
}

/// Says what was done to each entry of these bundles. `proven`: the signed root confirms `truth`.
pub(crate) fn diagnose(rows: &[Row], proven: bool) -> Report {
    let mut report = Report::new();
    let places = Places {
        signed: positions(rows, |row| &row.truth),
        found: positions(rows, |row| &row.found),
        all_cut_from: cut_off_from(rows),
        unsure: if proven {
            ""
        } else {
            "; or its stored hash was: too much was altered to tell"
        },
    };
    missing(rows, places.unsure, &mut report);
    for row in rows {
        if row.missing && row.stored.is_empty() {
            continue;
        }
        if row.pruned {
            let what = "the entries were pruned, and this is not what was signed of them";
            let detail = row.hashes_flaw.as_deref().unwrap_or(what);
            let (file, last) = (&row.hashes_file, row.end() - 1);
            report.add_range(row.first, last, file, Tampering::HashChanged, detail);
            continue;
        }
        if let Some(flaw) = &row.entries_flaw {
            let file = &row.entries_file;
            report.add(Some(row.first), file, Tampering::Unreadable, flaw.clone());
        }
        hashes(row, &mut report);
        if row.missing || row.entries_flaw.is_some() {
            continue;
        }
        if row.truth.is_empty() {
            nothing_signed(row, &mut report);
        } else {
            entries(row, &places, &mut report);
        }
    }
    report
}

/// Bundles that are gone, those that follow each other as one.
fn missing(rows: &[Row], unsure: &str, report: &mut Report) {
    let mut gone = rows.iter().filter(|row| row.missing).peekable();
    while let Some(first) = gone.next() {
        let mut end = first.end();
        while let Some(next) = gone.next_if(|next| next.first == end) {
            end = next.end();
        }
        let file = &first.entries_file;
        let detail = format!("the file is missing{unsure}");
        if end == first.end() {
            report.add(Some(first.first), file, Tampering::Truncated, detail);
        } else {
            report.add_range(first.first, end - 1, file, Tampering::Truncated, detail);
        }
    }
}

fn hashes(row: &Row, report: &mut Report) {
    let file = &row.hashes_file;
    if let Some(flaw) = &row.hashes_flaw {
        report.add(Some(row.first), file, Tampering::HashChanged, flaw.clone());
    } else if let Some(at) = first_difference(&row.truth, &row.stored)
        .filter(|_| !row.truth.is_empty() && !row.stored.is_empty())
    {
        let index = row.first + at as u64;
        let detail = "the hash of this entry";
        report.add(Some(index), file, Tampering::HashChanged, detail);
    }
}

/// Neither the entries nor the leaf tile are those that were signed: at least where the two differ, something was done.
fn nothing_signed(row: &Row, report: &mut Report) {
    let at = first_difference(&row.found, &row.stored)
        .filter(|_| !row.stored.is_empty())
        .unwrap_or(0);
    let detail = "the entries and their stored hashes were both altered";
    let first = row.first + at as u64;
    let last = row.first + row.found.len().max(row.stored.len()).max(1) as u64 - 1;
    let file = &row.entries_file;
    report.add_range(first.min(last), last, file, Tampering::Changed, detail);
}

fn entries(row: &Row, places: &Places, report: &mut Report) {
    let file = row.entries_file.as_str();
    let unsure = places.unsure;
    for (at, signed) in row.truth.iter().enumerate() {
        let index = row.first + at as u64;
        let found = row.found.get(at);
        if found == Some(signed) {
            continue;
        }
        let now_at = places.found.get(signed).copied();
        if found.is_none() && now_at.is_none() {
            let end = if places.all_cut_from == Some(index) {
                "the log ends here"
            } else {
                "its bundle ends here"
            };
            let detail = format!("{end}{unsure}");
            return report.add(Some(index), file, Tampering::Truncated, detail);
        }
        let (tampering, detail) = one(index, now_at, found, places);
        report.add(Some(index), file, tampering, detail);
    }
    for (at, _) in row.found.iter().enumerate().skip(row.truth.len()) {
        let detail = "the bundle has more entries than were signed";
        let index = row.first + at as u64;
        report.add(Some(index), file, Tampering::Inserted, detail);
    }
    if row.cut && row.found.len() >= row.truth.len() {
        let end = row.first + row.found.len() as u64;
        let detail = "bytes follow the last entry that was signed";
        report.add(Some(end), file, Tampering::Inserted, detail);
    }
}

/// What was done at one index where another entry stands than was signed.
fn one(
    index: u64,
    now_at: Option<u64>,
    found: Option<&Hash>,
    places: &Places,
) -> (Tampering, String) {
    let signed_at = found.and_then(|found| places.signed.get(found)).copied();
    let sure = || places.unsure.trim_start_matches("; ").to_owned();
    match (now_at, signed_at) {
        // What was here is the next one now, and what is here belongs nowhere, or is a copy of what stands elsewhere.
        (Some(to), None) if to == index + 1 => (Tampering::Inserted, sure()),
        (Some(to), Some(from)) if to == index + 1 && places.stands(found, from) => (
            Tampering::Inserted,
            format!("a copy of entry {from}{}", places.unsure),
        ),
        (Some(to), _) => (Tampering::Moved { to }, sure()),
        (None, Some(from)) => (
            Tampering::Removed,
            format!("entry {from} stands in its place{}", places.unsure),
        ),
        (None, None) => (Tampering::Changed, sure()),
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

//! Whether what is kept beside the tree opens what stands in the tree.

use std::path::Path;

use super::files::{Fetched, MAX_SEGMENT_BYTES, fetch};
use crate::layout::{PRIVATE_DIR, private_path};
use crate::openings::{Opening, decode_bundle_openings, decode_openings};
use crate::report::{Report, Tampering};

/// Checks openings as entries come by. That some are missing is no finding: openings may be erased, and a log may be
/// handed on without them.
#[derive(Debug)]
pub(crate) struct SealedCheck {
    /// Openings that are what was sealed.
    pub(crate) good: u64,
    pub(crate) report: Report,
}

impl SealedCheck {
    pub(crate) fn new() -> Self {
        Self {
            good: 0,
            report: Report::new(),
        }
    }

    /// The private file of a full bundle, if there is one. `bundle` is the bundle's bytes.
    pub(crate) fn bundle(&mut self, dir: &Path, index: u64, bundle: &[u8], buffer: &mut Vec<u8>) {
        let first = index * bailiwick_tlog::TILE_WIDTH;
        let file = format!("{PRIVATE_DIR}/{index:012}");
        match fetch(&private_path(dir, index), MAX_SEGMENT_BYTES, buffer) {
            Fetched::Missing => return,
            Fetched::Bad(why) => {
                return self
                    .report
                    .add(Some(first), &file, Tampering::Unreadable, why);
            }
            Fetched::Whole => {}
        }
        let opened = match decode_bundle_openings(buffer) {
            Ok(opened) => opened,
            Err(error) => {
                let why = error.to_string();
                return self
                    .report
                    .add(Some(first), &file, Tampering::OpeningChanged, why);
            }
        };
        let entries = bailiwick_tlog::decode_bundle(bundle).unwrap_or_default();
        for (at, openings) in &opened {
            let index = first + u64::from(*at);
            let entry = entries.get(usize::from(*at)).copied().unwrap_or_default();
            self.openings(index, entry, openings, &file);
        }
    }

    /// What the journal keeps before an entry.
    pub(crate) fn record(&mut self, index: u64, entry: &[u8], openings: &[u8], file: &str) {
        if openings.is_empty() {
            return;
        }
        match decode_openings(openings) {
            Ok(openings) => self.openings(index, entry, &openings, file),
            Err(error) => {
                let why = error.to_string();
                self.report
                    .add(Some(index), file, Tampering::OpeningChanged, why);
            }
        }
    }

    fn openings(&mut self, index: u64, entry: &[u8], openings: &[Opening], file: &str) {
        for opening in openings {
            // As the whole string that it is in the JSON.
            let sealed = format!("\"{}\"", opening.commitment());
            if memchr::memmem::find(entry, sealed.as_bytes()).is_some() {
                self.good += 1;
            } else {
                let detail = "what should open it is not what was sealed";
                self.report
                    .add(Some(index), file, Tampering::OpeningChanged, detail);
            }
        }
    }
}

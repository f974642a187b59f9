//! What verification says.

use std::fmt;

use bailiwick_tlog::{CheckpointError, Hash, NoteError};

/// A log in which everything behind a signature is as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The log's identity.
    pub origin: String,
    /// Whole entries, sealed or not.
    pub size: u64,
    /// Entries behind the latest signature: the published checkpoint's or a later seal's.
    pub sealed: u64,
    /// Entries behind the published checkpoint.
    pub published: u64,
    /// The root over the sealed entries.
    pub root: Hash,
    /// Bytes of an unfinished entry at the end: one being written just now, or left by a crash.
    pub unfinished_bytes: u64,
    /// Bytes of all entries that were read.
    pub bytes: u64,
    /// Entries from the first that were pruned, as an entry says, and are not here: only their hashes were checked.
    pub pruned: u64,
    /// Sealed strings that were opened and are what was sealed.
    pub openings: u64,
    /// Checkpoints kept elsewhere that this log agrees with.
    pub kept: usize,
    /// Names in the log's folder that are none of a log's files. Nobody reads those as part of it.
    pub beside: Vec<String>,
}

impl Verified {
    /// Entries at the end that no signature covers yet; nothing can be said about those.
    #[must_use]
    pub fn unsealed(&self) -> u64 {
        self.size.saturating_sub(self.sealed)
    }
}

/// What was done to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tampering {
    /// The entry is another one.
    Changed,
    /// The entry is gone.
    Removed,
    /// There is an entry that was never signed.
    Inserted,
    /// The entry is there, but at another index.
    Moved {
        /// Where it is now.
        to: u64,
    },
    /// Everything from this entry to the end of its file or of the log is gone.
    Truncated,
    /// A stored hash is not that of what it covers.
    HashChanged,
    /// There is no checkpoint.
    CheckpointMissing,
    /// The checkpoint or a seal was altered after signing, or is none.
    CheckpointChanged,
    /// The checkpoint was signed by another key, or is of another log.
    ForeignKey,
    /// The log or its checkpoint was put back to an earlier state.
    RolledBack,
    /// Entries were rewritten together with their hashes: they agree with each other and not with the signature.
    Rewritten,
    /// Two histories were signed: a checkpoint that was kept elsewhere, or another signature in the log, contradicts it.
    Forked,
    /// What was signed is no entry, or one of a version that this program does not read.
    Malformed,
    /// What opens a sealed string is not what was sealed, or belongs to no entry.
    OpeningChanged,
    /// A file that no log has lies among the log's.
    Strange,
    /// A file cannot be read at all, or is none.
    Unreadable,
}

impl Tampering {
    /// Its name, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Moved { .. } => "moved",
            Self::Truncated => "truncated",
            Self::HashChanged => "hash_changed",
            Self::CheckpointMissing => "checkpoint_missing",
            Self::CheckpointChanged => "checkpoint_changed",
            Self::ForeignKey => "foreign_key",
            Self::RolledBack => "rolled_back",
            Self::Rewritten => "rewritten",
            Self::Forked => "forked",
            Self::Malformed => "malformed",
            Self::OpeningChanged => "opening_changed",
            Self::Strange => "strange",
            Self::Unreadable => "unreadable",
        }
    }

    /// What it means for a checkpoint that it is not accepted.
    #[must_use]
    pub fn of_checkpoint(error: &CheckpointError) -> Self {
        match error {
            CheckpointError::Note(NoteError::NotSigned { .. }) | CheckpointError::Origin { .. } => {
                Self::ForeignKey
            }
            _ => Self::CheckpointChanged,
        }
    }

    /// What was done, said of an entry or of several.
    fn describe(self, several: bool) -> String {
        let (was, has, is) = if several {
            ("were", "have", "are")
        } else {
            ("was", "has", "is")
        };
        match self {
            Self::Changed => format!("{was} changed"),
            Self::Removed => format!("{was} removed"),
            Self::Inserted => format!("{was} inserted"),
            Self::Moved { to } if several => format!("were moved, to index {to} and after it"),
            Self::Moved { to } => format!("was moved to index {to}"),
            Self::Truncated => format!("and what follows {was} cut off"),
            Self::HashChanged => format!("{has} a stored hash that was changed"),
            Self::CheckpointMissing => "the checkpoint is missing".into(),
            Self::CheckpointChanged => "a signed checkpoint was changed".into(),
            Self::ForeignKey => "the log is signed by a foreign key".into(),
            Self::RolledBack => "the log was put back to an earlier state".into(),
            Self::Rewritten => "the log was rewritten".into(),
            Self::Forked => "the log was forked".into(),
            Self::Malformed => format!("{is} signed, and no entry"),
            Self::OpeningChanged => format!("{has} a sealed string that was changed"),
            Self::Strange => "a strange file lies among the log's".into(),
            Self::Unreadable => "a file cannot be read".into(),
        }
    }

    /// Whether it is said of entries, and not of the log.
    fn is_of_entries(self) -> bool {
        matches!(
            self,
            Self::Changed
                | Self::Removed
                | Self::Inserted
                | Self::Moved { .. }
                | Self::Truncated
                | Self::HashChanged
                | Self::Malformed
                | Self::OpeningChanged
        )
    }

    /// Whether the same was done to the next entry as to this one, `distance` before it.
    fn goes_on(self, next: Self, distance: u64) -> bool {
        match (self, next) {
            (Self::Moved { to }, Self::Moved { to: next }) => {
                to.checked_add(distance) == Some(next)
            }
            (Self::Changed, Self::Changed) => true,
            _ => false,
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The first entry concerned, where that can be told.
    pub index: Option<u64>,
    /// The last entry concerned, where there are several, or where it can only be told that it is one of them: then
    /// the detail says so.
    pub until: Option<u64>,
    /// The file, below the log's folder.
    pub file: String,
    /// What was done.
    pub tampering: Tampering,
    /// More, for people.
    pub detail: String,
}

impl Finding {
    /// Where the entry is now, if it was moved.
    #[must_use]
    pub fn moved_to(&self) -> Option<u64> {
        match self.tampering {
            Tampering::Moved { to } => Some(to),
            _ => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = match (self.index, self.until) {
            (Some(index), Some(until)) => format!("entries {index} to {until}"),
            (Some(index), None) => format!("entry {index}"),
            (None, _) => String::new(),
        };
        let what = self.tampering.describe(self.until.is_some());
        match (entries.is_empty(), self.tampering.is_of_entries()) {
            (true, _) => f.write_str(&what)?,
            (false, true) => write!(f, "{entries} {what}")?,
            (false, false) => write!(f, "{what}, at {entries}")?,
        }
        write!(f, " ({})", self.file)?;
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.detail)
        }
    }
}

impl Finding {
    /// Entries before what is derived from them, and in the order of the log.
    fn rank(&self) -> (bool, bool, Option<u64>, bool) {
        let hash = self.tampering == Tampering::HashChanged;
        let over_several = self.until.is_some() && (hash || self.tampering == Tampering::Rewritten);
        (self.index.is_none(), over_several, self.index, hash)
    }

    /// Takes in the next entry where the same was done to it, so that a log that was shifted by one has one finding.
    fn take_in(&mut self, index: u64, tampering: Tampering, detail: &str) -> bool {
        let Some(first) = self.index else {
            return false;
        };
        let next = self.until.unwrap_or(first).checked_add(1) == Some(index);
        let distance = index.saturating_sub(first);
        let same = self.detail == detail && self.tampering.goes_on(tampering, distance);
        if next && same {
            self.until = Some(index);
        }
        next && same
    }
}

/// A log that is not as it was signed. Findings come in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was found; at least one.
    pub findings: Vec<Finding>,
    /// How many more findings were counted and not kept.
    pub more: u64,
}

/// A rewritten log can have a finding for each entry; people read the first ones.
const MAX_FINDINGS: usize = 1000;

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            findings: Vec::new(),
            more: 0,
        }
    }

    pub(crate) fn of(
        index: Option<u64>,
        file: &str,
        tampering: Tampering,
        detail: impl Into<String>,
    ) -> Self {
        let mut report = Self::new();
        report.add(index, file, tampering, detail);
        report
    }

    pub(crate) fn add(
        &mut self,
        index: Option<u64>,
        file: &str,
        tampering: Tampering,
        detail: impl Into<String>,
    ) {
        let detail = detail.into();
        if let (Some(index), Some(last)) = (index, self.findings.last_mut())
            && last.take_in(index, tampering, &detail)
        {
            return;
        }
        self.push(Finding {
            index,
            until: None,
            file: file.to_owned(),
            tampering,
            detail,
        });
    }

    /// A finding on the entries from `first` to `last`.
    pub(crate) fn add_range(
        &mut self,
        first: u64,
        last: u64,
        file: &str,
        tampering: Tampering,
        detail: impl Into<String>,
    ) {
        self.push(Finding {
            index: Some(first),
            until: (last > first).then_some(last),
            file: file.to_owned(),
            tampering,
            detail: detail.into(),
        });
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Takes over what another report found.
    pub(crate) fn extend(&mut self, other: Self) {
        self.more += other.more;
        for finding in other.findings {
            self.push(finding);
        }
    }

    /// `Ok` when nothing was found.
    pub(crate) fn into_result(mut self) -> Result<(), Self> {
        self.findings.sort_by_key(Finding::rank);
        if self.findings.is_empty() {
            Ok(())
        } else {
            Err(self)
        }
    }

    /// The first finding.
    #[must_use]
    pub fn first(&self) -> Option<&Finding> {
        self.findings.first()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log does not verify")?;
        for finding in &self.findings {
            write!(f, "\n  {finding}")?;
        }
        if self.more > 0 {
            write!(f, "\n  and {} more", self.more)
        } else {
            Ok(())
        }
    }
}

impl std::error::Error for Report {}

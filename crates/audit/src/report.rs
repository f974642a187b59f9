//! What verification says.

use std::fmt;

use bailiwick_tlog::Hash;

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
    /// The log was rewritten: it contradicts an earlier checkpoint of its own.
    Rewritten,
    /// A file cannot be read at all.
    Unreadable,
}

impl Tampering {
    fn describe(self) -> String {
        match self {
            Self::Changed => "was changed".into(),
            Self::Removed => "was removed".into(),
            Self::Inserted => "was inserted".into(),
            Self::Moved { to } => format!("was moved to index {to}"),
            Self::Truncated => "and what follows it was cut off".into(),
            Self::HashChanged => "has a stored hash that was changed".into(),
            Self::CheckpointMissing => "the checkpoint is missing".into(),
            Self::CheckpointChanged => "a signed checkpoint was changed".into(),
            Self::ForeignKey => "the checkpoint is signed by a foreign key".into(),
            Self::RolledBack => "the log was put back to an earlier state".into(),
            Self::Rewritten => "the log was rewritten".into(),
            Self::Unreadable => "a file cannot be read".into(),
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The first entry concerned, where that can be told.
    pub index: Option<u64>,
    /// The file, below the log's folder.
    pub file: String,
    /// What was done.
    pub tampering: Tampering,
    /// More, for people.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index {
            write!(f, "entry {index} ")?;
        }
        write!(f, "{} ({})", self.tampering.describe(), self.file)?;
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.detail)
        }
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
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding {
                index,
                file: file.to_owned(),
                tampering,
                detail: detail.into(),
            });
        } else {
            self.more += 1;
        }
    }

    /// `Ok` when nothing was found.
    pub(crate) fn into_result(mut self) -> Result<(), Self> {
        self.findings
            .sort_by_key(|finding| (finding.index.is_none(), finding.index));
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

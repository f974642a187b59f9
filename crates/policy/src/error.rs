//! What is wrong with a policy set: where, and how to mend it.

use std::fmt;

/// One thing that is wrong, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The source's name, such as `policies/site.cedar`.
    pub source: String,
    /// Line, from 1; 0 where no one line is to blame.
    pub line: usize,
    /// Column in characters, from 1; 0 where no one line is to blame.
    pub column: usize,
    /// Byte offset and length in the source's text.
    pub span: (usize, usize),
    /// What is wrong, in one sentence.
    pub message: String,
    /// How to mend it, in one sentence.
    pub help: String,
}

impl Problem {
    /// A problem at `span` of `text`.
    pub(crate) fn at(
        source: &str,
        text: &str,
        span: (usize, usize),
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let before = text.get(..span.0).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            source: source.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span,
            message: message.into(),
            help: help.into(),
        }
    }

    /// A problem of a whole source.
    pub(crate) fn of(source: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            source: source.to_owned(),
            line: 0,
            column: 0,
            span: (0, 0),
            message: message.into(),
            help: help.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}\n  hint: {}", self.message, self.help)
    }
}

/// Why a policy set, a classification or a person's grant was not loaded. Nothing of it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    problems: Vec<Problem>,
}

impl PolicyError {
    /// The problems, at least one, in the order in which they stand.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        Err(Self { problems })
    }
}

impl From<Problem> for PolicyError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for problem in &self.problems {
            if !first {
                f.write_str("\n")?;
            }
            first = false;
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

//! What is wrong with a manifest, where, and how to mend it.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use crate::{Source, Span};

/// More problems than this are not collected: an attacker controls how many a file has.
pub const MAX_PROBLEMS: usize = 64;

/// One problem at one place of one manifest.
///
/// `Display` is the message alone; [`ManifestErrors`] prints place and help as well, and any
/// `miette` report handler can draw the source line.
#[derive(Debug, Clone)]
pub struct ManifestError {
    source: Source,
    span: Span,
    message: String,
    label: String,
    help: String,
    related: Option<(Span, String)>,
}

impl ManifestError {
    /// A problem in `source` at `span`: what is wrong, and how to mend it.
    #[must_use]
    pub fn new(
        source: &Source,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            source: source.clone(),
            span,
            message: message.into(),
            label: "here".to_owned(),
            help: help.into(),
            related: None,
        }
    }

    /// The same problem with other words under the marked place.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same problem with a second marked place, such as the first of two duplicates.
    #[must_use]
    pub fn and_at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How to mend it.
    #[must_use]
    pub fn help_text(&self) -> &str {
        &self.help
    }

    /// Where it stands, in bytes of the source.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The manifest in which it stands.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Line and column, both from 1, columns in characters.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        self.source.line_column(self.span.start())
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ManifestError {}

impl Diagnostic for ManifestError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("bailiwick::manifest"))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let main = LabeledSpan::new_primary_with_span(Some(self.label.clone()), self.span);
        let other = self
            .related
            .iter()
            .map(|(span, label)| LabeledSpan::new_with_span(Some(label.clone()), *span));
        Some(Box::new(std::iter::once(main).chain(other)))
    }
}

/// All problems found in one go; never empty when it comes out of this crate.
///
/// `Display` prints each as `name:line:column: message` with its help below.
#[derive(Debug, Clone)]
pub struct ManifestErrors {
    problems: Vec<ManifestError>,
    left_out: usize,
}

impl ManifestErrors {
    /// Wraps problems that a later stage (path resolution, say) found.
    #[must_use]
    pub fn new(mut problems: Vec<ManifestError>) -> Self {
        let left_out = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        Self { problems, left_out }
    }

    /// The problems in the order of their places, at most [`MAX_PROBLEMS`].
    #[must_use]
    pub fn problems(&self) -> &[ManifestError] {
        &self.problems
    }

    /// How many more there were.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

impl From<ManifestError> for ManifestErrors {
    fn from(error: ManifestError) -> Self {
        Self::new(vec![error])
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let (line, column) = problem.line_column();
            write!(
                f,
                "{}:{line}:{column}: {}\n  help: {}",
                problem.source.name(),
                problem.message,
                problem.help
            )?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestErrors {}

impl Diagnostic for ManifestErrors {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("bailiwick::manifest"))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.problems.iter().map(|one| one as &dyn Diagnostic),
        ))
    }
}

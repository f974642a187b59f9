//! What stops an analysis.

/// Why a question has no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// The solver did not start, or did not speak.
    #[error(
        "the solver `{program}` does not answer: {why}\n  hint: install cvc5 (Debian: `apt-get install cvc5`; in this repository: `cargo xtask setup`), or name it by --solver"
    )]
    Solver {
        /// The program.
        program: String,
        /// What went wrong.
        why: String,
    },
    /// A question about a label that there is not: nothing bears it, and "no" would say nothing.
    #[error(
        "there is no label `{label}`\n  hint: the labels here are {known}; `classification:` in the configuration makes others"
    )]
    Label {
        /// The label, printable.
        label: String,
        /// Those that there are.
        known: String,
    },
    /// Policies could not be told to the solver.
    #[error("the policies cannot be encoded: {0}")]
    Encode(String),
}

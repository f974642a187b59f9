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
    /// Policies could not be told to the solver.
    #[error("the policies cannot be encoded: {0}")]
    Encode(String),
}

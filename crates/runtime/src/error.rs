//! Why a command line could not be made ready to run.

use std::path::{Path, PathBuf};

/// Why a command line could not be made ready. Nothing of the plugin ran.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// There is no command at all.
    #[error("the command line is empty; hint: name a program, such as `npx -y some-server`")]
    Empty,
    /// No such program.
    #[error("no program `{program}` in {searched}; hint: {mend}")]
    NotFound {
        /// The program as written.
        program: String,
        /// Where it was looked for.
        searched: String,
        /// What would help.
        mend: String,
    },
    /// The command asks for something that is not allowed here.
    #[error("`{command}` is refused: {why}; hint: {mend}")]
    Refused {
        /// The offending word or command.
        command: String,
        /// Why.
        why: String,
        /// What to write instead.
        mend: String,
    },
    /// A file is not a program that can be understood.
    #[error("`{}` cannot be run: {why}", shown(path))]
    Program {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A shared library is nowhere to be found.
    #[error(
        "`{}` needs the library `{library}`, which is not in {searched}; hint: install the package that ships it",
        shown(object)
    )]
    Library {
        /// What needs it.
        object: PathBuf,
        /// Its soname.
        library: String,
        /// Where it was looked for.
        searched: String,
    },
    /// A package could not be prepared.
    #[error("the package `{package}` could not be prepared: {why}; hint: {mend}")]
    Package {
        /// The package as asked for.
        package: String,
        /// Why.
        why: String,
        /// What would help.
        mend: String,
    },
    /// A step of preparing a package could not be run.
    #[error("{what} could not be run: {why}")]
    Step {
        /// The step.
        what: String,
        /// Why.
        why: String,
    },
    /// The cache cannot be trusted or used.
    #[error("the cache `{}` cannot be used: {why}; hint: {mend}", shown(path))]
    Cache {
        /// The path in question.
        path: PathBuf,
        /// Why.
        why: String,
        /// What would help.
        mend: String,
    },
    /// The system refused an operation.
    #[error("cannot {what} `{}`: {source}", shown(path))]
    Io {
        /// The operation, such as `read`.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

/// A path without what terminals obey: a package chose its name.
fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

/// For `map_err`: wraps an I/O error with what was tried on which path.
pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RuntimeError {
    let path = path.to_owned();
    move |source| RuntimeError::Io { what, path, source }
}

//! Program scopes: what may be executed.

use std::fmt;

use crate::{AbsPath, CapabilityError};

/// A program by path, or by a bare name that the host resolves when the plugin is loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgramRef {
    /// An absolute path.
    Path(AbsPath),
    /// A name without a slash, such as `git`.
    Named(String),
}

/// A program and the leading arguments it must be given; more may follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramScope {
    program: ProgramRef,
    args: Vec<String>,
}

impl ProgramScope {
    /// Puts a scope together.
    ///
    /// # Errors
    /// Control characters in an argument.
    pub fn new(program: ProgramRef, args: Vec<String>) -> Result<Self, CapabilityError> {
        if let Some(arg) = args.iter().find(|arg| arg.chars().any(char::is_control)) {
            return Err(broken(arg));
        }
        Ok(Self { program, args })
    }

    /// Reads a program and arguments, quoted as in a POSIX shell.
    ///
    /// # Errors
    /// Unbalanced quotes, control characters, relative paths, ` except ` in an argument.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        let broken = || broken(text);
        if text.chars().any(char::is_control) {
            return Err(broken());
        }
        let mut words = shlex::split(text).ok_or_else(broken)?.into_iter();
        let program = words
            .next()
            .filter(|word| !word.is_empty())
            .ok_or_else(broken)?;
        let program = if program.contains('/') {
            ProgramRef::Path(AbsPath::parse(&program)?)
        } else if is_program_name(&program) {
            ProgramRef::Named(program)
        } else {
            return Err(broken());
        };
        let args: Vec<String> = words.collect();
        // A grant is written down as text, where this word begins its exceptions: read back, such an argument
        // would be one, and the program would be granted with any arguments.
        if args
            .iter()
            .any(|arg| format!(" {arg} ").contains(" except "))
        {
            return Err(CapabilityError::new(
                format!(
                    "`{}` holds the reserved word ` except `",
                    text.escape_debug()
                ),
                "grant the program with other leading arguments",
            ));
        }
        Ok(Self { program, args })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &ProgramRef {
        &self.program
    }

    /// The leading arguments, without the program.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.args
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.program == other.program && other.args.starts_with(&self.args)
    }
}

fn broken(text: &str) -> CapabilityError {
    CapabilityError::new(
        format!("`{}` is not a command line", text.escape_debug()),
        "write a program and arguments, quoted as in a shell, such as `/usr/bin/git log`",
    )
}

fn is_program_name(text: &str) -> bool {
    !text.starts_with(['-', '.'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
}

impl fmt::Display for ProgramScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control characters, NUL among them, were refused on the way in, so quoting cannot fail.
        let quote = |word: &str| {
            shlex::try_quote(word)
                .map(|q| q.into_owned())
                .map_err(|_| fmt::Error)
        };
        match &self.program {
            ProgramRef::Path(path) => write!(f, "{}", quote(path.as_str())?)?,
            ProgramRef::Named(name) => write!(f, "{}", quote(name)?)?,
        }
        for arg in &self.args {
            write!(f, " {}", quote(arg)?)?;
        }
        Ok(())
    }
}

//! A terminal of the program's own, made like the person's.

use std::io::{self, IsTerminal as _};
use std::os::fd::BorrowedFd;

use crate::sys::{self, Modes, Size};

/// What a terminal inside is made like: modes and size of a terminal outside, as they are now. The program
/// never gets a descriptor of that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    pub(crate) modes: Modes,
    pub(crate) size: Size,
    errors: bool,
}

impl Terminal {
    /// A terminal like `outside`. Standard error goes to it as well, where the host's is a terminal.
    ///
    /// # Errors
    /// When `outside` is no terminal.
    pub fn like(outside: BorrowedFd<'_>) -> io::Result<Self> {
        let failed = io::Error::from_raw_os_error;
        Ok(Self {
            modes: sys::modes(outside).map_err(failed)?,
            size: sys::size(outside).map_err(failed)?,
            errors: io::stderr().is_terminal(),
        })
    }

    /// Whether standard error goes there, too.
    pub(crate) fn takes_errors(&self) -> bool {
        self.errors
    }
}

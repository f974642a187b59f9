//! How results and errors look: standard output is for data, standard error for people.

use std::io::Write as _;
use std::process::ExitCode;

use bailiwick_gate::discover::DiscoverError;
use comfy_table::presets::UTF8_FULL;
use comfy_table::{ContentArrangement, Table};

/// Everything is fine.
pub(crate) const FINE: u8 = 0;
/// Something wrong was found.
pub(crate) const FOUND: u8 = 1;
/// Usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// The wall could not be built.
pub(crate) const NO_WALL: u8 = 125;
/// Nobody reads standard output any more: 128 and SIGPIPE's number, as shells say it.
const CLOSED: i32 = 141;
/// Refused by policy.
pub(crate) const REFUSED: u8 = 126;

/// An error that ends the command with a status of its own.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) status: u8,
    pub(crate) message: String,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Exit {}

/// An error with a status.
pub(crate) fn exit(status: u8, message: impl Into<String>) -> anyhow::Error {
    Exit {
        status,
        message: message.into(),
    }
    .into()
}

/// An error that points at its lines.
pub(crate) fn diagnostic<E>(error: E) -> anyhow::Error
where
    E: miette::Diagnostic + Send + Sync + 'static,
{
    let shown = format!("{:?}", miette::Report::new(error));
    exit(USAGE, shown.trim_start().to_owned())
}

/// What is wrong with a plugin on disk, with its lines where it has some.
pub(crate) fn undiscovered(error: DiscoverError) -> anyhow::Error {
    match error {
        DiscoverError::Manifest(errors) => diagnostic(errors),
        other => exit(USAGE, other.to_string()),
    }
}

/// Prints an error and says which status the command ends with.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    let status = error
        .downcast_ref::<Exit>()
        .map_or(USAGE, |exit| exit.status);
    eprintln!("error: {error:#}");
    ExitCode::from(status)
}

/// The terminal's width in columns, within what a table can use; 120 where there is no terminal.
fn width() -> u16 {
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
    if columns == 0 {
        120
    } else {
        columns.clamp(80, 200)
    }
}

/// Prints a line of data. A reader that has gone away, such as `head`, ends the command as it ends others.
macro_rules! say {
    () => { $crate::report::line(format_args!("")) };
    ($($text:tt)*) => { $crate::report::line(format_args!($($text)*)) };
}
pub(crate) use say;

pub(crate) fn line(text: std::fmt::Arguments<'_>) {
    if writeln!(std::io::stdout().lock(), "{text}").is_err() {
        std::process::exit(CLOSED);
    }
}

/// A table as wide as the terminal.
pub(crate) fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width());
    table.set_header(head);
    table
}

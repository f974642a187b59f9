//! How results and errors look: standard output is for data, standard error for people.

use std::io::Write as _;
use std::process::ExitCode;

use bailiwick_gate::discover::DiscoverError;
use bailiwick_manifest::ManifestErrors;
use comfy_table::presets::UTF8_FULL;
use comfy_table::{ContentArrangement, Table};

/// Everything is fine.
pub(crate) const FINE: u8 = 0;
/// Something wrong was found.
pub(crate) const FOUND: u8 = 1;
/// Usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// A limit that a person set was reached, as timeout(1) says it.
pub(crate) const LIMIT: u8 = 124;
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

/// Every problem of a manifest, each at its lines.
pub(crate) fn diagnostic(errors: ManifestErrors) -> anyhow::Error {
    let drawn = errors.problems().iter().map(|problem| {
        let drawn = format!("{:?}", miette::Report::new(problem.clone()));
        drawn.trim().to_owned()
    });
    let mut parts: Vec<String> = drawn.collect();
    let count = parts.len() + errors.left_out();
    if errors.left_out() > 0 {
        parts.push(format!("and {} more", errors.left_out()));
    }
    let problems = if count == 1 { "problem" } else { "problems" };
    exit(
        USAGE,
        format!("{count} {problems} to mend\n\n{}", parts.join("\n\n")),
    )
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

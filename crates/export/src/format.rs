//! The formats.

use std::fmt;
use std::str::FromStr;

use crate::record::Record;
use crate::text::json_line;
use crate::{cef, ocsf, otlp, syslog};

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OCSF events as JSON lines.
    Ocsf,
    /// OpenTelemetry log records: protobuf over HTTP, JSON lines in files.
    Otlp,
    /// RFC 5424 messages.
    Syslog,
    /// CEF lines; inside RFC 5424 messages where they are sent.
    Cef,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Ocsf, Self::Otlp, Self::Syslog, Self::Cef];

    /// Its name: `ocsf`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ocsf => "ocsf",
            Self::Otlp => "otlp",
            Self::Syslog => "syslog",
            Self::Cef => "cef",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no format: write ocsf, otlp, syslog or cef"))
    }
}

/// One record on one line, without its end, as it stands in a file.
#[must_use]
pub fn encode_line(format: Format, record: &Record, host: &str) -> Vec<u8> {
    match format {
        Format::Ocsf => json_line(&ocsf::event(record)).into_bytes(),
        Format::Otlp => json_line(&otlp::json(std::slice::from_ref(record))).into_bytes(),
        Format::Syslog => syslog::message(record, host, usize::MAX),
        Format::Cef => cef::line(record).into_bytes(),
    }
}

/// Records as lines, each with its end.
#[must_use]
pub fn encode_lines(format: Format, records: &[Record], host: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        out.extend(encode_line(format, record, host));
        out.push(b'\n');
    }
    out
}

/// One record as a message of its own, of at most `limit` bytes, for a syslog receiver.
pub(crate) fn encode_message(format: Format, record: &Record, host: &str, limit: usize) -> Vec<u8> {
    if format == Format::Cef {
        let message = syslog::around(record, host, &cef::line(record));
        if message.len() <= limit {
            return message;
        }
    }
    syslog::message(record, host, limit)
}

//! Sends entries of an audit log on to where people already look: OCSF, OpenTelemetry, syslog (RFC 5424) and CEF.
//!
//! An export reads what the log has published, on a thread of its own, and keeps its place in a file. It never holds
//! up the log: a target that is slow, dead or lying only delays. Every record carries the log's origin and the
//! entry's index, so a hole shows in the export itself; where the exporter leaves something out, a marker says so.
#![forbid(unsafe_code)]

mod backoff;
mod cef;
mod cursor;
mod error;
mod exporter;
mod format;
mod ocsf;
mod otlp;
mod record;
mod severity;
mod sink;
mod source;
mod syslog;
mod target;
mod text;

pub use error::ExportError;
pub use exporter::{Exporter, Handle, Options, Tell};
pub use format::{Format, encode_line, encode_lines};
pub use ocsf::OCSF_VERSION;
pub use record::{Exported, Marker, MarkerKind, Record};
pub use severity::Severity;
pub use target::{Header, Target};

/// Bailiwick's version, as records name it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

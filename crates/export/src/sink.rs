//! Handing records to a target, and knowing whether it took them.

mod datagram;
mod file;
mod http;
mod stream;
mod tls;

use std::time::Duration;

pub(crate) use file::File;

use crate::error::ExportError;
use crate::format::Format;
use crate::record::Record;
use crate::target::{Header, Target};

/// How long a connection may take to be made, and how long nothing may move on it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one batch may take altogether, however steadily a target drips.
const BATCH: Duration = Duration::from_secs(60);
/// The most that is read of an answer.
const MAX_ANSWER: usize = 64 << 10;

/// Why a target did not take a batch.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It may take it later.
    Later {
        why: String,
        /// How long it asks to be left alone.
        wait: Option<Duration>,
    },
    /// It will never take these records, whenever they are sent.
    Refused { why: String },
}

impl Failure {
    pub(crate) fn later(why: impl ToString) -> Self {
        Self::Later {
            why: why.to_string(),
            wait: None,
        }
    }
}

/// Something that takes records. When `send` returns `Ok`, the target has them all, as far as its protocol can say so.
pub(crate) trait Sink: Send {
    fn send(&mut self, batch: &[Record]) -> Result<(), Failure>;
}

/// What a sink needs besides its target.
pub(crate) struct Means<'a> {
    pub(crate) format: Format,
    pub(crate) host: &'a str,
    pub(crate) headers: &'a [Header],
    /// Certificates of authorities that are trusted besides the usual ones, in DER.
    pub(crate) roots: &'a [Vec<u8>],
}

pub(crate) fn open(target: &Target, means: &Means<'_>) -> Result<Box<dyn Sink>, ExportError> {
    let (format, host) = (means.format, means.host.to_owned());
    if !means.headers.is_empty() {
        let wrong = |why: &str| ExportError::Target {
            target: target.to_string(),
            why: why.to_owned(),
        };
        if !matches!(target, Target::Http(_)) {
            return Err(wrong("only http and https carry `headers`"));
        }
        if !target.is_private() {
            return Err(wrong(
                "a header may be a secret, and anybody on the way can read http: write https",
            ));
        }
    }
    Ok(match target {
        Target::Stdout => Box::new(file::Stdout { format, host }),
        Target::File(path) => Box::new(File::grow(path, format, host)?),
        Target::Unix(path) => Box::new(datagram::Unix {
            path: path.clone(),
            format,
            host,
        }),
        Target::Udp { host: name, port } => Box::new(datagram::Udp {
            to: (name.clone(), *port),
            format,
            host,
        }),
        Target::Tcp { host: name, port } => Box::new(stream::Stream {
            to: (name.clone(), *port),
            tls: None,
            format,
            host,
        }),
        Target::Tls { host: name, port } => {
            let tls = Some(tls::config(means.roots).map_err(|why| tls_error(target, why))?);
            Box::new(stream::Stream {
                to: (name.clone(), *port),
                tls,
                format,
                host,
            })
        }
        Target::Http(uri) => {
            let tls = tls::config(means.roots).map_err(|why| tls_error(target, why))?;
            Box::new(http::Http::new(
                uri.clone(),
                tls,
                format,
                means.headers.to_vec(),
            )?)
        }
    })
}

fn tls_error(target: &Target, why: String) -> ExportError {
    ExportError::Target {
        target: target.to_string(),
        why,
    }
}

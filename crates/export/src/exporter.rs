//! Sends a log to a target: once, for as long as one waits, or beside a gate on a thread of its own.

mod handle;
mod run;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::{Filter, sha256_hex};

pub use handle::Handle;
use handle::Stop;
use run::{Progress, Run};

use crate::cursor::{Cursor, Place};
use crate::error::ExportError;
use crate::format::Format;
use crate::sink::{self, Means};
use crate::source::Source;
use crate::target::{Header, Target};

/// How often a log is looked at.
const POLL: Duration = Duration::from_millis(200);
/// How often a log is looked at after the gate's end.
const LAST_LOOKS: u32 = 2;
/// How long to wait before an exporter that could not begin tries again.
const AGAIN: Duration = Duration::from_secs(5);
/// How many times in a row a target may fail an export that ends.
const TRIES: u32 = 5;

/// Tells a person, in one line, that a target does not take records, or takes them again.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// What is exported, how, and where to.
#[derive(Clone)]
pub struct Options {
    /// The log's folder.
    pub log: PathBuf,
    /// How records are written.
    pub format: Format,
    /// Where they go.
    pub target: Target,
    /// Headers of requests, for `http` and `https`.
    pub headers: Vec<Header>,
    /// Certificates of authorities that are trusted besides the usual ones, in DER.
    pub roots: Vec<Vec<u8>>,
    /// Which entries; those that do not match are left out without a marker. `limit` is not considered.
    pub filter: Filter,
    /// The folder in which the place is kept, so that a later export goes on from there. Without one, an export
    /// begins at the beginning and says nothing of itself.
    pub places: Option<PathBuf>,
    /// Who is told of failures.
    pub tell: Tell,
}

/// An export that can be run.
#[derive(Clone)]
pub struct Exporter {
    options: Options,
    host: String,
}

impl Exporter {
    /// Checks what can be checked before anything is sent.
    ///
    /// # Errors
    /// [`ExportError::Target`] where headers would go where they must not.
    pub fn new(options: Options) -> Result<Self, ExportError> {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let exporter = Self { options, host };
        if !matches!(exporter.options.target, Target::File(_)) {
            // Opens nothing but checks; a file would be made.
            sink::open(&exporter.options.target, &exporter.means())?;
        }
        Ok(exporter)
    }

    /// Sends what is published now, and gives the number of entries.
    ///
    /// # Errors
    /// [`ExportError::Failed`] after a few tries; what was taken until then stays taken.
    pub fn run(&self) -> Result<u64, ExportError> {
        let stop = Stop::default();
        let mut run = self.open()?;
        let end = run.published()?;
        loop {
            match run.step(Some(end)) {
                Progress::Idle => return Ok(run.sent()),
                Progress::Sent => {}
                Progress::Failed { why, .. } if run.failures() >= TRIES || self.is_final() => {
                    return Err(self.failed(why));
                }
                Progress::Failed { wait, .. } => drop(stop.wait(wait)),
            }
        }
    }

    /// Sends what is published, and goes on as entries come.
    ///
    /// # Errors
    /// Where it cannot begin, and when nobody reads standard output any more.
    pub fn follow(&self) -> Result<Infallible, ExportError> {
        let stop = Stop::default();
        let mut run = self.open()?;
        loop {
            match run.step(None) {
                Progress::Sent => {}
                Progress::Idle => drop(stop.wait(POLL)),
                Progress::Failed { why, .. } if self.is_final() => return Err(self.failed(why)),
                Progress::Failed { wait, .. } => drop(stop.wait(wait)),
            }
        }
    }

    /// The same on a thread of its own, until the handle is finished or dropped. It begins as soon as it can: an
    /// error is told, and tried again.
    #[must_use]
    pub fn start(self) -> Handle {
        Handle::spawn(move |stop| self.serve(stop))
    }

    fn serve(&self, stop: &Stop) {
        let mut told = false;
        let mut run = loop {
            match self.open() {
                Ok(run) => break run,
                // Another gate exports this log; when that ends, we take over.
                Err(ExportError::Busy { .. }) => {}
                Err(error) if !told => {
                    (self.options.tell)(&format!(
                        "the export to {} has not begun: {error}",
                        self.options.target
                    ));
                    told = true;
                }
                Err(_) => {}
            }
            if stop.wait(AGAIN) {
                return;
            }
        };
        // Looks without anything new since it was said to end.
        let mut looks = 0;
        loop {
            let ending = stop.is_set();
            let wait = match run.step(None) {
                Progress::Sent => {
                    looks = 0;
                    Duration::ZERO
                }
                // Not at the first look: what the gate wrote last may be published only a moment later.
                Progress::Idle if ending && looks >= LAST_LOOKS => return,
                Progress::Idle => {
                    looks += u32::from(ending);
                    POLL
                }
                Progress::Failed { .. } if ending => return,
                Progress::Failed { wait, .. } => wait,
            };
            if ending {
                std::thread::sleep(wait);
            } else {
                stop.wait(wait);
            }
        }
    }

    fn open(&self) -> Result<Run, ExportError> {
        let options = &self.options;
        let source = Source::open(&options.log, options.filter.clone())?;
        let (cursor, place) = match &options.places {
            None => (None, None),
            Some(dir) => {
                let (cursor, place) = Cursor::open(dir, &self.name(source.origin()))?;
                (Some(cursor), place)
            }
        };
        let begins = place.is_none();
        let place = place.unwrap_or_else(|| Place {
            log: source.origin().to_owned(),
            target: options.target.to_string(),
            ..Place::default()
        });
        let sink = sink::open(&options.target, &self.means())?;
        Ok(Run::new(
            source,
            sink,
            cursor,
            place,
            begins,
            self.options.clone(),
        ))
    }

    /// The name of the place: another log, target, format or filter has another one.
    fn name(&self, origin: &str) -> String {
        let Options {
            format,
            target,
            filter,
            ..
        } = &self.options;
        // No filter has one name in every version, whatever a filter can say.
        let filter = match *filter == Filter::default() {
            true => String::new(),
            false => format!("{filter:?}"),
        };
        let mut name = sha256_hex(format!("{origin}\n{format}\n{target}\n{filter}").as_bytes());
        name.truncate(32);
        name
    }

    fn means(&self) -> Means<'_> {
        let Options {
            format,
            headers,
            roots,
            ..
        } = &self.options;
        Means {
            format: *format,
            host: &self.host,
            headers,
            roots,
        }
    }

    /// Whether a failure of the target cannot mend itself.
    fn is_final(&self) -> bool {
        self.options.target == Target::Stdout
    }

    fn failed(&self, why: String) -> ExportError {
        ExportError::Failed {
            target: self.options.target.to_string(),
            why,
        }
    }
}

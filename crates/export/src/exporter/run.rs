//! One export, step by step.

use std::time::{Duration, Instant, SystemTime};

use bailiwick_audit::format_time;

use super::Options;
use crate::backoff::Backoff;
use crate::cursor::{Cursor, Place};
use crate::error::ExportError;
use crate::record::{Marker, MarkerKind, Record};
use crate::sink::{Failure, Sink};
use crate::source::{Found, Source};

/// The most entries in one batch: a bundle of the log.
const BATCH: usize = 256;
/// How often gaps are looked at again.
const REFILL: Duration = Duration::from_secs(60);

pub(super) struct Run {
    source: Source,
    sink: Box<dyn Sink>,
    cursor: Option<Cursor>,
    place: Place,
    options: Options,
    backoff: Backoff,
    /// What is said before the next entries.
    before: Option<(MarkerKind, String)>,
    /// The most entries in the next batch; smaller while a refused one is searched for.
    most: usize,
    sent: u64,
    refill_at: Instant,
}

/// What a step came to.
pub(super) enum Progress {
    /// Something was sent; there may be more.
    Sent,
    /// There is nothing to send.
    Idle,
    /// The target, or the log, fails for now.
    Failed { why: String, wait: Duration },
}

impl Run {
    pub(super) fn new(
        source: Source,
        sink: Box<dyn Sink>,
        cursor: Option<Cursor>,
        place: Place,
        begins: bool,
        options: Options,
    ) -> Self {
        let before = cursor.is_some().then(|| match begins {
            true => (
                MarkerKind::Begin,
                "the export of this log begins".to_owned(),
            ),
            false => (
                MarkerKind::Resumed,
                "the exporter was started again; nothing is left out".to_owned(),
            ),
        });
        Self {
            source,
            sink,
            cursor,
            place,
            options,
            backoff: Backoff::default(),
            before,
            most: BATCH,
            sent: 0,
            refill_at: Instant::now(),
        }
    }

    pub(super) fn published(&self) -> Result<u64, ExportError> {
        self.source.published()
    }

    /// Number of entries that were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// Sends one batch, of what is published before `end`.
    pub(super) fn step(&mut self, end: Option<u64>) -> Progress {
        match self.advance(end) {
            Ok(true) => Progress::Sent,
            Ok(false) => Progress::Idle,
            Err(Failure::Later { why, wait }) => self.failed(why, wait),
            Err(Failure::Refused { why }) => self.failed(why, None),
        }
    }

    fn failed(&mut self, why: String, asked: Option<Duration>) -> Progress {
        if self.backoff.failures() == 0 {
            (self.options.tell)(&format!(
                "the export to {} waits: {why}; nothing is lost, it goes on from entry {}",
                self.options.target, self.place.next
            ));
            if self.cursor.is_some() && self.before.is_none() {
                let detail = format!("the target did not take records since {}: {why}", now());
                self.before = Some((MarkerKind::Resumed, detail));
            }
        }
        Progress::Failed {
            why,
            wait: self.backoff.failed(asked),
        }
    }

    fn advance(&mut self, end: Option<u64>) -> Result<bool, Failure> {
        let published = self.source.published().map_err(Failure::later)?;
        let size = end.unwrap_or(published).min(published);
        if self.is_changed(published) {
            return self.begin_anew(published);
        }
        if self.refill(size)? {
            return Ok(true);
        }
        let next = self.place.next;
        match self
            .source
            .at(next, size, self.most)
            .map_err(Failure::later)?
        {
            Found::Nothing => Ok(false),
            Found::Missing(to, why) => {
                self.say(MarkerKind::Gap, next, to, why)?;
                self.place.missed(next, to);
                self.keep(to)
            }
            Found::Entries(records, to) => {
                self.entries(records, to)?;
                Ok(true)
            }
        }
    }

    /// Sends entries, and keeps the place after them. Where the target refuses a batch for good, smaller ones find out
    /// which entry it means.
    fn entries(&mut self, records: Vec<Record>, to: u64) -> Result<(), Failure> {
        let next = self.place.next;
        let (count, marked) = (records.len(), self.before.is_some());
        match self.deliver(next, to, records) {
            Ok(()) => {
                self.sent += count as u64;
                self.most = (self.most * 2).min(BATCH);
                self.keep(to).map(drop)
            }
            Err(Failure::Refused { why }) if to == next + 1 && marked => {
                // Not even what we say about ourselves is taken: that is about the target, not about an entry.
                self.deliver(next, next, Vec::new())
                    .map_err(|_| Failure::later(why))
            }
            Err(Failure::Refused { why }) if to == next + 1 => {
                self.say(MarkerKind::Refused, next, to, why)?;
                self.keep(to).map(drop)
            }
            Err(Failure::Refused { .. }) => {
                self.most = (count / 2).max(1);
                Ok(())
            }
            Err(later) => Err(later),
        }
    }

    /// Sends what has to be said first, and records; with `from` and `to` the same and no records, the former alone.
    fn deliver(&mut self, from: u64, to: u64, records: Vec<Record>) -> Result<(), Failure> {
        let mut batch = Vec::new();
        if let Some((kind, detail)) = &self.before
            && (!records.is_empty() || from == to)
        {
            batch.push(self.marker(*kind, from, from, detail.clone()));
        }
        let said = !batch.is_empty();
        batch.extend(records);
        if !batch.is_empty() {
            self.sink.send(&batch)?;
            self.succeeded();
        }
        if said {
            self.before = None;
        }
        Ok(())
    }

    fn say(&mut self, kind: MarkerKind, from: u64, to: u64, why: String) -> Result<(), Failure> {
        let mut batch = Vec::new();
        if let Some((kind, detail)) = &self.before {
            batch.push(self.marker(*kind, from, from, detail.clone()));
        }
        batch.push(self.marker(kind, from, to, why));
        // A target that refuses a marker refuses everything.
        self.sink.send(&batch).map_err(|failure| match failure {
            Failure::Refused { why } => Failure::later(why),
            later => later,
        })?;
        self.succeeded();
        self.before = None;
        Ok(())
    }

    fn succeeded(&mut self) {
        if self.backoff.failures() > 0 {
            (self.options.tell)(&format!("the export to {} goes on", self.options.target));
        }
        self.backoff.succeeded();
    }

    /// Whether the log no longer holds what was sent: it was cut, rolled back or rewritten.
    fn is_changed(&self, published: u64) -> bool {
        let Some(sent) = &self.place.leaf else {
            return self.place.next > published;
        };
        if self.place.next > published {
            return true;
        }
        let last = self
            .place
            .next
            .checked_sub(1)
            .and_then(|last| self.source.leaf(last));
        // What is no longer there was archived, or is reported as a gap by whoever reads it.
        last.is_some_and(|found| found != *sent)
    }

    fn begin_anew(&mut self, published: u64) -> Result<bool, Failure> {
        let why = format!(
            "entries up to {} were exported, and the log of {published} entries is another one now: run `bailiwick \
             audit verify`; all that it holds follows",
            self.place.next
        );
        (self.options.tell)(&format!("{}: {why}", self.options.log.display()));
        self.say(MarkerKind::LogChanged, 0, self.place.next, why)?;
        self.place.gaps.clear();
        self.place.leaf = None;
        self.keep(0)
    }

    /// Sends entries of a gap that are there again.
    fn refill(&mut self, size: u64) -> Result<bool, Failure> {
        if self.place.gaps.is_empty() || Instant::now() < self.refill_at {
            return Ok(false);
        }
        for (from, to) in self.place.gaps.clone() {
            let found = self
                .source
                .at(from, to.min(size), self.most)
                .map_err(Failure::later)?;
            if let Found::Entries(records, end) = found {
                let mut batch = vec![self.marker(
                    MarkerKind::Refilled,
                    from,
                    end,
                    "of an earlier gap".to_owned(),
                )];
                batch.extend(records);
                self.sink.send(&batch)?;
                self.succeeded();
                self.sent += batch.len() as u64 - 1;
                self.place.filled(from, end);
                let next = self.place.next;
                return self.keep(next);
            }
        }
        self.refill_at = Instant::now() + REFILL;
        Ok(false)
    }

    fn keep(&mut self, next: u64) -> Result<bool, Failure> {
        if next != self.place.next || next == 0 {
            self.place.next = next;
            self.place.leaf = next.checked_sub(1).and_then(|last| self.source.leaf(last));
        }
        if let Some(cursor) = &self.cursor {
            cursor.keep(&self.place).map_err(Failure::later)?;
        }
        Ok(true)
    }

    fn marker(&self, kind: MarkerKind, from: u64, to: u64, detail: String) -> Record {
        let log = self.source.origin().to_owned();
        Record::Marker(Marker {
            log,
            time: now(),
            kind,
            from,
            to,
            detail,
        })
    }
}

fn now() -> String {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format_time(since_epoch.unwrap_or_default())
}

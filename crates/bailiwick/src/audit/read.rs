//! `bailiwick audit query`, and how entries are searched and printed.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bailiwick_audit::{
    Event, Filter, Merged, Search, Sight, Stored, escape, merge, render, search,
};
use serde_json::{Value, json};

use super::asked::filter;
use super::cli::QueryArgs;
use super::index::Indexes;
use crate::report::{FINE, FOUND};

/// As much of what cannot be read is shown on a line.
const MAX_RAW: usize = 160;
/// As many entries that cannot be read are shown one by one to people.
const MAX_UNREADABLE: usize = 20;

pub(super) fn find(logs: &[PathBuf], args: &QueryArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut filter = filter(&args.filter)?;
    filter.limit = args.limit.map(usize::try_from).transpose()?;
    let mut indexes = if args.no_index {
        Indexes::none(logs)
    } else {
        Indexes::of(logs)
    };
    let found = search_all(logs, &filter, args.reverse, &indexes)?;
    let mut printer = Printer::new(logs, as_json, args.count);
    let code = printer.all(found)?;
    indexes.catch_up();
    Ok(code)
}

/// Searches several logs, in the order of time.
pub(super) fn search_all(
    logs: &[PathBuf],
    filter: &Filter,
    newest_first: bool,
    indexes: &Indexes,
) -> anyhow::Result<Merged> {
    let wanted = Search {
        filter: filter.clone(),
        newest_first,
    };
    let mut hits = Vec::new();
    for (place, log) in logs.iter().enumerate() {
        hits.push(search(log, &wanted, indexes.narrow(place, filter))?);
    }
    Ok(merge(hits, newest_first, filter.limit))
}

/// Prints what was found: entries on standard output, what could not be looked at on standard error.
pub(super) struct Printer<'a> {
    logs: &'a [PathBuf],
    as_json: bool,
    only_count: bool,
    entries: u64,
    unreadable: u64,
    /// Something is missing that should be there.
    damaged: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(logs: &'a [PathBuf], as_json: bool, only_count: bool) -> Self {
        Self {
            logs,
            as_json,
            only_count,
            entries: 0,
            unreadable: 0,
            damaged: false,
        }
    }

    pub(super) fn all(
        &mut self,
        found: impl Iterator<Item = (usize, Sight)>,
    ) -> anyhow::Result<ExitCode> {
        let mut out = BufWriter::new(std::io::stdout().lock());
        for (log, sight) in found {
            match self.one(&mut out, log, &sight) {
                Err(error) if is_closed(&error) => break,
                other => other?,
            }
        }
        if self.only_count {
            let (entries, unreadable) = (self.entries, self.unreadable);
            if self.as_json {
                writeln!(
                    out,
                    "{}",
                    json!({ "count": entries, "unreadable": unreadable })
                )?;
            } else {
                writeln!(out, "{entries}")?;
            }
        }
        match out.flush() {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        let shown = if self.only_count || self.as_json {
            0
        } else {
            MAX_UNREADABLE as u64
        };
        if self.unreadable > shown && !self.as_json {
            let more = self.unreadable - shown;
            eprintln!(
                "warning: {more} entries {}cannot be read by this version, and may be what is looked for",
                if shown > 0 { "more " } else { "" }
            );
        }
        Ok(ExitCode::from(if self.damaged { FOUND } else { FINE }))
    }

    fn one(&mut self, out: &mut impl Write, log: usize, sight: &Sight) -> anyhow::Result<()> {
        match sight {
            Sight::Entry { stored, entry } => {
                self.entries += 1;
                match (self.only_count, self.as_json) {
                    (true, _) => {}
                    (false, true) => {
                        let name = self.name(log);
                        let line = json!({ "log": name, "index": stored.index, "entry": entry });
                        writeln!(out, "{line}")?;
                    }
                    (false, false) => writeln!(out, "{}", render(stored.index, entry))?,
                }
            }
            Sight::Unreadable { stored, why } => {
                self.unreadable += 1;
                if !self.only_count {
                    self.unreadable(out, log, stored, why)?;
                }
            }
            Sight::Gap { from, to, why } => self.gap(log, *from, *to, why),
        }
        Ok(())
    }

    fn unreadable(
        &self,
        out: &mut impl Write,
        log: usize,
        stored: &Stored,
        why: &str,
    ) -> anyhow::Result<()> {
        if self.as_json {
            let raw = String::from_utf8_lossy(&stored.json);
            let line = json!({
                "log": self.name(log), "index": stored.index, "unreadable": why, "raw": raw,
            });
            writeln!(out, "{line}")?;
        } else if self.unreadable <= MAX_UNREADABLE as u64 {
            writeln!(out, "{}", unreadable_line(stored, why))?;
        }
        Ok(())
    }

    fn gap(&mut self, log: usize, from: u64, to: u64, why: &str) {
        let Some(dir) = self.logs.get(log) else {
            return;
        };
        let shown = dir.display();
        match pruned(dir) {
            Some((entries, place)) if to < entries => {
                let place =
                    place.map_or(String::new(), |place| format!(" to `{}`", escape(&place)));
                eprintln!(
                    "note: {shown}: entries {from} to {to} were archived{place} and pruned; search them there with --log"
                );
            }
            _ => {
                self.damaged = true;
                eprintln!(
                    "warning: {shown}: entries {from} to {to} were not looked at: {why}. Run `bailiwick audit verify`"
                );
            }
        }
    }

    fn name(&self, log: usize) -> Option<&str> {
        self.logs.get(log)?.file_name()?.to_str()
    }
}

/// An entry that cannot be read, on one harmless line.
pub(super) fn unreadable_line(stored: &Stored, why: &str) -> String {
    let raw = String::from_utf8_lossy(&stored.json);
    let short: String = raw.chars().take(MAX_RAW).collect();
    let more = if short.len() < raw.len() { "…" } else { "" };
    format!(
        "#{} cannot be read ({}): \"{}\"{more}",
        stored.index,
        escape(why),
        escape(&short)
    )
}

/// How many entries the log says that it pruned, and where it archived entries last.
fn pruned(dir: &Path) -> Option<(u64, Option<String>)> {
    let newest = |kind: &str| {
        let filter = Filter {
            kind: Some(kind.to_owned()),
            limit: Some(1),
            ..Filter::default()
        };
        let wanted = Search {
            filter,
            newest_first: true,
        };
        search(dir, &wanted, None)
            .ok()?
            .find_map(|sight| match sight {
                Sight::Entry { entry, .. } => Some(entry.event),
                _ => None,
            })
    };
    let Some(Event::Pruned { entries, .. }) = newest("pruned") else {
        return None;
    };
    let place = match newest("archived") {
        Some(Event::Archived { to, .. }) => Some(to),
        _ => None,
    };
    Some((entries, place))
}

/// Whether nobody reads standard output any more, such as behind `head`.
pub(super) fn is_closed(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// An entry for machines.
pub(super) fn as_value(log: Option<&str>, stored: &Stored) -> Value {
    match stored.entry() {
        Ok(entry) => json!({ "log": log, "index": stored.index, "entry": entry }),
        Err(error) => json!({
            "log": log, "index": stored.index, "unreadable": error.to_string(),
            "raw": String::from_utf8_lossy(&stored.json),
        }),
    }
}

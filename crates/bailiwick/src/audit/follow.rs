//! `bailiwick audit tail`: the newest entries for people, and those that come.

use std::collections::{HashSet, VecDeque};
use std::io::{BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bailiwick_audit::{Entry, Filter, Follow, Search, Sight, Stored, escape, merge, search};

use super::asked::filter;
use super::cli::TailArgs;
use super::deed::{self, Tone};
use super::read::{as_value, is_closed, unreadable_line};
use crate::home::Home;
use crate::report::FINE;

/// How often a followed log is looked at. A look without news reads a few bytes.
const POLL: Duration = Duration::from_millis(200);
/// How often new logs are looked for.
const LOOK_AROUND: Duration = Duration::from_secs(2);
const PLUGIN_WIDTH: usize = 14;
const WHAT_WIDTH: usize = 44;

pub(super) fn show_tail(
    logs: &[PathBuf],
    args: &TailArgs,
    all_logs: bool,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut filter = filter(&args.filter)?;
    let mut screen = Screen::new(as_json);
    // Where each log ends now, before it is looked at: what comes meanwhile is shown after.
    let mut followed = Vec::new();
    for dir in logs {
        followed.push(Followed::at_end(dir)?);
    }
    filter.limit = Some(usize::try_from(args.lines)?);
    let ends: Vec<u64> = followed.iter().map(|log| log.follow.next_index()).collect();
    let shown = newest(logs, &filter, &ends)?;
    let result = screen.past(logs, shown).and_then(|()| {
        if args.follow {
            filter.limit = None;
            let mut live = Live {
                filter,
                followed,
                all_logs,
            };
            live.run(&mut screen)?;
        }
        Ok(())
    });
    match result {
        Err(error) if is_closed(&error) => Ok(ExitCode::from(FINE)),
        other => other.map(|()| ExitCode::from(FINE)),
    }
}

/// The newest entries that match and lie before the ends, oldest first.
fn newest(
    logs: &[PathBuf],
    filter: &Filter,
    ends: &[u64],
) -> anyhow::Result<VecDeque<(usize, Sight)>> {
    // What came after the ends may take the place of as many.
    let wanted = Search {
        filter: Filter {
            limit: None,
            ..filter.clone()
        },
        newest_first: true,
    };
    let hits = logs.iter().map(|log| search(log, &wanted, None));
    let merged = merge(hits.collect::<Result<_, _>>()?, true, None);
    let limit = filter.limit.unwrap_or(usize::MAX);
    let mut shown = VecDeque::new();
    let mut entries = 0;
    if limit == 0 {
        return Ok(shown);
    }
    for (log, sight) in merged {
        if ends.get(log).is_some_and(|end| sight.index() >= *end) {
            continue;
        }
        entries += usize::from(!matches!(sight, Sight::Gap { .. }));
        shown.push_front((log, sight));
        if entries == limit {
            break;
        }
    }
    Ok(shown)
}

struct Followed {
    dir: PathBuf,
    follow: Follow,
    /// Why it could not be read when it was last looked at.
    trouble: Option<String>,
}

impl Followed {
    fn at_end(dir: &Path) -> anyhow::Result<Self> {
        let end = bailiwick_audit::tail(dir, 1)?
            .last()
            .map_or(0, |stored| stored.index + 1);
        Ok(Self::from(dir, end))
    }

    fn from(dir: &Path, index: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            follow: Follow::from(dir, index),
            trouble: None,
        }
    }
}

struct Live {
    filter: Filter,
    followed: Vec<Followed>,
    all_logs: bool,
}

impl Live {
    fn run(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        let mut looked_around = Instant::now();
        loop {
            for log in &mut self.followed {
                let news = match log.follow.bundle() {
                    Ok(news) => {
                        log.trouble = None;
                        news
                    }
                    Err(error) => {
                        // Told once; the log may be whole again later, and the others go on.
                        let why = error.to_string();
                        if log.trouble.as_ref() != Some(&why) {
                            eprintln!("warning: {why}");
                        }
                        log.trouble = Some(why);
                        continue;
                    }
                };
                for stored in news {
                    screen.new_one(&log.dir, &stored, &self.filter)?;
                }
            }
            screen.flush()?;
            if self.all_logs && looked_around.elapsed() >= LOOK_AROUND {
                looked_around = Instant::now();
                self.look_around()?;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Takes up logs of gates that started meanwhile, from their beginning.
    fn look_around(&mut self) -> anyhow::Result<()> {
        let known: HashSet<PathBuf> = self.followed.iter().map(|log| log.dir.clone()).collect();
        let new = Home::locate()?
            .logs()
            .into_iter()
            .filter(|dir| !known.contains(dir));
        self.followed.extend(new.map(|dir| Followed::from(&dir, 0)));
        Ok(())
    }
}

struct Screen {
    out: BufWriter<std::io::Stdout>,
    as_json: bool,
    colour: bool,
    /// The day that was shown last.
    day: String,
}

impl Screen {
    fn new(as_json: bool) -> Self {
        Self {
            out: BufWriter::new(std::io::stdout()),
            as_json,
            colour: std::io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            day: String::new(),
        }
    }

    fn past(&mut self, logs: &[PathBuf], shown: VecDeque<(usize, Sight)>) -> anyhow::Result<()> {
        for (log, sight) in shown {
            let dir = logs.get(log).map_or(Path::new(""), PathBuf::as_path);
            match sight {
                Sight::Entry { stored, entry } => self.entry(dir, &stored, &entry)?,
                Sight::Unreadable { stored, .. } => self.unreadable(dir, &stored)?,
                Sight::Gap { from, to, why } => {
                    eprintln!(
                        "note: {}: entries {from} to {to} are not shown: {why}",
                        dir.display()
                    );
                }
            }
        }
        self.flush()
    }

    fn new_one(&mut self, dir: &Path, stored: &Stored, filter: &Filter) -> anyhow::Result<()> {
        match stored.entry() {
            Ok(entry) => {
                if filter.matches(&entry, &serde_json::to_vec(&entry)?) {
                    self.entry(dir, stored, &entry)?;
                }
                Ok(())
            }
            Err(_) => self.unreadable(dir, stored),
        }
    }

    fn entry(&mut self, dir: &Path, stored: &Stored, entry: &Entry) -> anyhow::Result<()> {
        if self.as_json {
            let name = dir.file_name().and_then(|name| name.to_str());
            writeln!(self.out, "{}", as_value(name, stored))?;
            return Ok(());
        }
        let (day, _) = entry.time.split_once('T').unwrap_or_default();
        if day != self.day {
            self.day = day.to_owned();
            writeln!(self.out, "{}", self.painted("2", &escape(day)))?;
        }
        writeln!(self.out, "{}", line(entry, self.colour))?;
        Ok(())
    }

    fn unreadable(&mut self, dir: &Path, stored: &Stored) -> anyhow::Result<()> {
        let why = stored
            .entry()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        if self.as_json {
            let name = dir.file_name().and_then(|name| name.to_str());
            writeln!(self.out, "{}", as_value(name, stored))?;
        } else {
            let text = unreadable_line(stored, &why);
            writeln!(self.out, "{}", self.painted("31", &text))?;
        }
        Ok(())
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        paint(self.colour.then_some(colour), text)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

fn paint(colour: Option<&str>, text: &str) -> String {
    match colour {
        Some(colour) => format!("\x1b[{colour}m{text}\x1b[0m"),
        None => text.to_owned(),
    }
}

/// Time, session, plugin, what was done and what came of it.
fn line(entry: &Entry, colour: bool) -> String {
    let deed = deed::of(entry);
    let clock = entry
        .time
        .split_once('T')
        .map_or(entry.time.as_str(), |(_, clock)| clock);
    let clock = clock.trim_end_matches('Z');
    let session = entry
        .subject
        .session
        .as_deref()
        .map(deed::short)
        .unwrap_or_default();
    let plugin = deed::text(entry.subject.plugin.as_deref().unwrap_or("·"));
    let tone = deed.tone.colour().filter(|_| colour);
    let what = match deed.tone {
        Tone::Bad => paint(tone, &pad(&deed.what, WHAT_WIDTH)),
        _ => pad(&deed.what, WHAT_WIDTH),
    };
    let line = format!(
        "{}  {}  {}  {what}  {}",
        paint(colour.then_some("2"), &pad(&escape(clock), 12)),
        pad(&session, 8),
        pad(&plugin, PLUGIN_WIDTH),
        paint(tone, &deed.outcome),
    );
    line.trim_end().to_owned()
}

/// Filled up to a width in characters; what is longer stays whole.
fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(missing))
}

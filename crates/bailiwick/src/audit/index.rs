//! `bailiwick audit index`, and the index that searches use.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bailiwick_audit::{Filter, Narrow};
use bailiwick_index::{CHUNK_ENTRIES, Checked, Index, IndexError, IndexKey};
use serde_json::{Value, json};

use super::cli::IndexArgs;
use crate::home::Home;
use crate::report::{FINE, FOUND, say};

/// What a search adds to the index, once it has answered.
const LAZY: Duration = Duration::from_millis(250);

pub(super) fn run(logs: &[PathBuf], args: &IndexArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let home = Home::locate()?;
    let mut all = Vec::new();
    let mut fine = true;
    for log in logs {
        if args.rebuild {
            bailiwick_index::remove(&folder(&home)?, log)?;
        }
        let mut index = open(&home, log)?;
        let checked = if args.check {
            index.check()?
        } else {
            let progress = index.update(None)?;
            Checked {
                progress,
                lies: Vec::new(),
            }
        };
        fine &= checked.lies.is_empty();
        if as_json {
            all.push(as_value(log, &index, &checked));
        } else {
            print(log, &checked, args.check);
        }
    }
    if as_json {
        say!("{}", serde_json::to_string_pretty(&json!({ "logs": all }))?);
    }
    Ok(ExitCode::from(if fine { FINE } else { FOUND }))
}

fn as_value(log: &Path, index: &Index, checked: &Checked) -> Value {
    let lies = checked.lies.iter().map(|chunk| {
        let (from, to) = Checked::entries(*chunk);
        json!({ "from": from, "to": to })
    });
    json!({
        "log": log,
        "index": index.path(),
        "entries": checked.progress.indexed * CHUNK_ENTRIES,
        "made": checked.progress.made * CHUNK_ENTRIES,
        "false": lies.collect::<Vec<_>>(),
    })
}

fn print(log: &Path, checked: &Checked, was_check: bool) {
    let progress = checked.progress;
    let reach = format!(
        "the first {} entries are indexed",
        progress.indexed * CHUNK_ENTRIES
    );
    let log = log.display();
    if !checked.lies.is_empty() {
        say!("✘ {log}: {reach}, and not as the log has them");
        for chunk in &checked.lies {
            let (from, to) = Checked::entries(*chunk);
            say!(
                "  - the index is false about entries {from} to {to}: somebody who has its key wrote that"
            );
        }
        say!("  Keep it as evidence, then run `bailiwick audit index --rebuild`.");
    } else if was_check {
        say!("✔ {log}: {reach}, all as the log has them");
    } else {
        say!(
            "✔ {log}: {reach}, {} of them just now",
            progress.made * CHUNK_ENTRIES
        );
    }
}

pub(super) fn folder(home: &Home) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    home.make()?;
    let folder = home.cache().join("index");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    Ok(folder)
}

fn open(home: &Home, log: &Path) -> anyhow::Result<Index> {
    let folder = folder(home)?;
    let key = IndexKey::load_or_create(&home.path().join("index.key"))?;
    Ok(Index::open(&folder, log, key)?)
}

/// The indexes of several logs, as far as they can be had: a search goes on without.
pub(super) struct Indexes(Vec<Option<Index>>);

impl Indexes {
    /// Opens the index of each log. What stands against it is said, and no more.
    pub(super) fn of(logs: &[PathBuf]) -> Self {
        let Ok(home) = Home::locate() else {
            return Self::none(logs);
        };
        Self(
            logs.iter()
                .map(|log| match open(&home, log) {
                    Ok(index) => Some(index),
                    Err(error) => {
                        eprintln!("note: searching without an index: {error:#}");
                        None
                    }
                })
                .collect(),
        )
    }

    pub(super) fn none(logs: &[PathBuf]) -> Self {
        Self(logs.iter().map(|_| None).collect())
    }

    /// Which bundles of a log a search has to read.
    pub(super) fn narrow(&self, log: usize, filter: &Filter) -> Option<Arc<dyn Narrow>> {
        let index = self.0.get(log)?.as_ref()?;
        match index.select(filter) {
            Ok(selection) => Some(Arc::new(selection)),
            Err(error) => {
                eprintln!("note: searching without an index: {error}");
                None
            }
        }
    }

    /// Adds what is new in the logs, for a moment: the search has answered, and nobody is to wait.
    pub(super) fn catch_up(&mut self) {
        for index in self.0.iter_mut().flatten() {
            match index.update(Some(LAZY)) {
                // Another search may hold it: then that one adds what is new.
                Ok(_) | Err(IndexError::Store { .. }) => {}
                Err(error) => eprintln!("note: the index was not brought up to date: {error}"),
            }
        }
    }
}

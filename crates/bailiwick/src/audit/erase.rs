//! `bailiwick audit erase`: removes what is personal, and leaves the log provable.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bailiwick_audit::{Erasing, Marked, Whose, erase, mark};
use clap::Args;
use serde_json::{Value, json};

use crate::home::Home;
use crate::person::Person;
use crate::report::{FINE, FOUND, USAGE, exit, say};

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// What is personal in entries on this user's behalf, and what names them elsewhere
    #[arg(long, value_name = "NAME", required_unless_present_any = ["session", "entry"])]
    user: Option<String>,
    /// What is personal in the entries of this session
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    session: Option<String>,
    /// What is personal in this entry; needs `--log`
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["user", "session"])]
    entry: Option<u64>,
    /// Archives of the log, which lose it too; once for each
    #[arg(long, value_name = "FOLDER")]
    archive: Vec<PathBuf>,
    /// Why; it stays in the log, so it must not name the person
    #[arg(long, value_name = "WORDS", default_value = "not given")]
    reason: String,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
}

impl EraseArgs {
    fn whose(&self) -> anyhow::Result<Whose> {
        match (&self.user, &self.session, self.entry) {
            (Some(name), None, None) => Ok(Whose::User(name.clone())),
            (None, Some(id), None) => Ok(Whose::Session(id.clone())),
            (None, None, Some(entry)) => Ok(Whose::Entry(entry)),
            _ => Err(exit(
                USAGE,
                "name one of `--user`, `--session` and `--entry`",
            )),
        }
    }
}

pub(super) fn run(logs: &[PathBuf], args: &EraseArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let whose = args.whose()?;
    if matches!(whose, Whose::Entry(_)) && logs.len() > 1 {
        return Err(exit(
            USAGE,
            "there are several logs: name the entry's with `--log`",
        ));
    }
    let mut found = Vec::new();
    for log in logs {
        found.push((log, mark(log, &args.archive, &whose)?));
    }
    let values: usize = found
        .iter()
        .map(|(_, marked)| marked.commitments.len())
        .sum();
    if values > 0 && !args.yes && !confirmed(values, &found)? {
        return Err(exit(USAGE, "nothing was erased"));
    }
    let (mut done, mut clear) = (Vec::new(), 0);
    for (log, _) in found {
        let marked = one(log, args, &whose)?;
        clear += marked.in_the_clear.len();
        if as_json {
            done.push(as_value(log, &marked));
        } else {
            tell(log, &marked);
        }
    }
    if as_json {
        say!(
            "{}",
            serde_json::to_string_pretty(&json!({ "logs": done }))?
        );
    }
    Ok(ExitCode::from(if clear == 0 { FINE } else { FOUND }))
}

fn one(log: &Path, args: &EraseArgs, whose: &Whose) -> anyhow::Result<Marked> {
    let person = Person::current();
    let erasing = Erasing {
        whose,
        archives: &args.archive,
        by: &person.name,
        reason: &args.reason,
    };
    let marked = erase(log, &crate::assemble::log_options(log), &erasing)?;
    // Whole: what was erased must not be left in free pages, and the log has all that it is made from.
    bailiwick_index::remove(&super::index::folder(&Home::locate()?)?, log)?;
    Ok(marked)
}

fn confirmed(values: usize, found: &[(&PathBuf, Marked)]) -> anyhow::Result<bool> {
    let entries: usize = found.iter().map(|(_, marked)| marked.entries.len()).sum();
    if !std::io::stdin().is_terminal() {
        let message = format!(
            "{values} values of {entries} entries would be erased for good: say `--yes` where nobody can be asked"
        );
        return Err(exit(USAGE, message));
    }
    eprint!(
        "{values} values of {entries} entries will be erased for good. Type `erase` to go on: "
    );
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "erase")
}

fn tell(log: &Path, marked: &Marked) {
    let (values, entries) = (marked.commitments.len(), marked.entries.len());
    if values == 0 {
        say!("{}: nothing of it is sealed here", log.display());
    } else {
        say!(
            "{}: {values} values of {entries} entries are erased",
            log.display()
        );
    }
    if let Some(first) = marked.in_the_clear.first() {
        let count = marked.in_the_clear.len();
        say!(
            "  {count} entries, the first of them {first}, were written before values were sealed, and hold it in the \
             clear: archive and prune them, and remove that archive"
        );
    }
}

fn as_value(log: &Path, marked: &Marked) -> Value {
    json!({
        "log": log, "values": marked.commitments.len(), "entries": marked.entries,
        "in_the_clear": marked.in_the_clear,
    })
}

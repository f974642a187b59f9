//! Ratios against baselines that are measured in the same run; `cargo xtask bench` builds and runs it.

mod echo;
mod forge;
mod machine;
mod operate;
mod relay;
mod rows;
mod sample;
mod table;
// The adapter that `bailiwick` itself uses, so that what is measured is what runs.
#[path = "../../bailiwick/src/walls/wasm.rs"]
mod wasm_wall;

use std::process::ExitCode;

use crate::rows::Effort;

/// Whatever ends a measurement; this program only prints it.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
bailiwick-bench [--quick] [--json] [NAME…]

Prints what parts of Bailiwick cost as ratios to baselines that are measured in the same run, turn by turn.
Only the ratios mean anything elsewhere. NAME chooses rows by the beginning of their names.

  --quick      few samples: shows that everything can be measured, not how fast it is
  --json       for machines
  --list       the names
  --entries=N  length of the long log of `audit-memory`, instead of 10,000,000
";

const ENTRIES: &str = "--entries=";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        ["echo-server"] => echo::serve().map(|()| true),
        ["relay", program, rest @ ..] => relay::run(program, rest).map(|()| true),
        ["audit-once", what, dir] => rows::audit_once(what, dir).map(|()| true),
        ["operate", read, write] => operate::serve(read, write).map(|()| true),
        ["operate-landlock", read, write] => {
            operate::serve_under_landlock(read, write).map(|()| true)
        }
        _ => bench(&words),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bailiwick-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Measures and prints; false where something could not be measured.
fn bench(words: &[&str]) -> Outcome<bool> {
    let (flags, names): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.starts_with('-'));
    let entries = flags.iter().find_map(|flag| flag.strip_prefix(ENTRIES));
    if let Some(unknown) = flags
        .iter()
        .find(|flag| !["--quick", "--json", "--list"].contains(flag) && !flag.starts_with(ENTRIES))
    {
        return Err(format!("there is no `{unknown}`\n\n{HELP}").into());
    }
    let chosen = rows::choose(&names)?;
    if flags.contains(&"--list") {
        chosen.iter().for_each(|group| println!("{}", group.name));
        return Ok(true);
    }
    let effort = Effort {
        quick: flags.contains(&"--quick"),
        entries: entries.map(str::parse).transpose()?,
    };
    let as_json = flags.contains(&"--json");
    let mut report = table::Report::new(machine::describe(), effort.quick);
    for group in chosen {
        if !as_json {
            eprintln!("measuring {}", group.name);
        }
        match (group.measure)(effort) {
            Ok(rows) => report.rows.extend(rows),
            Err(error) => report
                .missing
                .push((group.name.to_owned(), error.to_string())),
        }
    }
    if as_json {
        println!("{}", report.to_json());
    } else {
        print!("{}", report.to_text());
    }
    Ok(report.missing.is_empty())
}
